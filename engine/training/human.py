"""Phone times for human speech without transcripts: recognise the words, then force-align them.

Optional: needs the ``pocketsphinx`` package (its English acoustic model is inside the wheel), which nothing else uses.
The labels are rough (about half of the 10 ms frames agree with hand-made phone times), yet half an hour of real voices
teaches the encoder what four synthetic ones cannot. A recording whose words cannot be aligned is left out.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from engine.training.recording import Phone, read_mono_16k, save_recording

_ALIGN = {"bestpath": False, "lm": None, "beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80, "loglevel": "FATAL"}
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


def align(samples: np.ndarray, text: str | None = None) -> list[Phone]:
    """Phone times [(phone, start_s, end_s)] of ``samples`` [n] at 16 kHz; recognises the words when ``text`` is None.

    Returns an empty list when the words cannot be aligned.
    """
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    if text is None:
        words = _decoder("words")
        _run(words, pcm)
        hypothesis = words.hyp()
        text = hypothesis.hypstr if hypothesis else ""
    if not text:
        return []
    aligner = _decoder("align")
    try:
        aligner.set_align_text(text)
        _run(aligner, pcm)
        aligner.set_alignment()
        _run(aligner, pcm)
        alignment = aligner.get_alignment()
    except RuntimeError:  # out-of-vocabulary word, or no path through the utterance
        return []
    return [(p.name, p.start / 100, (p.start + p.duration) / 100) for p in alignment.phones()] if alignment else []


def _label(job: tuple[Path, Path]) -> bool:
    source, target = job
    if target.with_suffix(".json").exists():
        return True
    samples = read_mono_16k(source)
    phones = align(samples)
    if not phones:
        return False
    save_recording(target, samples, phones, {"source": source.name})
    return True


def label_folder(source: Path, target: Path, workers: int = 1) -> int:
    """Label every FLAC under ``source`` into ``target``, a .wav and a .json each; returns how many could be aligned."""
    target.mkdir(parents=True, exist_ok=True)
    jobs = [(path, target / path.stem) for path in sorted(source.rglob("*.flac"))]
    with ProcessPoolExecutor(workers) as pool:
        return sum(pool.map(_label, jobs))


if __name__ == "__main__":
    print(json.dumps({"aligned": label_folder(Path(sys.argv[1]), Path(sys.argv[2]))}))
