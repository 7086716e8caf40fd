"""How much of each pixel is a person: one network over the whole picture, at 256 pixels a side."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.trackers.region import Region
from engine.enrolment.trackers.tracker_session import tracker

SIDE = 256


def person_matte(rgb: ByteArray) -> FloatArray:
    """In [0, 1] for each pixel of ``rgb`` [H, W, 3]: [H, W]."""
    cut = Region.whole(rgb).cut(rgb, SIDE, repeat=False)
    (small,) = tracker("person").run(None, {"picture": cut})
    return _enlarge(_enlarge(small, rgb.shape[0]).T, rgb.shape[1]).T


def _enlarge(rows: FloatArray, count: int) -> FloatArray:
    """``rows`` [n, m] as [count, m], straight between their middles."""
    at = np.clip((np.arange(count, dtype=np.float32) + 0.5) * (len(rows) / count) - 0.5, 0, len(rows) - 1)
    first = np.minimum(at.astype(int), len(rows) - 2)
    share = (at - first)[:, None].astype(np.float32)
    return np.asarray(rows[first] * (1 - share) + rows[first + 1] * share, np.float32)
