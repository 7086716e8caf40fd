"""What programs push as sound, made float32 [n] in [-1, 1], or one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.contracts import FloatArray
from engine.errors import VivifyError

FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}
LOUDEST = 2.0  # floats beyond are no sound in [-1, 1] that went a little over, but another scale
MOST_CHANNELS = 8


def as_voice(samples: Any) -> FloatArray:
    """Mono samples as float32 [n]: float arrays, lists and tensors as they are, int16 and int32 from their full scale.

    Raises VivifyError for several channels, other integers, another scale, NaN, and what is no array of numbers.
    """
    if isinstance(samples, np.ndarray) and samples.dtype == np.float32 and samples.ndim == 1:
        array = samples
    else:
        array = _array(samples)
    if array.ndim != 1:
        raise VivifyError(_told_shape(array))
    if array.dtype.name in FULL_SCALE:
        return (array / FULL_SCALE[array.dtype.name]).astype(np.float32)
    if array.dtype.kind != "f":
        if not array.size:
            return np.zeros(0, np.float32)
        raise VivifyError(
            f"Sound was expected as floats in [-1, 1] or int16, but {array.dtype.name} came, whose full scale is not "
            "known: convert it, for example with astype(np.int16)."
        )
    peak = float(np.abs(array).max(initial=0.0))  # NaN goes through max
    if not np.isfinite(peak):
        raise VivifyError("Sound was expected to be numbers, but some of the samples are NaN or infinite: look where.")
    if peak > LOUDEST:
        raise VivifyError(
            f"Sound was expected as floats in [-1, 1], but {peak:.4g} came: divide by the full scale, "
            "32768 for what was 16 bit."
        )
    return array.astype(np.float32, copy=False)


def as_pcm16(sound: Any) -> bytes:
    """Sound as little-endian PCM16: bytes as they are, anything else as `as_voice` takes it. Raises VivifyError."""
    if isinstance(sound, (bytes, bytearray, memoryview)):
        data = bytes(sound)
        if len(data) % 2:
            raise VivifyError(f"PCM16 was expected, two bytes a sample, but {len(data)} bytes came: keep them even.")
        return data
    return np.round(np.clip(2**15 * as_voice(sound), -(2**15), 2**15 - 1)).astype("<i2").tobytes()


def _array(samples: Any) -> np.ndarray:
    if callable(detach := getattr(samples, "detach", None)):  # a tensor, wherever it is and whatever it remembers
        samples = detach().cpu()
    try:
        array = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise VivifyError(
            f"Sound was expected as an array of numbers [n], but {type(samples).__name__} came: "
            "give a numpy array, such as np.frombuffer(pcm, np.int16)."
        )
    return array


def _told_shape(array: np.ndarray) -> str:
    shape = list(array.shape)
    advice = "give it one after the other"
    if array.ndim == 2 and min(shape) <= MOST_CHANNELS:
        axis = int(shape[0] > shape[1])
        advice = f"choose a channel, or mix them with samples.mean({axis})"
    return f"Mono sound [n] was expected, but an array of {shape} came: {advice}."
