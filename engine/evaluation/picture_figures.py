"""Figures of pictures: likeness, sharpness, steadiness. Pictures are RGB [T, H, W, 3] uint8 or one of them."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.evaluation import canny

BLOCK = 64  # pixels; CPBD judges contrast block by block
EDGES_NEEDED = 0.002  # of a block's pixels, or the block says nothing about sharpness
_SSIM_REACH = 5  # pixels from the middle of its window to the end
_SSIM_LIGHT, _SSIM_STRUCTURE = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_JUST_NOTICED = (5.0, 3.0)  # edge width in pixels at which blur is just noticed, at low and at high contrast
_LOW_CONTRAST = 50  # grey levels
_BETA = 3.6
_JUST_BLURRED = 0.635  # an edge just as wide as is noticed has 1 - 1/e


def psnr(made: ByteArray, truth: ByteArray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, within ``mask`` [..., H, W] where it is given; infinite if equal."""
    error = (made.astype(np.float32) - truth.astype(np.float32)) ** 2
    mean = float(error[mask].mean() if mask is not None else error.mean())
    return float("inf") if mean == 0 else float(10 * np.log10(255**2 / mean))


def ssim(made: ByteArray, truth: ByteArray) -> float:
    """Structural similarity (Wang 2004, Gaussian window), of one picture [H, W, 3]."""
    from scipy.ndimage import gaussian_filter

    def local(x: np.ndarray) -> np.ndarray:
        near = gaussian_filter(x, (1.5, 1.5, 0), truncate=_SSIM_REACH / 1.5)
        return np.asarray(near[_SSIM_REACH:-_SSIM_REACH, _SSIM_REACH:-_SSIM_REACH])

    a, b = made.astype(np.float64), truth.astype(np.float64)
    mean_a, mean_b = local(a), local(b)
    spread_a, spread_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    both = local(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _SSIM_LIGHT) / (mean_a**2 + mean_b**2 + _SSIM_LIGHT)
    structure = (2 * both + _SSIM_STRUCTURE) / (spread_a + spread_b + _SSIM_STRUCTURE)
    return float((light * structure).mean())


def region_error(made: ByteArray, truth: ByteArray, mask: np.ndarray) -> float:
    """Mean absolute difference in grey levels inside ``mask`` [H, W] of pictures [H, W, 3]."""
    return float(np.abs(made[mask].astype(np.float32) - truth[mask].astype(np.float32)).mean())


def flicker(pictures: ByteArray) -> float:
    """How much pictures [T, H, W, 3] shake, in grey levels: the mean distance of each from its neighbours' average.

    Steady motion changes it little, as the average moves along; noise that comes and goes does.
    """
    if len(pictures) < 3:
        return 0.0
    x = pictures.astype(np.float32)
    return float(np.abs(x[1:-1] - 0.5 * (x[:-2] + x[2:])).mean())


def cpbd(grey: ByteArray) -> float:
    """Cumulative probability of blur detection (Narvekar, Karam 2011) of a grey picture [H, W]: 1 sharp, 0 blurred.

    Edges are followed along their row to where brightness stops changing; an edge whose width would not be noticed as
    blur counts as sharp. A picture without edges gives 0.
    """
    x = grey.astype(np.float32)
    slope = np.gradient(x, axis=1)
    edges = canny.edges(x / 255.0) & (np.abs(slope) >= np.abs(np.gradient(x, axis=0)))
    widths = np.where(slope > 0, _run(x), _run(-x))
    sharp = total = 0
    for top in range(0, x.shape[0], BLOCK):
        for left in range(0, x.shape[1], BLOCK):
            block = np.s_[top : top + BLOCK, left : left + BLOCK]
            where = edges[block]
            if where.sum() <= EDGES_NEEDED * where.size:
                continue
            noticed = _JUST_NOTICED[int(np.ptp(x[block]) > _LOW_CONTRAST)]
            blurred = 1 - np.exp(-((widths[block][where] / noticed) ** _BETA))
            sharp += int((blurred <= _JUST_BLURRED).sum())
            total += int(where.sum())
    return sharp / total if total else 0.0


def _run(x: FloatArray) -> FloatArray:
    """Length [H, W] of the strictly rising run along the row that each pixel lies in."""
    rising = np.diff(x, axis=1) > 0  # [H, W - 1]
    before, after = np.zeros_like(x), np.zeros_like(x)
    for k in range(rising.shape[1]):
        before[:, k + 1] = np.where(rising[:, k], before[:, k] + 1, 0)
    for k in range(rising.shape[1] - 1, -1, -1):
        after[:, k] = np.where(rising[:, k], after[:, k + 1] + 1, 0)
    return before + after


def grey_of(rgb: ByteArray) -> ByteArray:
    """Luma (BT.601) of RGB [..., 3]."""
    return np.asarray(np.round(rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)), np.uint8)
