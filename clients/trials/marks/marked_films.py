"""Films for trials of the mark: any number, each by its own number, of as many people as there are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np

from clients.trials.marks.mark_attacks import Film
from engine import avatars
from engine.audio.sound_files import SoundFile
from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, ByteArray, FloatArray
from engine.enrolment.enroll import enroll_picture
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.marking.mark_code import MarkIds
from engine.paths import assets
from engine.pipeline import Pipeline
from engine.scheduler import Scheduler

PICTURES = 125  # five seconds
PICTURE_FILES = (".jpg", ".png")
FILM_FILES = (".mp4", ".mpg", ".webm", ".mov")


def film(number: int, faces: list[str], size: int) -> tuple[Film, MarkIds]:
    """Film ``number``, unmarked, of five seconds, and the ids that it is to carry."""
    rng = np.random.default_rng([7, number])
    name, folder = avatars.resolve(faces[number % len(faces)])
    scheduler = Scheduler(Pipeline(EngineConfig(name, size, 1), unhurried=True))
    session = scheduler.open(Avatar.load(folder), 80, number, live=False)
    pcm = np.roll(np.resize(_voice(), (PICTURES + 3) * SAMPLES_PER_FRAME), int(rng.integers(len(_voice()))))
    pictures: Film = []
    for at in range(0, len(pcm), SAMPLES_PER_FRAME):
        session.push_audio(AudioChunk(at, pcm[at : at + SAMPLES_PER_FRAME]))
        scheduler.tick()
        for frame in session.frames():
            rgb = av.VideoFrame.from_ndarray(frame.picture, format="rgb24")
            pictures.append(np.asarray(rgb.to_ndarray(format="yuv420p"), np.uint8))
    return pictures[:PICTURES], MarkIds(int(rng.integers(1 << 28)), int(rng.integers(1 << 20)))


def faces(others: Path | None, kept: Path) -> list[str]:
    """The bundled avatars, and whoever is in the pictures and films below ``others``, enrolled into ``kept`` once."""
    names = sorted(avatars.installed())
    done = kept / "whole"
    if others and not done.is_file():
        for path in _one_of_each(others):
            try:
                enroll_picture(_first_picture(path), 512, {"name": path.stem})[0].save(kept / path.stem)
            except VivifyError:
                continue  # nobody in it, or not to be used
        done.write_text("all who can be enrolled are\n")
    return names + sorted(str(p.parent) for p in kept.glob("*/avatar.safetensors"))


def _one_of_each(others: Path) -> list[Path]:
    """Pictures, and a film of each person: names of GRID's films say who; of other folders, each is taken."""
    people: dict[str, Path] = {}
    for path in sorted(others.rglob("*")):
        if path.suffix in PICTURE_FILES + FILM_FILES:
            grid = path.parent.name == "grid_more" and path.name.startswith("s")
            people.setdefault(path.name.split("_")[0] if grid else path.stem, path)
    return list(people.values())


def _first_picture(path: Path) -> ByteArray:
    with av.open(str(path)) as file:
        return np.asarray(next(file.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


@cache
def _voice() -> FloatArray:
    return np.concatenate(list(SoundFile(assets() / "speech.wav").voice(16_000))).astype(np.float32)
