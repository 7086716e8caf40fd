"""A voice's packets made sound, mono at 48 kHz, and what stands for a packet that never came.

libopus itself is asked where it is found, and it is wherever PyAV's wheels are: FFmpeg in between hides its in-band
redundancy (a lost packet's sound once more in the next one), its own concealment, and its state, which has to be put
back when a packet comes behind its successor. Without it, and for the other codecs, a fading repeat must do.
"""

from __future__ import annotations

import copy
import ctypes
import ctypes.util
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import av
import numpy as np
from av import AudioFrame, AudioResampler, CodecContext
from av.packet import Packet

from webrtc.media.concealment import JOIN, PAST, RATE, FadedRepeat, PcmArray, joined

LONGEST_OPUS = 120 * RATE // 1000  # samples of the longest packet
OPUS_STEP = RATE * 5 // 2000  # Opus makes sound up in whole 2.5 ms
REPLAYED = 20  # packets after which a decoder made anew sounds like the old one: G.722 forgets slowly


class BadSound(ValueError):
    """A packet that its codec cannot read."""


class Decoder(Protocol):
    """One codec's. What `state` gave can be put back with `restore`, also into another one of the same codec."""

    def decode(self, data: bytes) -> PcmArray:
        """The next packet's sound [n] int16. Raises BadSound, and is as before then."""

    def conceal(self, samples: int, after: bytes | None = None) -> PcmArray:
        """What probably came in the next ``samples``; ``after`` is the packet behind them, if it is there."""

    def state(self) -> Any: ...

    def restore(self, state: Any) -> None: ...


def decoder(codec: str) -> Decoder:
    """For ``opus``, ``g722``, ``pcmu`` or ``pcma``."""
    if codec == "opus":
        library = libopus()
        return OpusDecoder(library) if library is not None else Repeating(Foreign("libopus"))
    return Repeating(Foreign("g722") if codec == "g722" else G711(a_law=codec == "pcma"))


@cache
def libopus() -> ctypes.CDLL | None:
    """The library that PyAV brought with it, or else the system's; None where neither can be used."""
    home = Path(av.__file__).parent
    brought = [path for folder in (home.parent / "av.libs", home / ".dylibs") for path in folder.glob("libopus*")]
    for name in [*map(str, brought), ctypes.util.find_library("opus") if not brought else None]:
        try:
            library = ctypes.CDLL(name) if name else None
            if library is not None and library.opus_decoder_get_size(1) > 0:
                return library
        except (OSError, AttributeError):
            continue
    return None


class OpusDecoder:
    """libopus's decoder. Its state is one piece of memory that may be copied, by its manual."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._size = library.opus_decoder_get_size(1)
        self._memory = ctypes.create_string_buffer(self._size)
        library.opus_decoder_init(self._memory, RATE, 1)

    def decode(self, data: bytes) -> PcmArray:
        return self._run(data, LONGEST_OPUS, 0)

    def conceal(self, samples: int, after: bytes | None = None) -> PcmArray:
        whole = -(-samples // OPUS_STEP) * OPUS_STEP
        if whole == 0:
            return np.zeros(0, np.int16)
        try:
            return self._run(after, whole, 1 if after else 0)[:samples]
        except BadSound:
            return self._run(None, whole, 0)[:samples]

    def state(self) -> bytes:
        return self._memory.raw

    def restore(self, state: bytes) -> None:
        ctypes.memmove(self._memory, state, self._size)

    def _run(self, data: bytes | None, most: int, redundancy: int) -> PcmArray:
        out = np.empty(most, np.int16)
        place = out.ctypes.data_as(ctypes.c_void_p)
        length = len(data) if data else 0
        count = self._library.opus_decode(self._memory, data, length, place, most, redundancy)
        if count <= 0:
            raise BadSound(f"libopus says {count}")
        return out[:count]


class Plain(Protocol):
    """A decoder that knows nothing of losses."""

    def decode(self, data: bytes) -> PcmArray: ...

    def state(self) -> Any: ...

    def restore(self, state: Any) -> None: ...


class Repeating:
    """A plain decoder whose gaps are filled with what came before, fading."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain
        self._past = np.zeros(0, np.int16)
        self._repeat: FadedRepeat | None = None

    def decode(self, data: bytes) -> PcmArray:
        pcm = self._plain.decode(data)
        if self._repeat is not None:
            pcm = joined(self._repeat.next(min(JOIN, len(pcm))), pcm)
            self._repeat = None
        return self._kept(pcm)

    def conceal(self, samples: int, after: bytes | None = None) -> PcmArray:
        if self._repeat is None:
            self._repeat = FadedRepeat(self._past)
        return self._kept(self._repeat.next(samples))

    def state(self) -> Any:
        return self._plain.state(), self._past, copy.copy(self._repeat)

    def restore(self, state: Any) -> None:
        plain, self._past, repeat = state
        self._plain.restore(plain)
        self._repeat = copy.copy(repeat)

    def _kept(self, pcm: PcmArray) -> PcmArray:
        self._past = np.concatenate([self._past, pcm])[-PAST:]
        return pcm


