"""Speech from any sound file, or film with sound, that PyAV reads."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from engine.contracts import SAMPLE_RATE, FloatArray
from engine.errors import VivifyError

MAX_SECONDS = 1800  # half an hour of speech is 115 MB at 16 kHz; more is refused
MAX_CHANNELS = 64


def read_speech(path: Path, rate: int = SAMPLE_RATE, max_seconds: float = MAX_SECONDS) -> FloatArray:
    """The first sound stream of a file, mixed down to one channel: float32 [n] in [-1, 1] at ``rate`` Hz.

    Any sample rate, channel count and sample format will do. Raises VivifyError, in one sentence, for a file that
    cannot be read, holds no sound or none of it, is longer than ``max_seconds``, or holds samples that are not
    numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise VivifyError(f"A sound file was expected at '{path}', but there is none: check the path.")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            samples = _decode(container, path, rate, max_seconds)
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise VivifyError(
            f"'{path}' was expected to be a sound file, but it cannot be read ({_reason(error)}): convert it to wav."
        ) from error
    if not len(samples):
        raise VivifyError(f"'{path}' was expected to hold speech, but it holds 0 s of sound: record it again.")
    if not np.isfinite(samples).all():
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        raise VivifyError(
            f"'{path}' was expected to hold numbers, but {bad} of its samples are NaN or infinite: export it again."
        )
    peak = float(np.abs(samples).max())
    return samples / peak if peak > 1 else samples  # mixed-down channels may add up to more than full scale


def _decode(container: av.container.InputContainer, path: Path, rate: int, max_seconds: float) -> FloatArray:
    if not container.streams.audio:
        raise VivifyError(f"'{path}' was expected to hold sound, but it has no audio stream: choose another file.")
    stream = container.streams.audio[0]
    if not 1 <= stream.codec_context.channels <= MAX_CHANNELS:
        raise VivifyError(
            f"'{path}' was expected to have 1 to {MAX_CHANNELS} channels, but it has {stream.codec_context.channels}."
        )
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    parts: list[FloatArray] = []
    count = 0
    for frame in container.decode(stream):
        frame.pts = None  # the sound is taken as it lies, whatever its time stamps say
        for out in resampler.resample(frame):
            parts.append(_flat(out))
            count += out.samples
        if count > max_seconds * rate:
            raise VivifyError(f"'{path}' is longer than {max_seconds:.0f} s, the most that is taken: cut it.")
    if count or parts:
        parts += [_flat(out) for out in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _flat(frame: av.AudioFrame) -> FloatArray:
    return frame.to_ndarray().reshape(-1).astype(np.float32)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0][:120]
