"""Pictures brighter than white (HDR), as an ordinary screen shows them: from PQ and HLG in BT.2020 to sRGB.

PQ says how bright a screen shall be (SMPTE ST 2084); HLG what the camera saw, shown with a gamma of 1.2 by a screen of
1000 cd/m² (BT.2100). White is at 203 cd/m² (BT.2408). Colours go to BT.709's (BT.2087). What is brighter than white no
standard maps for all: a soft shoulder from three quarters of white on holds it, each colour's channels alike.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from engine.contracts import ByteArray, FloatArray

PQ, HLG = 16, 18  # curves, by their numbers in H.273, table 3
WHITE, PEAK = 203.0, 1000.0  # cd/m²
GAMMA = 1.2  # of such a screen, from the camera's light to its own
LIGHT = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020's red, green and blue
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
SHOULDER = 0.75  # of white
FULL = 65280  # what swscale makes of a full channel in 16 bits: 255 * 256
STEPS = 4096  # of the curve back to bytes
AT_ONCE = 1 << 15  # pixels: what is small stays in the cache


def to_sdr(codes: np.ndarray, curve: int) -> ByteArray:
    """sRGB bytes [H, W, 3] of ``codes`` [H, W, 3] in 16 bits, of BT.2020's colours by the ``curve`` PQ or HLG."""
    flat = codes.reshape(-1, 3)
    out = np.empty(flat.shape, np.uint8)
    for begin in range(0, len(flat), AT_ONCE):
        light = _light(curve)[flat[begin : begin + AT_ONCE]]
        if curve == HLG:
            light *= (np.maximum(light @ LIGHT, 1e-6) ** (GAMMA - 1) * (PEAK / WHITE))[:, None]
        light = np.maximum(light @ TO_709.T, 0)
        most = np.maximum(light.max(1), 1e-6)
        light *= (np.where(most > SHOULDER, shoulder(most), most) / most)[:, None]
        out[begin : begin + AT_ONCE] = _bytes()[(light * (STEPS - 1) + 0.5).astype(np.int32)]
    return out.reshape(codes.shape)


def shoulder(light: FloatArray) -> FloatArray:
    """``light`` beyond `SHOULDER`, in shares of white, so that it never reaches white, and begins without a bend."""
    return np.asarray(1 - (1 - SHOULDER) * np.exp((SHOULDER - light) / (1 - SHOULDER)), np.float32)


@cache
def _light(curve: int) -> FloatArray:
    """What each code stands for [65536]: shares of white on a screen (PQ), of the camera's range (HLG)."""
    code = np.minimum(np.arange(1 << 16) / FULL, 1)
    if curve == PQ:
        root = code ** (32 / 2523)  # 1 / m2, m2 = 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
        shown = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (16384 / 2610)
        return np.asarray(shown * 10_000 / WHITE, np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12), np.float32)


@cache
def _bytes() -> ByteArray:
    """sRGB's byte of each of `STEPS` shares of white."""
    share = np.arange(STEPS) / (STEPS - 1)
    curve = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * curve), np.uint8)