class Upsampler:
    """``ratio`` times as many samples, causal, whatever the cuts; delays by less than a millisecond."""

    def __init__(self, ratio: int) -> None:
        reach = 6 * ratio
        n = np.arange(2 * reach + 1) - reach
        taps = 0.92 * np.sinc(0.92 * n / ratio) * np.kaiser(len(n), 6.0)
        self._ratio = ratio
        self._taps = taps * ratio / taps.sum()
        self.history = np.zeros(len(taps) - 1)

    def push(self, pcm: PcmArray) -> PcmArray:
        spread = np.zeros(len(pcm) * self._ratio)
        spread[:: self._ratio] = pcm
        sound = np.concatenate([self.history, spread])
        self.history = sound[len(sound) - len(self.history) :]
        return np.clip(np.round(np.convolve(sound, self._taps, "valid")), -32768, 32767).astype(np.int16)


class G711:
    """A-law or mu-law: a table."""

    def __init__(self, a_law: bool = False) -> None:
        self._table = (_a_law if a_law else _mu_law)(np.arange(256))
        self._up = Upsampler(6)

    def decode(self, data: bytes) -> PcmArray:
        return self._up.push(self._table[np.frombuffer(data, np.uint8)])

    def state(self) -> Any:
        return self._up.history

    def restore(self, state: Any) -> None:
        self._up.history = state


class Foreign:
    """One of FFmpeg's decoders. Its state cannot be had: a new one is given the last packets once more instead."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._recent: deque[bytes] = deque(maxlen=REPLAYED)
        self._begin()

    def decode(self, data: bytes) -> PcmArray:
        pcm = self._read(data)
        self._recent.append(data)
        return pcm

    def state(self) -> Any:
        return tuple(self._recent), self._up.history if self._up else None

    def restore(self, state: Any) -> None:
        recent, history = state
        self._begin()
        self._recent.extend(recent)
        for data in recent:
            self._read(data)
        if self._up is not None and history is not None:
            self._up.history = history

    def _begin(self) -> None:
        opus = self._name == "libopus"
        self._recent.clear()
        self._up = None if opus else Upsampler(3)
        self._codec = cast(Any, CodecContext.create(self._name, "r"))
        self._codec.format, self._codec.layout = "s16", "stereo" if opus else "mono"
        self._codec.sample_rate = RATE if opus else 16_000
        self._mono = AudioResampler(format="s16", layout="mono", rate=self._codec.sample_rate)

    def _read(self, data: bytes) -> PcmArray:
        try:
            frames: list[AudioFrame] = self._codec.decode(Packet(data))
            parts = [part.to_ndarray().reshape(-1) for frame in frames for part in self._mono.resample(frame)]
        except (av.FFmpegError, ValueError) as error:
            raise BadSound(str(error)) from error
        if not parts:
            raise BadSound("no sound in it")
        pcm: PcmArray = np.concatenate(parts).astype(np.int16)
        return pcm if self._up is None else self._up.push(pcm)


def _mu_law(codes: Any) -> PcmArray:
    """ITU-T G.711, table 2."""
    inverted = 255 - codes
    size = (((inverted & 15) << 3) + 132 << (inverted >> 4 & 7)) - 132
    pcm: PcmArray = np.where(inverted & 128, -size, size).astype(np.int16)
    return pcm


def _a_law(codes: Any) -> PcmArray:
    """ITU-T G.711, table 1."""
    toggled = codes ^ 0x55
    segment, step = toggled >> 4 & 7, toggled & 15
    size = np.where(segment == 0, (step << 4) + 8, (step << 4) + 264 << np.maximum(segment - 1, 0))
    pcm: PcmArray = np.where(toggled & 128, size, -size).astype(np.int16)
    return pcm


MakeDecoder = Callable[[str], Decoder]
