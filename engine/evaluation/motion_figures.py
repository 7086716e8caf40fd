"""Figures of how a face moves in a film: whether its head keeps the voice's beats, how varied it is, how it blinks."""

from __future__ import annotations

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, SAMPLE_RATE, ByteArray, FloatArray
from engine.evaluation.foreign_networks import FeatureNet
from engine.face import topology as top
from engine.imaging.resampling import resized

SIGMA = 3.0  # frames: Bailando's, whose score it is
HOPENET_SIDE = 224
_MEAN, _SPREAD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of the pictures Hopenet saw
_ONSET = 0.025  # rise of the energy in 10 ms, in log-mel units, that is a beat
_SHUT = 0.55  # of how open an eye usually is: below that it blinks
_LONGEST = 15  # frames; eyes shut for longer are shut


def sound_beats(samples: FloatArray) -> FloatArray:
    """When syllables begin, in frames: peaks of the rise of the voice's energy."""
    import torch
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    from engine.audio.mel import HOP, LogMel

    whole = len(samples) // HOP * HOP
    if whole == 0:
        return np.zeros(0)
    mel = LogMel()(torch.from_numpy(np.ascontiguousarray(samples[:whole], np.float32))[None])[0].numpy()
    level = np.log(np.exp(4 * (mel - 1)).sum(1)) / 4  # of all bands together, in the units of log-mel
    flux = gaussian_filter1d(np.maximum(np.diff(level, prepend=level[:1]), 0), 2.0)
    peaks, _ = find_peaks(flux, height=_ONSET, prominence=_ONSET, distance=10)
    return np.asarray(peaks * HOP * FRAMES_PER_SECOND / SAMPLE_RATE)


def head_beats(angles: FloatArray) -> FloatArray:
    """When a head [T, 3] turns from one movement to the next, in frames: the local minima of its speed."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    if len(angles) < 3:
        return np.zeros(0)
    speed = gaussian_filter1d(np.linalg.norm(np.diff(angles, axis=0), axis=1), 1.0)
    return np.asarray(find_peaks(-speed)[0] + 1.0)


def beat_align(sounds: FloatArray, heads: FloatArray, sigma: float = SIGMA) -> float:
    """Beat Align Score (Bailando, Siyao et al. 2022, eq. 9) of the sound's beats [N] and the head's [M], in frames.

    The mean over the sound's beats of exp(-d^2 / 2 sigma^2), d being the distance to the head's nearest beat: 1 where
    they coincide. 0 where either has none.
    """
    if not len(sounds) or not len(heads):
        return 0.0
    apart = np.abs(sounds[:, None] - heads).min(1)
    return float(np.exp(-(apart**2) / (2 * sigma**2)).mean())


def diversity(features: FloatArray) -> float:
    """Diversity as SadTalker has it: the standard deviation over time of features [T, F] of the head, mean over F."""
    return float(features.std(0).mean()) if len(features) > 1 else 0.0


def hopenet_diversity(hopenet: FeatureNet, faces: ByteArray) -> float:
    """`diversity` of Hopenet's features of face crops [T, H, W, 3]; it takes RGB as ImageNet's networks do."""
    small = np.stack([resized(face, HOPENET_SIDE, HOPENET_SIDE) for face in faces]).astype(np.float32) / 255
    return diversity(hopenet(((small - _MEAN) / _SPREAD).transpose(0, 3, 1, 2).astype(np.float32)))


def eye_opening(landmarks: FloatArray) -> FloatArray:
    """How open both eyes are [T], height by width, of landmarks [T, 478, 3] (Soukupova, Cech 2016)."""
    found = []
    for upper, lower in ((top.EYE_RIGHT_UPPER, top.EYE_RIGHT_LOWER), (top.EYE_LEFT_UPPER, top.EYE_LEFT_LOWER)):
        up, low = landmarks[:, list(upper), :2], landmarks[:, list(lower), :2]
        width = np.linalg.norm(up[:, 0] - up[:, -1], axis=1)
        height = np.linalg.norm(up[:, 1:-1] - low[:, 1:-1], axis=2).mean(1)
        found.append(height / np.maximum(width, 1e-6))
    return np.asarray(np.mean(found, 0))


def blink_rate(opening: FloatArray) -> float:
    """Blinks a minute of eyes [T] at 25 a second: how often they fall below `_SHUT` of what is usual around then."""
    from scipy.ndimage import median_filter

    if len(opening) < 3:
        return 0.0
    usual = np.maximum(median_filter(opening, min(len(opening), 75)), np.percentile(opening, 50) * 0.5)
    shut = np.r_[False, opening < _SHUT * usual, False]
    begins, ends = np.flatnonzero(~shut[:-1] & shut[1:]), np.flatnonzero(shut[:-1] & ~shut[1:])
    blinks = int((ends - begins <= _LONGEST).sum())
    return 60 * FRAMES_PER_SECOND * blinks / len(opening)
