"""Transparency: the person's matte as a texture, and colours of the person alone where hair and background mix."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face.surround import smoothstep

PURE = (0.90, 0.995)  # opacity from which a pixel's own colour counts, and from which it alone does


def clean_colours(picture: ByteArray, opacity: ByteArray) -> ByteArray:
    """``picture`` [h, w, 3] with what shines through at soft edges replaced by the opaque colours beside it.

    Wherever the person is pasted, no fringe of the old background comes along. ``opacity`` [h, w] is 255 on the person.
    """
    share = smoothstep((opacity.astype(np.float32) / 255 - PURE[0]) / (PURE[1] - PURE[0])).astype(np.float32)[..., None]
    spread = _spread(picture.astype(np.float32), share)
    return np.asarray(share * picture + (1 - share) * spread + 0.5, np.float32).astype(np.uint8)


def _spread(colours: FloatArray, weight: FloatArray) -> FloatArray:
    """Colours [h, w, 3] where ``weight`` [h, w, 1] is above 0, and elsewhere those nearby: averages of halved sizes."""
    if min(colours.shape[:2]) <= 2:
        mean = (colours * weight).sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return np.broadcast_to(mean, colours.shape)
    height, width = (n + n % 2 for n in colours.shape[:2])
    pad = ((0, height - colours.shape[0]), (0, width - colours.shape[1]), (0, 0))
    sums = np.pad(colours * weight, pad).reshape(height // 2, 2, width // 2, 2, 3).sum((1, 3))
    known = np.pad(weight, pad).reshape(height // 2, 2, width // 2, 2, 1).sum((1, 3))
    coarse = _spread(sums / np.maximum(known, 1e-6), np.minimum(known, 1))
    finer = _soften(coarse.repeat(2, 0).repeat(2, 1))[: colours.shape[0], : colours.shape[1]]
    own = np.minimum(weight * 4, 1)
    return np.asarray(own * colours + (1 - own) * finer, np.float32)


def _soften(colours: FloatArray) -> FloatArray:
    """Each pixel averaged with its neighbours, so that no blocks show."""
    for axis in (0, 1):
        wide = np.pad(colours, [(1, 1) if k == axis else (0, 0) for k in range(3)], mode="edge")
        before, after = np.delete(wide, [-2, -1], axis), np.delete(wide, [0, 1], axis)
        colours = 0.25 * before + 0.5 * colours + 0.25 * after
    return np.asarray(colours, np.float32)
