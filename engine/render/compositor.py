"""From the posed scene to its picture: rasterize, find the edges, refine them, paint."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.render.canvas import Canvas
from engine.render.crew import ALONE, Crew, Rows
from engine.render.projection import Scene, Shown
from kernels.cpu import numba_kernels, painting
from kernels.cpu.pixel_kernels import planes_of
from kernels.cpu.scene_steps import refine, see_inside, see_rows

GRAIN = numba_kernels.TILE  # rows: shares of a picture begin and end at multiples of it
JUMP = 3.0  # texture pixels between neighbours that make an edge
SPREAD = 2.0  # texture pixels within which an edge pixel's points still agree
WARMTH = np.float32(0.22)  # how much redder shade is than light


class Compositor:
    """Paints one scene, frame after frame, into a square of ``size`` pixels, ``step`` texture pixels for each."""

    def __init__(self, scene: Scene, size: int, step: float = 1.0) -> None:
        self._step = step
        self._jump, self._spread = JUMP * max(step, 1.0), SPREAD * max(step, 1.0)
        self._scene = scene
        self.size = size
        self.triangles = scene.triangles
        self.layers = scene.layers
        self._special = np.zeros(len(scene.triangles), np.bool_)  # triangles of the frame that are shaded or mirrored
        self._spots: list[np.ndarray] = []  # [F] of each share of a picture: where its triangles are
        self._gain = scene.mirror_gain

    @property
    def which(self) -> np.ndarray:
        """Which triangle each pixel of the picture painted last sees [size, size] int32, while its canvas is kept."""
        return self._canvas.which

    @property
    def places(self) -> FloatArray:
        """Where in the texture each pixel of it looks [2, size, size], while its canvas is kept."""
        return self._canvas.places

    def paint(
        self,
        vertices: FloatArray,
        maps: FloatArray,
        shown: Shown,
        out: ByteArray,
        canvas: Canvas,
        clean: bool = False,
        crew: Crew = ALONE,
        rows: Rows | None = None,
        textures: tuple[ByteArray, tuple[ByteArray, ByteArray] | None] | None = None,
    ) -> None:
        """Paint ``vertices`` [V, 3], in pixels of ``out``, as far as they are ``shown``, on ``canvas``.

        ``out`` is RGB [size, size, 3], or planar I420 [size * 3 // 2, size]. ``clean`` keeps the background's colours
        out of the person's soft edges; ``crew`` shares the work. With ``rows``, which begin and end where `GRAIN`
        divides, the others stay as they are. ``textures`` are others than the scene's: texels, and planes for I420.
        """
        scene, self._canvas = self._scene, canvas
        mesh, drawn = (vertices, scene.triangles, maps), shown.numbers
        edges, fine = (canvas.slots, canvas.edged, canvas.tiles), canvas.fine(maps.shape[1])
        shares = [rows] if rows else crew.shares(self.size, GRAIN)
        seen_rows = [(max(rows[0] - GRAIN, 0), min(rows[1] + GRAIN, self.size))] if rows else shares  # and beside them
        self._spots += [np.empty(len(scene.triangles), np.int32) for _ in range(len(shares) - len(self._spots))]
        views = [canvas.view(self._special, spots) for spots in self._spots]
        given = mesh, drawn, scene.facing, scene.plain, scene.wary, self._jump
        crew.each(seen_rows, lambda k, rows: see_rows(*given, rows, views[k], canvas.edged, canvas.tiles))
        if shown.opening:
            see_inside(mesh, drawn, canvas.window, views[0])
        seen = canvas.which, canvas.places, canvas.slots, self._special
        self._painted = scene.offsets, scene.layers, seen, mesh, (fine[1], fine[3]), canvas.edged, canvas.odd
        texture, planes = textures or (scene.clean_texels if clean else scene.texels, None)
        look = self._gain, self._spread, WARMTH
        limits = np.linspace(0, len(canvas.fine_depth), len(shares) + 1).astype(int).tolist()

        def finish(k: int, rows: Rows) -> None:
            numbers = rows, limits[k], limits[k + 1]
            refine(mesh, drawn, scene.layers, self._jump, *numbers, views[k], edges, fine)
            if out.ndim == 2:
                shown = planes or scene.planes(self._step)
                painting.paint_planes(texture, *shown, *self._painted, look, rows, planes_of(out))
            else:
                painting.paint(texture, *self._painted, look, rows, out)

        crew.each(shares, finish)

    def paint_matte(self, out: ByteArray) -> None:
        """The opacity of the mesh that was last painted, three times the same [size, size, 3]."""
        scene, (offsets, layers, seen, (vertices, triangles, maps), fine, *tiles) = self._scene, self._painted
        unshaded = maps.copy()
        unshaded[:, 2] = 1
        fine[1][..., 2] = 1
        look, mesh = (np.ones(3, np.float32), self._spread, np.float32(0)), (vertices, triangles, unshaded)
        painting.paint(scene.matte, offsets, layers, seen, mesh, fine, *tiles, look, (0, self.size), out)
