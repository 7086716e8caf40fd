"""A moved face put back into its photo, without a seam ("full" pictures).

The released code has OpenCV's seamlessClone do it over the whole square (Perez et al. 2003): inside, the picture's own
gradients; on the rim, the photo's colours. So what is added to the picture is harmonic, and on a square it is known in
closed form: sines along each side that fade across.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray


class Blending:
    """Puts pictures into a square of ``side`` pixels, three at least."""

    def __init__(self, side: int) -> None:
        inner = side - 2
        number = np.arange(1, inner + 1)
        self._side = side
        self._sines = np.sin(np.pi * np.outer(number, number) / (inner + 1)).astype(np.float32)
        rate = np.arccosh(2.0 - np.cos(np.pi * number / (inner + 1)))  # of the discrete Laplacian
        away = np.arange(1, inner + 1)[:, None]
        # sinh(rate (n + 1 - away)) / sinh(rate (n + 1)), without its overflow
        fading = np.exp(-rate * away) - np.exp(-rate * (2 * (inner + 1) - away))
        self._fading = (fading / (1.0 - np.exp(-2 * rate * (inner + 1)))).astype(np.float32)  # [away, wave]
        self._share = (np.arange(side) / (side - 1)).astype(np.float32)

    def __call__(self, picture: ByteArray, photo: ByteArray) -> ByteArray:
        """``picture`` and ``photo`` [side, side, 3] -> the picture with the photo's rim."""
        difference = photo.astype(np.float32) - picture
        out = picture + np.stack([self._membrane(difference[..., c]) for c in range(3)], 2)
        return np.clip(np.rint(out), 0, 255).astype(np.uint8)

    def _membrane(self, rim: FloatArray) -> FloatArray:
        """The harmonic surface over the square whose rim is that of ``rim`` [side, side]."""
        t = self._share
        corners = np.array([[rim[0, 0], rim[0, -1]], [rim[-1, 0], rim[-1, -1]]], np.float32)
        surface = np.stack([1 - t, t], 1) @ corners @ np.stack([1 - t, t])
        rest = rim - surface
        surface[0], surface[-1], surface[:, 0], surface[:, -1] = rim[0], rim[-1], rim[:, 0], rim[:, -1]
        inner = surface[1:-1, 1:-1]
        inner += self._from(rest[0, 1:-1])
        inner += self._from(rest[-1, 1:-1])[::-1]
        inner += self._from(rest[1:-1, 0]).T
        inner += self._from(rest[1:-1, -1])[::-1].T
        return surface

    def _from(self, edge: FloatArray) -> FloatArray:
        """What one edge adds inside [away, along]."""
        waves = self._sines @ edge * np.float32(2.0 / (len(edge) + 1))
        return np.asarray((self._fading * waves) @ self._sines, np.float32)
