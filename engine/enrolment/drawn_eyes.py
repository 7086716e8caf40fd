"""Eyes of drawn characters: larger than any tracker expects, and bounded by ink instead of by lids."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.panels import LUMA, SKIN

EYES = (
    (top.EYE_RIGHT, top.EYE_RIGHT_UPPER, top.EYE_RIGHT_RING),
    (top.EYE_LEFT, top.EYE_LEFT_UPPER, top.EYE_LEFT_RING),
)
SHARES = np.linspace(1, 2, 41)  # how far from an eye's middle to look, in what the tracker takes its lids to be
LIKE_SKIN = 0.18  # of the skin's brightness that any channel may differ from it
INK, PAPER = 0.35, 1.1  # of the skin's brightness: black outlines, and whites as no eye in any light has them
COLUMNS = 0.4  # of those above a lid in which one must lie beyond the other


def reach_outlines(face: FloatArray, image: ByteArray, tones: FloatArray) -> FloatArray:
    """``face`` [468, 3] with the lids of drawn eyes moved out to where the skin begins; others stay as they are.

    Eyes are drawn where paper, and beyond it ink, lie above both lids that the tracker sees: under painted lids the ink
    comes first. ``tones`` are `Avatar.tones`.
    """
    light = float(tones[SKIN] @ LUMA)
    around = [_around(face[list(loop), :2], image) for loop, _, _ in EYES]
    if not all(_is_drawn((pixels[:, 1 : len(top.EYE_RIGHT_UPPER) - 1] @ LUMA) / light) for pixels in around):
        return face
    out = face.copy()
    for pixels, (loop, upper, ring) in zip(around, EYES, strict=True):
        rows = np.array(loop)
        skin = np.abs(pixels - tones[SKIN]).max(-1) < LIKE_SKIN * light
        begins = skin[:-2] & skin[1:-1] & skin[2:]  # one sample alone may be anything
        found = begins.any(0)
        if found.sum() < len(rows) // 2:
            continue
        first = SHARES[begins.argmax(0)[found]]
        reach = np.interp(np.arange(len(rows)), np.flatnonzero(found), first, period=len(rows))
        reach = np.median([np.roll(reach, k) for k in (-1, 0, 1)], axis=0)
        middle = face[rows, :2].mean(0)
        out[rows, :2] = middle + reach[:, None] * (face[rows, :2] - middle)
        out[list(ring), :2] += (out - face)[list(upper[1:-1]), :2]
    return out


def _is_drawn(above: FloatArray) -> bool:
    """Whether paper lies between a lid and the ink beyond it; ``above`` [41, 7] is as bright as shares of the skin."""
    if above.min() > INK:
        return False
    paper = np.maximum.accumulate(above > PAPER, axis=0)
    return bool(((above < INK) & paper).any(0).mean() > COLUMNS)


def _around(loop: FloatArray, image: ByteArray) -> FloatArray:
    """Colours [41, 16, 3] of ``image`` from an eye's ``loop`` [16, 2] outwards, away from its middle."""
    middle = loop.mean(0)
    at = middle + SHARES[:, None, None] * (loop - middle)
    x, y = (np.clip(at[..., k].round().astype(int), 0, image.shape[0] - 1) for k in range(2))
    return image[y, x].astype(np.float32)
