"""From the posed scene to RGB: rasterize, find the edges, refine them, paint. Buffers are kept between frames."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.render.crew import ALONE, Crew, Rows
from engine.render.projection import Scene, Shown
from kernels.cpu import edges, numba_kernels, painting

JUMP = 3.0  # texture pixels between neighbours that make an edge
SPREAD = 2.0  # texture pixels within which an edge pixel's points still agree
WARMTH = np.float32(0.22)  # how much redder shade is than light
EDGE_SHARE = 0.06  # of all pixels that may be refined; a talking head needs a tenth of it


class Compositor:
    """Paints one scene, frame after frame, into a square of ``size`` pixels, ``step`` texture pixels for each."""

    def __init__(self, scene: Scene, size: int, step: float = 1.0) -> None:
        self._jump, self._spread = JUMP * max(step, 1.0), SPREAD * max(step, 1.0)
        self._scene = scene
        self.size = size
        self.triangles = scene.triangles
        self.layers = scene.layers
        shape = (size, size)
        self.depth = np.empty(shape, np.float32)
        self.which = np.empty(shape, np.int32)
        channels = scene.maps.shape[1]
        self.places = np.empty((2, *shape), np.float32)  # where in the texture each pixel looks
        self._special = np.zeros(len(scene.triangles), np.bool_)  # triangles of the frame that are shaded or mirrored
        self._slots = np.empty(shape, np.int32)
        tiles = (size + numba_kernels.TILE - 1) // numba_kernels.TILE
        self._tiles = np.empty((tiles, tiles), np.uint8)
        most = int(EDGE_SHARE * size * size)
        self._fine_depth = np.empty((most, numba_kernels.SAMPLES), np.float32)
        self._fine_which = np.empty((most, numba_kernels.SAMPLES), np.int32)
        self._gain = scene.mirror_gain
        self._fine_maps = np.empty((most, numba_kernels.SAMPLES, channels), np.float32)
        self._window = np.empty(shape, np.uint8)
        self._fine_window = np.empty((most, numba_kernels.SAMPLES), np.uint8)

    def paint(
        self,
        vertices: FloatArray,
        maps: FloatArray,
        shown: Shown,
        out: ByteArray,
        clean: bool = False,
        crew: Crew = ALONE,
    ) -> None:
        """Paint ``vertices`` [V, 3], in pixels of ``out`` [size, size, 3], as far as they are ``shown``.

        ``clean`` keeps the background's colours out of the person's soft edges; ``crew`` shares the work.
        """
        scene, first = self._scene, shown.behind
        front, facing = scene.triangles[: shown.before], scene.facing
        pixels = self.depth, self.which, self.places, self._special
        shares = crew.shares(self.size, numba_kernels.TILE)

        def see(_: int, rows: Rows) -> None:
            self.depth[slice(*rows)], self.which[slice(*rows)] = numba_kernels.FAR, -1
            numba_kernels.see(vertices, front, facing, maps, rows, *pixels)

        crew.each(shares, see)
        if shown.opening:
            span = numba_kernels.open_window(self.which, self.depth, *shown.opening, self._window)
            behind = vertices, scene.triangles[first:], maps, first, self._window, span
            numba_kernels.see_within(*behind, *pixels)
        self._painted = (
            (self.which, self.places, self._slots, self._special),
            (vertices, scene.triangles, maps),
            (self._fine_which, self._fine_maps),
        )
        texture = scene.clean_texels if clean else scene.texels
        look = self._gain, self._spread, WARMTH
        limits = np.linspace(0, len(self._fine_depth), len(shares) + 1).astype(int).tolist()

        def finish(k: int, rows: Rows) -> None:
            self._refine(vertices, maps, shown, rows, limits[k], limits[k + 1])
            painting.paint(texture, scene.offsets, scene.layers, *self._painted, *look, rows, out)

        crew.each(shares, finish)

    def _refine(self, vertices: FloatArray, maps: FloatArray, shown: Shown, rows: Rows, first: int, limit: int) -> None:
        """Find the edges of some rows, numbered from ``first`` to before ``limit``, and draw them at eight points."""
        scene, behind = self._scene, shown.behind
        self._tiles[rows[0] // numba_kernels.TILE : -(-rows[1] // numba_kernels.TILE)] = 0
        given = self.which, self.places, scene.layers, self._jump, rows, first, limit
        mine = slice(first, edges.find_edges(*given, self._slots, self._tiles))
        self._fine_depth[mine], self._fine_which[mine], self._fine_window[mine] = numba_kernels.FAR, -1, 1
        where = rows, self._slots, self._tiles, self._fine_window
        fine = self._fine_depth, self._fine_which
        numba_kernels.supersample(vertices, scene.triangles[: shown.before], scene.facing, *where, 0, *fine)
        if shown.opening:
            cut = self._fine_which[mine], self._fine_depth[mine], *shown.opening, self._fine_window[mine]
            numba_kernels.open_window(*cut)
            numba_kernels.supersample(vertices, scene.triangles[behind:], scene.facing[behind:], *where, behind, *fine)
        numba_kernels.interpolate_points(vertices, scene.triangles, maps, *where[:3], self._fine_which, self._fine_maps)

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
