"""`vivify render --method sadtalker`: a photo speaks a sound file by SadTalker's networks, whole and exact."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clients.commands.render_film import FRAMES_REMEMBERED, RenderReport, session_id
from clients.films.film_formats import film_format
from clients.films.film_sound import FilmSound
from clients.films.film_writer import FilmWriter
from clients.films.manifest import SIGNED, Signing, sign_film
from clients.films.muxer import SOUND_PER_PICTURE
from engine.audio.sound_files import MAX_SECONDS, SoundFile
from engine.config import checked_seed
from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, FloatArray
from engine.latency import LatencyWindow
from engine.marking.badge import badge_beside
from engine.marking.consent import demand_words
from engine.marking.installation import installation_id
from engine.marking.mark_code import MarkIds
from engine.marking.mark_pattern import mark_picture, square_in

log = logging.getLogger("vivify")


@dataclass(frozen=True)
class SadTalkerWishes:
    """What the command line asks for; see `engine.sadtalker.talking.film_motion.Wishes`."""

    weights: Path
    photo: Path
    style: int = 0
    scale: float = 1.0
    still: bool = False
    full: bool = False
    pose_from: Path | None = None
    blink_from: Path | None = None
    consent: str = ""  # of the photo's person, in words


def render(
    speech: Path,
    out: Path,
    wished: SadTalkerWishes,
    seed: int = 0,
    on_frame: Callable[[int, int], None] | None = None,
    mark: bool = True,
    signing: Signing = SIGNED,
    badge: bool = False,
    consent: bool = False,
) -> RenderReport:
    """Write the film ``out``. The same input and seed give the same pictures.

    Its first frame shows the speech's first 40 ms; the last one is filled up with silence. Half an hour at most: the
    whole voice is heard before the first picture. ``badge`` says for all to see that a machine made it; with
    ``consent``, the wishes' must be filled in. Raises VivifyError for input that cannot be used.
    """
    from engine.sadtalker.face3d.moved_faces import film_coefficients, read_portrait
    from engine.sadtalker.talking.film_motion import Wishes, film_motion
    from engine.sadtalker.talking.film_pictures import FilmPictures
    from engine.sadtalker.weights.weight_file import open_weights

    film_format(out, False)  # before the work begins
    checked_seed(seed)
    if consent:
        demand_words(wished.consent)
    key, told = signing.key_for(out)
    weights = open_weights(wished.weights)
    voice = SoundFile(speech, MAX_SECONDS)
    portrait = read_portrait(wished.photo, weights)
    wishes = Wishes(
        wished.style,
        wished.scale,
        wished.still,
        full=wished.full,
        pose=film_coefficients(wished.pose_from, weights) if wished.pose_from else None,
        blink=film_coefficients(wished.blink_from, weights) if wished.blink_from else None,
    )
    pictures = FilmPictures(weights, portrait, wished.full)
    ids = MarkIds(installation_id(), session_id(speech, wished, seed)) if mark else None
    if ids is None:
        log.warning("the film carries no mark: --mark off")
    across, down = (pictures.size, pictures.size) if isinstance(pictures.size, int) else pictures.size
    square = square_in(down, across, pictures.face)
    badged = badge_beside(pictures.face, across, down).over_picture if badge else None
    began = time.perf_counter()
    motion = film_motion(weights, _whole_frames(voice), portrait.coefficients, wishes, seed)
    heard_ms = 1000 * (time.perf_counter() - began)
    window = LatencyWindow(FRAMES_REMEMBERED)
    sound = FilmSound(voice)
    waiting = np.zeros((0, 1), np.float32)
    pieces = _film_sound(voice, sound)
    with FilmWriter(out, pictures.size, layout=sound.layout) as film:
        drawing = pictures.drawn(motion)
        for _ in range(len(motion)):
            start = time.perf_counter()
            picture = next(drawing)
            window.add(motion=heard_ms / len(motion), render=1000 * (time.perf_counter() - start))
            picture = badged(picture) if badged else picture
            film.picture(mark_picture(picture, ids, square) if ids else picture)
            while len(waiting) < SOUND_PER_PICTURE and (piece := next(pieces, None)) is not None:
                waiting = np.concatenate([waiting, piece]) if len(waiting) else piece
            film.sound(waiting[:SOUND_PER_PICTURE])
            waiting = waiting[SOUND_PER_PICTURE:]
            if on_frame:
                on_frame(film.pictures, len(motion))
        for piece in pieces:
            waiting = np.concatenate([waiting, piece]) if len(waiting) else piece
        film.sound(waiting)
    marked = str(ids) if ids else None
    if key is not None:
        sign_film(out, key, {"name": wished.photo.stem, "consent": wished.consent}, marked)
    spent = time.perf_counter() - began
    seconds = film.pictures * SAMPLES_PER_FRAME / SAMPLE_RATE
    notes = (*voice.notes, *portrait.notes)
    return RenderReport(film.pictures, seconds, round(seconds / spent, 3), window.summary(), notes, marked, told)


def _whole_frames(voice: SoundFile) -> FloatArray:
    """The voice at 16 kHz, its last frame filled up with silence."""
    heard = np.concatenate(list(voice.voice())) * np.float32(voice.gain)
    return np.clip(np.pad(heard, (0, -len(heard) % SAMPLES_PER_FRAME)), -1, 1).astype(np.float32)


def _film_sound(voice: SoundFile, sound: FilmSound) -> Iterator[FloatArray]:
    for piece in voice.pieces():
        yield sound.push(piece)
    yield sound.finish()
