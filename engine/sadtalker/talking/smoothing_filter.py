"""The Savitzky-Golay filter that hides PoseVAE's seams: a parabola through each frame's neighbours."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

WINDOW, ORDER = 13, 2


@lru_cache(maxsize=16)
def _projection(window: int) -> Tensor:
    """Values [window] -> those of the best parabola through them, as a matrix [window, window], float64."""
    powers = torch.linspace(-1.0, 1.0, window, dtype=torch.float64)[:, None] ** torch.arange(ORDER + 1)
    return powers @ torch.linalg.pinv(powers)


def smoothed(poses: Tensor) -> Tensor:
    """A whole film's poses [T, P], smoothed; where it is shorter than the window, the window is shorter.

    The first and the last frames lie on the parabola through the outermost window. Fewer than three stay as they are:
    the released code fails there.
    """
    window = min(WINDOW, (len(poses) - 1) // 2 * 2 + 1)
    if window <= ORDER:
        return poses
    half, fit = window // 2, _projection(window)
    wide = poses.double()
    inside = wide.unfold(0, window, 1) @ fit[half]
    return torch.cat([fit[:half] @ wide[:window], inside, fit[half + 1 :] @ wide[-window:]]).to(poses.dtype)
