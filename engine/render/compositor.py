"""From the posed scene to RGB: rasterize, find the edges, refine them, paint. Buffers are kept between frames."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
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
        self._faces = scene.triangles.copy()  # of the frame: what is not to be drawn has three times the same corner
        self._fine_window = np.empty((most, numba_kernels.SAMPLES), np.uint8)

    def paint(self, vertices: FloatArray, maps: FloatArray, shown: Shown, out: ByteArray, clean: bool = False) -> None:
        """Paint ``vertices`` [V, 3], in pixels of ``out`` [size, size, 3], as far as they are ``shown``.

        ``clean`` keeps the background's colours out of the person's soft edges.
        """
        scene = self._scene
        away = scene.seen_from_behind(vertices)
        self._faces[: len(away)] = np.where(away[:, None], 0, scene.triangles[: len(away)])
        faces, first, whole = self._faces[: shown.before], shown.behind, (0, self.size)
        self.depth[:], self.which[:] = numba_kernels.FAR, -1
        seen = self.depth, self.which, self.places, self._special
        numba_kernels.see(vertices, faces, maps, whole, *seen)
        if shown.opening:
            span = numba_kernels.open_window(self.which, self.depth, *shown.opening, self._window)
            behind = vertices, scene.triangles[first:], maps, first, self._window, span
            numba_kernels.see_within(*behind, *seen)
        most = len(self._fine_depth)
        given = self.which, self.places, scene.layers, self._jump, whole, 0, most
        self._tiles[:] = 0
        count = edges.find_edges(*given, self._slots, self._tiles)
        fine = self._fine_depth[:count], self._fine_which[:count], self._fine_maps[:count]
        fine[0][:], fine[1][:], near = numba_kernels.FAR, -1, self._fine_window[:count]
        near[:] = 1
        where = self._slots, self._tiles, near
        numba_kernels.supersample(vertices, faces, *where, 0, *fine[:2])
        if shown.opening:
            numba_kernels.open_window(fine[1], fine[0], *shown.opening, near)
            numba_kernels.supersample(vertices, scene.triangles[first:], *where, first, *fine[:2])
        numba_kernels.interpolate_points(vertices, scene.triangles, maps, *where[:2], *fine[1:])
        self._painted = (
            (self.which, self.places, self._slots, self._special),
            (vertices, scene.triangles, maps),
            fine[1:],
        )
        atlas = scene.clean_texels if clean else scene.texels
        look = self._gain, self._spread, WARMTH, whole
        painting.paint(atlas, scene.offsets, scene.layers, *self._painted, *look, out)

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
