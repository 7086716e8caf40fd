"""Which frames of a film would serve as its portrait: lips closed, eyes open, facing, calm, and sharp."""

from __future__ import annotations

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, ByteArray, FloatArray
from engine.face import measures
from engine.face import topology as top
from engine.face.morphable_model import face_model
from engine.face.panels import LUMA

OPEN, SHUT, TURNED, BOWED, MOVING = 0.0125, 0.02, 8.0, 10.0, 0.01  # what costs as much as one another
CANDIDATES = 5
APART = FRAMES_PER_SECOND // 2  # frames between two candidates
SHARP = 0.5  # of the sharpest candidate's: what is softer is passed over


def angles_of(landmarks: FloatArray) -> FloatArray:
    """Yaw, pitch, roll in degrees [T, 3] of [T, 478, 3]; NaN where no face is."""
    model = face_model()
    none = (np.nan,) * 3
    return np.array([measures.head_angles(f, model) if np.isfinite(f[0, 0]) else none for f in landmarks], np.float32)


def candidates(landmarks: FloatArray) -> list[int]:
    """Frames of [T, 478, 3] that would serve, the best first, by what the tracker says."""
    unit = np.linalg.norm(landmarks[:, 33, :2] - landmarks[:, 263, :2], axis=1)
    gap = np.linalg.norm(landmarks[:, 13, :2] - landmarks[:, 14, :2], axis=1) / unit
    eyes = np.array([min(measures.eye_aspect_ratio(f, side) for side in ("left", "right")) for f in landmarks])
    angles = angles_of(landmarks)
    middle = landmarks[:, : top.VERTICES, :2].mean(1) / unit[:, None]
    speed = np.linalg.norm(np.gradient(middle, axis=0), axis=1) if len(middle) > 1 else np.zeros(len(middle))
    cost = np.maximum(gap - np.nanpercentile(gap, 2), 0) / OPEN
    cost += np.maximum(np.nanpercentile(eyes, 80) - eyes, 0) / SHUT
    cost += np.abs(angles[:, 0]) / TURNED + np.abs(angles[:, 1] - np.nanmedian(angles[:, 1])) / BOWED
    cost += speed / MOVING
    cost = np.where(np.isfinite(cost), cost, np.inf)
    out: list[int] = []
    for k in np.argsort(cost):
        if np.isfinite(cost[k]) and all(abs(int(k) - other) >= APART for other in out):
            out.append(int(k))
        if len(out) == CANDIDATES:
            break
    return out


def sharpness(picture: ByteArray, landmarks: FloatArray) -> float:
    """How much brightness differs between neighbours of a face, for its own brightness; [478, 3] in the picture."""
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    x, y = np.clip(low, 0, None).astype(int)
    luma = picture[y : int(high[1]) + 1, x : int(high[0]) + 1].astype(np.float32) @ LUMA
    if min(luma.shape) < 8:
        return 0.0
    step = max(1, min(luma.shape) // 256)
    luma = luma[::step, ::step]
    bend = 4 * luma[1:-1, 1:-1] - luma[:-2, 1:-1] - luma[2:, 1:-1] - luma[1:-1, :-2] - luma[1:-1, 2:]
    return float(np.abs(bend).mean() / max(float(luma.mean()), 8.0))


def sharpest_first(order: list[int], sharp: list[float]) -> list[int]:
    """``order`` without those much softer than the sharpest, which come last."""
    most = max(sharp, default=0.0)
    clear = [k for k, s in zip(order, sharp, strict=True) if s >= SHARP * most]
    return clear + [k for k in order if k not in clear]
