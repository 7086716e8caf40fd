"""More voices with exact phone times: espeak-ng through its library, which reports each phoneme's sample.

Formant speech sounds less human than flite's, but its dozens of variants differ more from each other than flite's four
voices do: men, women, old, creaking, whispering.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ProcessPoolExecutor
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from engine.contracts import SAMPLE_RATE, FloatArray
from engine.errors import VivifyError
from engine.training.speech.speech_recording import Phone, save_recording

_ACCENTS = ("en-us", "en-gb", "en-us", "en-gb-x-rp", "en-us", "en-gb-scotland")
_VARIANTS = ("m1", "f2", "m3", "klatt2", "f4", "m7", "f1", "klatt4", "m2", "f5", "whisper", "m4", "f3", "croak", "m8")
_CLOSURE = 0.035  # seconds: a voiceless stop's silence is counted to the sound before it

_NAMES: dict[str, str] = {
    **{"a": "AE", "aa": "AE", "a#": "AH", "@": "AH", "@2": "AH", "@5": "AH", "@-": "AH", "V": "AH", "@L": "L"},
    **{"A@": "AA", "A:": "AA", "0": "AA", "O:": "AO", "O": "AO", "O2": "AO", "O@": "AO", "o@": "AO", "E": "EH"},
    **{"e@": "EH", "I": "IH", "I2": "IH", "I#": "IH", "i@3": "IH", "i@": "IH", "i": "IY", "i:": "IY", "U": "UH"},
    **{"U@": "UH", "u:": "UW", "u": "UW", "3": "ER", "3:": "ER", "aI": "AY", "aI3": "AY", "aI@": "AY", "aU": "AW"},
    **{"aU@": "AW", "eI": "EY", "oU": "OW", "@U": "OW", "OI": "OY", "e": "EH", "tS": "CH", "dZ": "JH", "T": "TH"},
    **{"D": "DH", "S": "SH", "Z": "ZH", "N": "NG", "j": "Y", "r-": "R", "r/": "R", "t#": "D", "t2": "T", "d#": "D"},
    **{"h": "HH", "w#": "W", "l/": "L", "l#": "L", "m-": "M", "n-": "N", "?": "HH", "x": "K", "z#": "Z"},
    **{name: name.upper() for name in ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z"]},
}


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("type", "unique", "text", "length", "milliseconds", "sample")),
        ("user", ctypes.c_void_p),
        ("id", _Id),
    )


_END, _PHONEME = 0, 7
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Synthesiser:
    """One espeak-ng per process: the library is global."""

    def __init__(self) -> None:
        name = find_library("espeak-ng")
        if name is None:
            raise VivifyError("The library of espeak-ng was expected on this machine, but is missing: install it.")
        self._library: Any = ctypes.CDLL(name)
        self._rate = int(self._library.espeak_Initialize(1, 0, None, 1))  # give back sound, report phonemes
        self._sound: list[np.ndarray] = []
        self._phonemes: list[tuple[str, int]] = []
        self._callback = _CALLBACK(self._receive)  # kept, or it would be collected while the library holds it
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, sound: Any, count: int, events: Any) -> int:
        k = 0
        while events[k].type != _END:
            if events[k].type == _PHONEME:
                self._phonemes.append((events[k].id.string.decode("utf-8", "replace"), events[k].sample))
            k += 1
        if sound and count > 0:
            self._sound.append(np.ctypeslib.as_array(sound, (count,)).copy())
        return 0

    def speak(self, text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[FloatArray, list[Phone]]:
        """``text`` at 16 kHz [n], and its phone times."""
        self._sound, self._phonemes = [], []
        self._library.espeak_SetVoiceByName(voice.encode())
        self._library.espeak_SetParameter(1, words_per_minute, 0)
        self._library.espeak_SetParameter(3, pitch, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 0, 0, 1, None, None)
        self._library.espeak_Synchronize()
        if not self._sound:
            return np.zeros(0, np.float32), []
        sound = np.concatenate(self._sound).astype(np.float32) / 32768
        return resample_poly(sound, 320, self._rate * 320 // SAMPLE_RATE).astype(np.float32), self._phones(len(sound))

    def _phones(self, count: int) -> list[Phone]:
        starts = [sample / self._rate for _, sample in self._phonemes] + [count / self._rate]
        for k, (name, _) in enumerate(self._phonemes):
            if name in ("p", "t", "k") and k and self._phonemes[k - 1][0] not in ("p", "t", "k", "s"):
                starts[k] = max(starts[k] - _CLOSURE, starts[k - 1] + 0.02)
        spans = zip(self._phonemes, starts, starts[1:], strict=False)
        return [(_NAMES.get(name, "SIL" if name[:1] == "_" else "AH"), s, e) for (name, _), s, e in spans if e > s]


_synthesiser: list[Synthesiser] = []


def voice(number: int) -> str:
    """The accent and variant that speak text ``number``."""
    return f"{_ACCENTS[number % len(_ACCENTS)]}+{_VARIANTS[number % len(_VARIANTS)]}"


def _record(job: tuple[int, str, Path]) -> Path | None:
    number, text, stem = job
    if stem.with_suffix(".json").exists():
        return stem
    if not _synthesiser:
        _synthesiser.append(Synthesiser())
    samples, phones = _synthesiser[0].speak(text, voice(number), 130 + number * 37 % 80, 20 + number * 23 % 60)
    if not phones:
        return None
    save_recording(stem, samples, phones, {"voice": voice(number), "text": text})
    return stem


def record(texts: list[str], folder: Path, workers: int = 1) -> list[Path]:
    """Speak every text, voices in turn, into ``folder``; what is already there is kept. Returns the stems."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(i, text, folder / f"e{i:05d}") for i, text in enumerate(texts)]
    with ProcessPoolExecutor(workers) as pool:
        return [stem for stem in pool.map(_record, jobs, chunksize=16) if stem]
