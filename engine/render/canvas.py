"""The buffers that one picture is painted with: nobody's own, for nothing in them outlives it."""

from __future__ import annotations

import numpy as np

from kernels.cpu import numba_kernels

EDGE_SHARE = 0.06  # of all pixels that may be refined; a talking head needs a tenth of it
MOST_CHANNELS = 6  # of `Scene.maps`


class Canvas:
    """Room for one picture of ``size`` pixels, whoever's it is; 10 MB at 512, and what is never used is not taken.

    What each pixel sees: ``depth``, ``which`` [size, size] and ``places`` [2, size, size], where in the texture. Where
    surfaces end: ``slots`` [size, size] numbers such pixels, ``edged`` [size, t] and ``tiles`` [t, t] tell where any
    are, and the ``fine_`` ones [n, 8] are what their points see. ``odd`` [t, t] tells where a texture may not be shown
    as it is, ``ending`` [t, t] where surfaces may end at all.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        shape = (size, size)
        self.depth = np.empty(shape, np.float32)
        self.which = np.empty(shape, np.int32)
        self.places = np.empty((2, *shape), np.float32)
        self.window = np.empty(shape, np.uint8)  # what lies in an opening
        self.slots = np.empty(shape, np.int32)
        self.room = np.empty(2 * size * size, np.float32)  # what is laid on a mesh afterwards looks up its places here
        tiles = -(-size // numba_kernels.TILE)
        self.edged = np.empty((size, tiles), np.uint16)
        self.tiles = np.empty((tiles, tiles), np.uint8)
        self.odd, self.ending = np.empty((2, tiles, tiles), np.uint8)
        most = int(EDGE_SHARE * size * size)
        self.fine_depth = np.empty((most, numba_kernels.SAMPLES), np.float32)
        self.fine_which = np.empty((most, numba_kernels.SAMPLES), np.int32)
        self.fine_window = np.empty((most, numba_kernels.SAMPLES), np.uint8)
        self._fine_maps = np.empty(most * numba_kernels.SAMPLES * MOST_CHANNELS, np.float32)

    def view(self, special: np.ndarray, spots: np.ndarray) -> tuple[np.ndarray, ...]:
        """What pixels see, as `kernels.cpu.scene_steps` takes it; ``special`` and ``spots`` [F] are of triangles."""
        return self.depth, self.which, self.places, special, self.odd, self.ending, spots

    def fine(self, channels: int) -> tuple[np.ndarray, ...]:
        """What edges' points see, as it takes it: depth, which, window [n, 8], and what they carry [n, 8, channels]."""
        shape = (*self.fine_which.shape, channels)
        carried = self._fine_maps[: np.prod(shape)].reshape(shape)
        return self.fine_depth, self.fine_which, self.fine_window, carried
