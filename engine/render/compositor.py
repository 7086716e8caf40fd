"""From the posed scene to RGB: rasterize, find the edges, refine them, paint."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.render.canvas import Canvas
from engine.render.crew import ALONE, Crew, Rows
from engine.render.projection import Scene, Shown
from kernels.cpu import edges, numba_kernels, painting

JUMP = 3.0  # texture pixels between neighbours that make an edge
SPREAD = 2.0  # texture pixels within which an edge pixel's points still agree
WARMTH = np.float32(0.22)  # how much redder shade is than light


class Compositor:
    """Paints one scene, frame after frame, into a square of ``size`` pixels, ``step`` texture pixels for each."""

    def __init__(self, scene: Scene, size: int, step: float = 1.0) -> None:
        self._jump, self._spread = JUMP * max(step, 1.0), SPREAD * max(step, 1.0)
        self._scene = scene
        self.size = size
        self.triangles = scene.triangles
        self.layers = scene.layers
        self._special = np.zeros(len(scene.triangles), np.bool_)  # triangles of the frame that are shaded or mirrored
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
    ) -> None:
        """Paint ``vertices`` [V, 3], in pixels of ``out`` [size, size, 3], as far as they are ``shown``, on ``canvas``.

        ``clean`` keeps the background's colours out of the person's soft edges; ``crew`` shares the work.
        """
        scene, first, self._canvas = self._scene, shown.behind, canvas
        front, facing = scene.triangles[: shown.before], scene.facing
        pixels = canvas.depth, canvas.which, canvas.places, self._special
        shares = crew.shares(self.size, numba_kernels.TILE)

        def see(_: int, rows: Rows) -> None:
            canvas.depth[slice(*rows)], canvas.which[slice(*rows)] = numba_kernels.FAR, -1
            numba_kernels.see(vertices, front, facing, maps, rows, *pixels)

        crew.each(shares, see)
        if shown.opening:
            span = numba_kernels.open_window(canvas.which, canvas.depth, *shown.opening, canvas.window)
            behind = vertices, scene.triangles[first:], maps, first, canvas.window, span
            numba_kernels.see_within(*behind, *pixels)
        self._painted = (
            (canvas.which, canvas.places, canvas.slots, self._special),
            (vertices, scene.triangles, maps),
            (canvas.fine_which, canvas.fine_maps(maps.shape[1])),
        )
        texture = scene.clean_texels if clean else scene.texels
        look = self._gain, self._spread, WARMTH
        limits = np.linspace(0, len(canvas.fine_depth), len(shares) + 1).astype(int).tolist()

        def finish(k: int, rows: Rows) -> None:
            self._refine(vertices, maps, shown, rows, limits[k], limits[k + 1])
            painting.paint(texture, scene.offsets, scene.layers, *self._painted, *look, rows, out)

        crew.each(shares, finish)

    def _refine(self, vertices: FloatArray, maps: FloatArray, shown: Shown, rows: Rows, first: int, limit: int) -> None:
        """Find the edges of some rows, numbered from ``first`` to before ``limit``, and draw them at eight points."""
        scene, behind, canvas = self._scene, shown.behind, self._canvas
        canvas.tiles[rows[0] // numba_kernels.TILE : -(-rows[1] // numba_kernels.TILE)] = 0
        given = canvas.which, canvas.places, scene.layers, self._jump, rows, first, limit
        mine = slice(first, edges.find_edges(*given, canvas.slots, canvas.tiles))
        canvas.fine_depth[mine], canvas.fine_which[mine], canvas.fine_window[mine] = numba_kernels.FAR, -1, 1
        where = rows, canvas.slots, canvas.tiles, canvas.fine_window
        fine = canvas.fine_depth, canvas.fine_which
        numba_kernels.supersample(vertices, scene.triangles[: shown.before], scene.facing, *where, 0, *fine)
        if shown.opening:
            cut = canvas.fine_which[mine], canvas.fine_depth[mine], *shown.opening, canvas.fine_window[mine]
            numba_kernels.open_window(*cut)
            numba_kernels.supersample(vertices, scene.triangles[behind:], scene.facing[behind:], *where, behind, *fine)
        carried = canvas.fine_maps(maps.shape[1])
        numba_kernels.interpolate_points(vertices, scene.triangles, maps, *where[:3], canvas.fine_which, carried)

    def paint_matte(self, out: ByteArray) -> None:
        """The opacity of the mesh that was last painted, three times the same [size, size, 3]."""
        scene, (seen, (vertices, triangles, maps), fine) = self._scene, self._painted
        unshaded = maps.copy()
        unshaded[:, 2] = 1
        fine[1][..., 2] = 1
        look = np.ones(3, np.float32), self._spread, np.float32(0), (0, self.size)
        painting.paint(
            scene.matte, scene.offsets, scene.layers, seen, (vertices, triangles, unshaded), fine, *look, out
        )
