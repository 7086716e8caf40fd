"""Speech whose phone times are exact because the synthesiser that spoke it printed them (flite)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.training.speech.speech_recording import Phone, load_recording, read_mono_16k, save_recording

VOICES = ("slt", "rms", "awb", "kal16")
# The acoustic event is heard this much after the time that flite prints, seconds.
_LATE = {"slt": 0.015, "rms": 0.015, "awb": 0.004, "kal16": 0.012}


def speak(text: str, voice: str = "slt", stretch: float = 1.0) -> tuple[FloatArray, list[Phone]]:
    """``text`` spoken at 16 kHz [n], and its phone times. Raises VivifyError when flite is not installed."""
    if shutil.which("flite") is None:
        raise VivifyError(
            "The speech synthesiser flite was expected on this machine, but was not found: install flite."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-psdur", "-t", text]
        printed = subprocess.run([*command, "-o", str(path)], capture_output=True, text=True, check=True).stdout
        samples = read_mono_16k(path)
    phones: list[Phone] = []
    start = 0.0
    for item in printed.split():
        name, _, end = item.rpartition(":")
        phones.append((name, start, float(end) + _LATE[voice]))
        start = phones[-1][2]
    return samples, phones


def _record(job: tuple[str, str, float, Path]) -> Path:
    text, voice, stretch, stem = job
    if not stem.with_suffix(".json").exists():
        samples, phones = speak(text, voice, stretch)
        save_recording(stem, samples, phones, {"voice": voice, "text": text})
    return stem


def record(texts: list[str], folder: Path, workers: int = 1) -> list[Path]:
    """Speak every text with a voice in turn into ``folder``; what is already there is kept. Returns the stems."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (text, VOICES[(i // 2) % len(VOICES)], 0.85 + 0.1 * (i % 5), folder / f"{i:05d}")
        for i, text in enumerate(texts)
    ]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_record, jobs, chunksize=8))


def load_all(stems: list[Path]) -> list[tuple[FloatArray, list[Phone]]]:
    """Every recording of ``stems``."""
    return [load_recording(stem) for stem in stems]
