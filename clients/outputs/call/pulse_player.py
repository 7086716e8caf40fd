"""Plays sound into a sink of PulseAudio's or PipeWire's by libpulse-simple, with little buffered and its depth known.

pulsectl, which has no playing of its own, needs the same library; so this costs no further package.
"""

from __future__ import annotations

import ctypes

from clients.outputs.output import OutputError
from webrtc.media.voice_line import VOICE_RATE, PcmArray

LIBRARY = "libpulse-simple.so.0"
PLAYBACK, S16LE = 1, 3
BYTES_PER_S = 2 * VOICE_RATE
LONGEST_S = 0.200  # that can wait to be played
STEP_S = 0.090  # the server asks for no less at once: it then plans a tenth of a second less for itself
FIRST_S = 0.010  # it begins, and begins again after it ran dry, with so much
ANY = 0xFFFF_FFFF


class _Spec(ctypes.Structure):
    _fields_ = [("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8)]


class _Buffers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize")]


class SoundServerGone(OutputError):
    """The sound server ended, or the sink was removed."""


class PulsePlayer:
    """A mono stream of 48 kHz into one sink."""

    def __init__(self, sink: str, client: str, stream: str) -> None:
        """Raises OutputError without the library, SoundServerGone without the sink."""
        self._library = library()
        self._error = ctypes.c_int(0)
        buffers = _Buffers(ANY, _bytes(LONGEST_S), _bytes(FIRST_S), _bytes(STEP_S), ANY)
        opened = self._library.pa_simple_new(
            None,
            client.encode(),
            PLAYBACK,
            sink.encode(),
            stream.encode(),
            ctypes.byref(_Spec(S16LE, VOICE_RATE, 1)),
            None,
            ctypes.byref(buffers),
            ctypes.byref(self._error),
        )
        if not opened:
            raise SoundServerGone(f"Nothing can be played into '{sink}' ({self._why()}).")
        self._stream = ctypes.c_void_p(opened)

    def latency_s(self) -> float:
        """From now until what is written next is played, as the server says. Raises SoundServerGone."""
        self._error.value = 0
        microseconds = self._library.pa_simple_get_latency(self._stream, ctypes.byref(self._error))
        if self._error.value:
            raise SoundServerGone(self._why())
        return float(microseconds) / 1e6

    def write(self, pcm: PcmArray) -> None:
        """[n] int16; waits where there is no room. Raises SoundServerGone."""
        data = pcm.astype("<i2", copy=False).tobytes()
        if self._library.pa_simple_write(self._stream, data, len(data), ctypes.byref(self._error)) < 0:
            raise SoundServerGone(self._why())

    def close(self) -> None:
        self._library.pa_simple_free(self._stream)

    def _why(self) -> str:
        self._library.pa_strerror.restype = ctypes.c_char_p
        return (self._library.pa_strerror(self._error) or b"no reason given").decode()


def library() -> ctypes.CDLL:
    """libpulse-simple, its functions declared. Raises OutputError where it is not installed."""
    try:
        found = ctypes.CDLL(LIBRARY)
    except OSError:
        raise OutputError(f"--microphone needs {LIBRARY}, which is not here: 'vivify doctor' names the cure.") from None
    found.pa_simple_new.restype = ctypes.c_void_p
    found.pa_simple_get_latency.restype = ctypes.c_uint64
    found.pa_simple_get_latency.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    found.pa_simple_write.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
    found.pa_simple_free.argtypes = [ctypes.c_void_p]
    return found


def _bytes(seconds: float) -> int:
    return round(seconds * BYTES_PER_S) // 2 * 2
