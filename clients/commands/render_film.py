"""`vivify render`: the live pipeline without a network, as fast as the machine allows, in memory that does not grow."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients.films.film_formats import film_format
from clients.films.film_sound import FilmSound
from clients.films.film_writer import FilmWriter
from clients.films.manifest import SIGNED, Signing, sign_film
from clients.films.muxer import SOUND_PER_PICTURE
from engine import avatars
from engine.audio.chunker import FrameCutter
from engine.audio.rate_converter import RateConverter
from engine.audio.sound_files import SoundFile
from engine.clock import frame_count, look_ahead_frames
from engine.config import DEFAULT_QUALITY, LIPS, EngineConfig, Quality
from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, AudioChunk, FloatArray, Frame
from engine.face.avatar import Avatar
from engine.latency import LatencyWindow
from engine.marking.badge import badge_of
from engine.marking.consent import demand_consent
from engine.marking.installation import installation_id
from engine.marking.mark_code import SESSION_BITS, MarkIds
from engine.marking.mark_pattern import mark_picture
from engine.motion.prior.keys import Key
from engine.pipeline import Pipeline
from engine.scheduler import Scheduler
from engine.session import Session

log = logging.getLogger("vivify")

FRAMES_REMEMBERED = 10_000  # whose times are in the report


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What a rendering cost. ``speed`` is seconds of video per second of work; ``notes`` are `SoundFile`'s."""

    frames: int
    seconds: float
    speed: float
    stages_ms: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()
    mark: str | None = None  # the ids in its pictures
    manifest: str = ""  # what became of it, in words


def render(
    speech: Path,
    out: Path,
    avatar: str,
    look_ahead_ms: int = 80,
    size: int = 512,
    seed: int = 0,
    on_frame: Callable[[int, int], None] | None = None,
    wishes: dict[str, Any] | None = None,
    quality: Quality = DEFAULT_QUALITY,
    alpha: bool = False,
    mark: bool = True,
    signing: Signing = SIGNED,
    mover: str | None = None,
    keys: Sequence[Key] = (),
    lips: str = LIPS[0],
    badge: bool = False,
    consent: bool = False,
) -> RenderReport:
    """Speak ``speech`` with ``avatar`` into the film ``out``. The same input and seed give the same pictures.

    Nobody waits for a film: "auto" never gives the networks up here. ``on_frame(done, total)`` is called for every
    picture; ``wishes`` are `Controls` to begin with; ``alpha`` leaves the background transparent. ``mark`` and
    ``signing`` say that a machine made it: in the pictures, unseen, and in a manifest; ``badge`` for all to see. With
    ``consent``, the avatar's must be filled in. ``mover`` moves the head and what is above the mouth, and meets the
    ``keys``; ``lips`` as in `EngineConfig`. Picture and sound are read, made and written side by side,
    however long the speech. Raises VivifyError for input that cannot be used.
    """
    film_format(out, alpha)  # before the work begins
    key, told = signing.key_for(out)
    voice = SoundFile(speech)
    _, folder = avatars.resolve(avatar)
    scheduler = Scheduler(Pipeline(EngineConfig(avatar, size, 1, quality, mover=mover, lips=lips), unhurried=True))
    face = Avatar.load(folder)
    if consent:
        demand_consent(face)
    session = scheduler.open(face, look_ahead_ms, seed, live=False, matte=alpha)
    scheduler.set_controls(session, wishes or {})
    for pinned in keys:
        scheduler.set_key(session, pinned)
    ids = MarkIds(installation_id(), session_id(speech, avatar, seed, size)) if mark else None
    if ids is None:
        log.warning("the film carries no mark: --mark off")
    badged = badge_of(face, size).over_picture if badge else None
    total = frame_count(round(voice.seconds * SAMPLE_RATE))
    window = LatencyWindow(FRAMES_REMEMBERED)
    began = time.perf_counter()
    sound = FilmSound(voice)
    waiting = np.zeros((0, 1), np.float32)  # sound whose picture has not come yet
    with FilmWriter(out, size, alpha=alpha, layout=sound.layout) as film:
        for chunk, heard in _spoken(voice, sound, look_ahead_frames(look_ahead_ms)):
            waiting = np.concatenate([waiting, heard]) if len(waiting) else heard
            for frame in _frames(scheduler, session, chunk):
                picture = badged(frame.picture) if badged else frame.picture
                film.picture(mark_picture(picture, ids) if ids else picture)
                film.sound(waiting[:SOUND_PER_PICTURE])
                waiting = waiting[SOUND_PER_PICTURE:]
                ledger = frame.ledger
                window.add(features=ledger.features_ms, motion=ledger.motion_ms, render=ledger.render_ms)
                if on_frame:
                    on_frame(film.pictures, max(total, film.pictures))
        film.sound(waiting)
    marked = str(ids) if ids else None
    if key is not None:
        sign_film(out, key, face.facts, marked)
    spent = time.perf_counter() - began
    seconds = film.pictures * SAMPLES_PER_FRAME / SAMPLE_RATE
    speed = round(seconds / spent, 2)
    return RenderReport(film.pictures, seconds, speed, window.summary(), tuple(voice.notes), marked, told)


def session_id(speech: Path, *given: object) -> int:
    """A film's id in the mark: the same for the same sound and settings, so that the same input gives the same film."""
    with speech.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(repr(given).encode())
    return int.from_bytes(digest.digest()[:4], "big") >> (32 - SESSION_BITS)


def _frames(scheduler: Scheduler, session: Session, chunk: AudioChunk | None) -> Iterator[Frame]:
    """What a frame of sound brings."""
    if chunk is None:
        return
    session.push_audio(chunk)
    scheduler.tick()
    yield from session.frames()


def _spoken(voice: SoundFile, sound: FilmSound, look_ahead: int) -> Iterator[tuple[AudioChunk | None, FloatArray]]:
    """Frames of the voice as the engine hears it, and with each the film's sound that has been read by then [n, C].

    The last frame is filled up with silence, and as many silent ones follow as the engine looks ahead.
    """
    converter, cutter = RateConverter(voice.survey.rate, SAMPLE_RATE), FrameCutter()
    nothing = np.zeros((0, len(sound.push(np.zeros((0, sound.channels), np.float32)).T)), np.float32)

    def cut(samples: FloatArray) -> list[AudioChunk]:
        return cutter.push(np.clip(np.float32(voice.gain) * samples, -1, 1))

    for piece in voice.pieces():
        yield None, sound.push(piece)
        for chunk in cut(converter.push(voice.mixed(piece))[:, 0]):
            yield chunk, nothing
    yield None, sound.finish()
    rest = cut(converter.finish()[:, 0])
    filled = -cutter.position % SAMPLES_PER_FRAME + look_ahead * SAMPLES_PER_FRAME
    for chunk in rest + cut(np.zeros(filled, np.float32)):
        yield chunk, nothing


def report_json(report: RenderReport) -> str:
    """One line for machines."""
    return json.dumps(asdict(report))
