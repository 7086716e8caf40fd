"""Pictures that flash while sound beeps, once a second: how far apart both arrive, by whatever way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from engine.contracts import ByteArray, FloatArray
from webrtc.media.voice_line import VOICE_RATE, PcmArray

BEGIN, LONG = 12 * 1920, 5 * 1920  # of each second, in samples of 48 kHz: where pictures begin, too
BEEP_HZ = 1000
BRIGHT, LOUD = 128, 0.15  # of 255 and of 1: what is above is a flash, a beep
QUIET_S = 0.1  # before each


def flashes_at(positions: np.ndarray) -> np.ndarray:
    """Whether each place of the timeline is within a flash."""
    within = np.asarray(positions) % VOICE_RATE
    return np.logical_and(within >= BEGIN, within < BEGIN + LONG)


def flashing_picture(position: int, size: int) -> ByteArray:
    """I420 [size * 3 // 2, size], white or black."""
    planes = np.full((size * 3 // 2, size), 128, np.uint8)
    planes[:size] = 235 if flashes_at(np.array([position]))[0] else 16
    return planes


def beeping_sound(position: int, samples: int) -> PcmArray:
    """Int16 [samples]: a tone, or silence."""
    at = position + np.arange(samples)
    return np.where(flashes_at(at), 12_000 * np.sin(2 * np.pi * BEEP_HZ / VOICE_RATE * at), 0).astype(np.int16)


def onsets(times: FloatArray, on: np.ndarray) -> FloatArray:
    """When something begins that was not there for a while."""
    loud: FloatArray = times[on]
    if not len(loud):
        return loud
    begins: FloatArray = loud[np.diff(loud, prepend=-np.inf) > QUIET_S]
    return begins


def apart(pictures: FloatArray, sounds: FloatArray) -> FloatArray:
    """For each flash with a beep within half a second: seconds by which the picture is later."""
    nearest = [p - sounds[np.argmin(np.abs(sounds - p))] for p in pictures if len(sounds)]
    return np.array([d for d in nearest if abs(d) < 0.5])


def film_onsets(path: Path) -> tuple[FloatArray, FloatArray]:
    """Seconds at which flashes and beeps begin in a film or a stream's record."""
    shown: list[tuple[float, bool]] = []
    heard: list[tuple[FloatArray, np.ndarray]] = []
    with av.open(str(path)) as file:
        for frame in _frames(file):
            if isinstance(frame, av.VideoFrame):
                luma = frame.to_ndarray(format="yuv420p")[: frame.height]
                shown.append((float(frame.time or 0), bool(luma.mean() > BRIGHT)))
            elif isinstance(frame, av.AudioFrame):
                level = np.abs(frame.to_ndarray()[0])
                heard.append((float(frame.time or 0) + np.arange(len(level)) / frame.sample_rate, level > LOUD))
    times, on = np.array([t for t, _ in shown]), np.array([b for _, b in shown], bool)
    if not heard:
        return onsets(times, on), np.zeros(0)
    return onsets(times, on), onsets(np.concatenate([t for t, _ in heard]), np.concatenate([b for _, b in heard]))


def _frames(file: av.container.InputContainer) -> Iterable[av.VideoFrame | av.AudioFrame]:
    """What can be read: a record that was cut off ends in the middle of something."""
    try:
        for packet in file.demux():
            yield from packet.decode()  # type: ignore[misc]
    except (EOFError, av.error.InvalidDataError):
        pass
