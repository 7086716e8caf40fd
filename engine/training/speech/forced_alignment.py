"""Phone times for human speech: force-align what was said, or what was recognised where nobody wrote it down.

Optional: needs the ``pocketsphinx`` package (its English acoustic model is inside the wheel), and flite for the sound
of words that its dictionary lacks; nothing else uses either. Alignments of known words agree with hand-made phone times
in about four of five 10 ms frames, alignments of recognised words in about half of them. Where the words are wrong, the
sound fits them badly: phones in such stretches are marked as doubtful, and nothing is learned from them.
"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from engine.motion.facial.phones import SILENCE, normalise
from engine.training.films.grid import grid_sentence
from engine.training.speech.flite import speak
from engine.training.speech.speech_recording import DOUBT, Phone, read_mono_16k, save_recording
from engine.training.splits import part_of

_ALIGN = {"bestpath": False, "lm": None, "beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80, "loglevel": "FATAL"}
_FIT = -26.0  # acoustic score a 10 ms frame, below which words and sound do not fit; about -12 where they do
_STRETCH = 25  # frames over which the score is averaged: about a syllable and its neighbours
_decoders: dict[str, Any] = {}  # one pair per worker process: loading the language model takes a second


def _decoder(kind: str) -> Any:
    if kind not in _decoders:
        from pocketsphinx import Decoder  # an optional tool of this script alone

        _decoders[kind] = Decoder(loglevel="FATAL") if kind == "words" else Decoder(**_ALIGN)
    return _decoders[kind]


def _run(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def spelled(text: str, aligner: Any) -> str:
    """The words of ``text`` as the aligner knows them; words it has never heard of are taught to it by spelling."""
    words = re.sub(r"[^a-z' ]+", " ", text.lower().replace("-", " ")).split()
    for word in words:
        if aligner.lookup_word(word) is None:
            sounds = [normalise(name) for name, _, _ in speak(word.strip("'") or "a")[1]]
            aligner.add_word(word, " ".join(sound for sound in sounds if sound != SILENCE), True)
    return " ".join(words)


def align(samples: np.ndarray, text: str | None = None) -> list[Phone]:
    """Phone times [(phone, start_s, end_s)] of ``samples`` [n] at 16 kHz; recognises the words when ``text`` is None.

    Phones where the sound does not fit the words carry `DOUBT`. Returns an empty list when nothing can be aligned.
    """
    loud = np.clip(samples * (0.6 / (np.abs(samples).max() + 1e-6)), -1, 1)  # faint recordings are aligned badly
    pcm = (loud * 32767).astype("<i2").tobytes()
    if text is None:
        words = _decoder("words")
        _run(words, pcm)
        hypothesis = words.hyp()
        text = hypothesis.hypstr if hypothesis else ""
    aligner = _decoder("align")
    text = spelled(text, aligner)
    if not text:
        return []
    try:
        aligner.set_align_text(text)
        _run(aligner, pcm)
        aligner.set_alignment()
        _run(aligner, pcm)
        alignment = aligner.get_alignment()
    except RuntimeError:  # no path through the utterance
        return []
    return _with_doubts([(p.name, p.start, p.duration, p.score) for p in alignment.phones()]) if alignment else []


def _with_doubts(phones: list[tuple[str, int, int, int]]) -> list[Phone]:
    """Phones (name, first frame, frames, score) as times, those in badly fitting stretches marked."""
    score = np.concatenate([np.full(count, total / count) for _, _, count, total in phones])  # a 10 ms frame each
    fit = np.convolve(np.pad(score, _STRETCH // 2, "edge"), np.ones(_STRETCH) / _STRETCH, "valid")
    out = []
    for name, first, count, _ in phones:
        middle = min(len(fit) - 1, first + count // 2)
        out.append(((DOUBT if fit[middle] < _FIT else "") + name, first / 100, (first + count) / 100))
    return out


def read_transcripts(path: Path) -> dict[str, str]:
    """What was said by recording: lines of ``name words`` (LibriSpeech) or ``name|written|spoken`` (LJ Speech)."""
    said = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if "|" in line:
            said[line.split("|")[0]] = line.split("|")[-1]
        elif line.strip():
            name, _, words = line.partition(" ")
            said[name] = words
    return said


def _label(job: tuple[Path, Path, str | None]) -> bool:
    source, target, text = job
    if target.with_suffix(".json").exists():
        return True
    samples = read_mono_16k(source)
    phones = align(samples, text)
    if phones:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_recording(target, samples, phones, {"source": source.name, "transcript": text})
    return bool(phones)


def label_folder(source: Path, target: Path, said: dict[str, str], workers: int = 1) -> int:
    """Label the recordings under ``source`` into ``target``/train, /dev and /test, a .wav and a .json each.

    ``said`` holds the words of recordings by name, clips of the GRID corpus carry theirs in their names, and the others
    are left out; without any words, all recordings are recognised. Returns how many could be aligned.
    """
    paths = sorted(path for path in source.rglob("*") if path.suffix in (".flac", ".wav", ".mpg"))
    words = {path: said.get(path.stem) or grid_sentence(path.stem) for path in paths}
    known = [path for path in paths if words[path] or not any(words.values())]
    jobs = [(path, target / part_of(path.stem) / path.stem, words[path]) for path in known]
    with ProcessPoolExecutor(workers) as pool:
        return sum(pool.map(_label, jobs))


def main() -> None:
    """``python -m engine.training.speech.forced_alignment SOURCE TARGET [TRANSCRIPTS ...]``"""
    said: dict[str, str] = {}
    for path in sys.argv[3:]:
        said |= read_transcripts(Path(path))
    print(json.dumps({"aligned": label_folder(Path(sys.argv[1]), Path(sys.argv[2]), said, workers=2)}))


if __name__ == "__main__":
    main()
