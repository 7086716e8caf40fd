"""Enrolment from a film: the frame that serves best as portrait, and what the other frames teach about its face."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from engine.audio.sound_files import TITLES
from engine.contracts import FRAMES_PER_SECOND, ByteArray, FloatArray
from engine.enrolment.enroll import build_portrait, check_size
from engine.enrolment.footage.driving.film_fit import fit
from engine.enrolment.footage.driving.redriving import redriven
from engine.enrolment.footage.film_crops import whole
from engine.enrolment.footage.film_lessons import LEARN_AT, Camera, Filmed, framed, lessons_of
from engine.enrolment.footage.film_sides import learn_sides
from engine.enrolment.footage.film_survey import of_high_range, seconds_of, survey
from engine.enrolment.footage.looks.lips_judged import MOST, SIDE, LipsJudged, judge_lips
from engine.enrolment.footage.manner_fit import fit_manner
from engine.enrolment.footage.portrait_choice import candidates, sharpest_first, sharpness
from engine.enrolment.footage.remembering import FEWEST, FOLDS, learn, taught
from engine.enrolment.footage.talking_film import Film, Tracked, watch
from engine.enrolment.landmarks import Portrait, take_portrait
from engine.enrolment.one_person import of_photo, parted, people
from engine.enrolment.trackers.face_likeness import likeness
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import REGIONS, FilmMemory, Look
from engine.face.morphable_model import face_model
from engine.render.renderer import Renderer

LONGEST_S = 180.0
LEAST_S, BRIEF_S = 2.5, 10.0  # of a face in the film: below is refused, below is told
SHOT_S = 0.6  # of a shot that anything is learned from
KEPT = "film.tracks"  # what an attempt that was broken off left
CALLED = {"mouth": "the mouth's inside and its lips", "eye_right": "the right eye", "eye_left": "the left eye"}
Told = Callable[[str, float], None]  # what is done, and how much of it, 0 to 1


@dataclass(frozen=True)
class Taught:
    """A film once its looks and manner are known, for who learns more from it."""

    filmed: Filmed
    memory: FilmMemory


Further = Callable[[Taught, Told], tuple[FilmMemory, list[str]]]


def enroll_film(
    path: Path,
    size: int,
    facts: dict[str, str],
    photo: ByteArray | None = None,
    told: Told = lambda what, share: None,
    keep: Path | None = None,
    longest_s: float = LONGEST_S,
    further: Further | None = None,
    same_person: bool = False,
) -> tuple[Avatar, tuple[str, ...]]:
    """The avatar of one person whom the film shows, and words of what was taken from it.

    ``photo`` [H, W, 3] is its portrait, where the best frame is not to be. What was tracked is kept in the folder
    ``keep`` until all is done, for an attempt that goes on. ``further`` learns more from it, with words of that.
    ``same_person``: the word of who knows it that photo and film show one person alone, so faces are not compared.
    Raises VivifyError with one sentence.
    """
    check_size(size)
    own_portrait = who = None
    if photo is not None:
        told("looking at the photo", 0.0)
        own_portrait = take_portrait(photo, face_model().triangles, size)
        who = likeness(own_portrait.image, own_portrait.landmarks)
        photo = None  # large pictures are not held while a film is followed
    told("looking through the film", 0.0)
    quarter = survey(path, longest_s, None if same_person else who)
    film = _watched(path, quarter, told, keep, longest_s)
    film, words = (film, []) if same_person else alone(film, who)
    shots = film.shots(SHOT_S)
    seconds = sum(shot.stop - shot.start for shot in shots) / FRAMES_PER_SECOND
    if seconds < LEAST_S:
        raise VivifyError(
            f"'{path}' shows a face for {seconds:.1f} s at a stretch, at least {LEAST_S:.1f} are needed: "
            "film half a minute, facing the camera."
        )
    words.append(f"The film shows the face for {seconds:.0f} s.")
    if seconds < BRIEF_S:
        words.append(f"That is short: {BRIEF_S:.0f} s and more teach more.")
    if of_high_range(path):
        words.append("The film is HDR: what is brighter than white in it was darkened, as ordinary screens show it.")
    told("choosing the portrait", 0.0)
    portrait, at, shape = _portrait(path, film, quarter, size, own_portrait)
    second = (at or 0) // FRAMES_PER_SECOND
    words.append("The portrait is the photo." if at is None else f"The portrait is the film's, {second} s into it.")
    avatar, notes = build_portrait(portrait, {**facts, "film": path.name})
    camera = None
    if at is not None and portrait.framing is not None:
        camera = Camera((shape[0], shape[1]), portrait.framing)
        avatar.facts["camera"] = camera.written()
    lessons = framed(path, film, quarter, shots, avatar, shape, camera, at)
    renderer = Renderer(avatar, LEARN_AT)
    motions = redriven(renderer, [part.landmarks for part in lessons])
    filmed = Filmed(path, film, quarter, renderer, lessons, motions)
    memory, more = _taught(filmed, told)
    words += more
    if further:
        memory, more = further(Taught(filmed, memory), told)
        words += more
    avatar = replace(_of_one_person(avatar, film, shots), film=memory)
    avatar.facts["from_film"] = json.dumps(words, ensure_ascii=False)
    if keep:
        (keep / KEPT).unlink(missing_ok=True)
    return avatar, (*notes, *words)


def _watched(path: Path, quarter: int, told: Told, keep: Path | None, longest_s: float) -> Film:
    file = keep / KEPT if keep else None
    stamp = f"{path.stat().st_size} {path.stat().st_mtime_ns} {quarter}"
    known = _kept(file, stamp) if file else None

    def store(tracked: Tracked) -> None:
        if not file:
            return
        arrays = {name: np.ascontiguousarray(value) for name, value in vars(tracked).items()}
        half = file.with_suffix(".part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file(arrays, half, {"film": stamp})
            half.replace(file)
        except (OSError, SafetensorError) as problem:
            raise VivifyError(
                f"Nothing can be written to {file.parent} ({problem}): choose another folder."
            ) from problem

    with av.open(str(path), **TITLES) as container:
        length = min(longest_s, seconds_of(container)) or longest_s

    def show(seconds: float) -> None:
        told("following the face", min(seconds / length, 1.0))

    return watch(path, quarter, True, longest_s, show, known, store)


def alone(film: Film, photo: FloatArray | None) -> tuple[Film, list[str]]:
    """``film`` with nobody but whom the ``photo`` shows (its likeness), or who is shown longest; and words of it."""
    shots = [part for shot in film.shots(SHOT_S) for part in parted(shot, film.likeness, film.alike_at)]
    shown = people(shots, film.likeness, film.alike_at, FRAMES_PER_SECOND)
    if not shown:
        return film, []
    person, doubt = (shown[0], None) if photo is None else of_photo(photo, shown)
    words = [doubt] if doubt else []
    if len(shown) == 1:
        return film, words
    landmarks = np.full_like(film.landmarks, np.nan)
    for k in person.shots:
        landmarks[shots[k]] = film.landmarks[shots[k]]
    whom = "whom the photo shows" if photo is not None else "who is shown longest"
    words.append(
        f"The film shows {len(shown)} people in turn: only the one {whom} was used, for {person.seconds:.0f} s."
    )
    return replace(film, landmarks=landmarks), words


def _kept(file: Path, stamp: str) -> Tracked | None:
    """What an earlier attempt at the same film left."""
    with contextlib.suppress(OSError, SafetensorError, KeyError, TypeError, ValueError):
        head = file.read_bytes()[8:4096]
        if stamp.encode() in head:
            return Tracked(**load_file(file))
    return None


def _portrait(
    path: Path, film: Film, quarter: int, size: int, own: Portrait | None
) -> tuple[Portrait, int | None, tuple[int, ...]]:
    """The portrait, its frame in the film (None for a photo's ``own``), and the film's own (H, W, 3)."""
    triangles = face_model().triangles
    order = candidates(film.landmarks)
    frames = sorted(order) if own is None else order[:1]
    pictures = dict(zip(frames, whole(path, film, np.array(frames), quarter), strict=True))
    shape = next(iter(pictures.values())).shape
    if own is not None:
        return own, None, shape
    grow = shape[1] / film.looked_at[1]
    sharp = [sharpness(pictures[k], film.landmarks[k] * grow) for k in order]
    last: VivifyError | None = None
    for k in sharpest_first(order, sharp):
        try:
            return take_portrait(pictures[k], triangles, size), k, shape
        except VivifyError as refused:
            last = refused
    raise last or VivifyError(f"No frame of '{path}' serves as a portrait: film yourself facing the camera.")


def _taught(filmed: Filmed, told: Told) -> tuple[FilmMemory, list[str]]:
    words: list[str] = []
    renderer, film = filmed.renderer, filmed.film
    raw, shown, painted, used = learnt_from(filmed, lambda share: told("learning", share))
    looks: dict[str, Look] = {}
    for region in REGIONS:
        if not len(raw[region]):
            words.append(f"Left as the photo shows it: {CALLED[region]} (the film's light differs too much from it).")
            continue
        look, judged = learn(region, raw[region], shown[region], painted[region])
        change = 100 * (judged.after / max(judged.before, 1e-6) - 1)
        figures = f"error {change:+.0f} % on stretches of the film not learned from"
        lips = _lips_judged(filmed, raw, shown, painted, used, judged.ridge) if region == "mouth" else None
        if lips:
            figures += f"; distance of the lips' landmarks {100 * (lips.after / lips.before - 1):+.0f} %"
        if judged.kept and not (lips and lips.worse):
            looks[region] = look
            words.append(f"Taken from the film: {CALLED[region]} ({figures}).")
        else:
            words.append(f"Left as the photo shows it: {CALLED[region]} (the film does not show enough; {figures}).")
    drift, views, more = learn_sides(filmed, told)
    words += more
    frames = np.concatenate([part.frames for part in filmed.shots])
    every = [motion for part in filmed.motions for motion in part]
    face = film.landmarks[frames]
    real = np.linalg.norm(face[:, 13, :2] - face[:, 14, :2], axis=1)
    real = real / np.linalg.norm(face[:, 33, :2] - face[:, 263, :2], axis=1)
    told("listening", 0.0)
    manner, more = fit_manner(renderer, film.samples, frames, every, real)
    return FilmMemory(looks, manner, drift, views), words + more


def _of_one_person(avatar: Avatar, film: Film, shots: list[slice]) -> Avatar:
    """The avatar with the identity that all the film's pictures share; its own neutral face stays exact."""
    alpha = fit([film.landmarks[shot] for shot in shots], face_model())[0].alpha
    model = face_model()
    head = (avatar.neutral - avatar.shift) @ avatar.rotation / avatar.scale
    rest = head - model.neutral - np.tensordot(alpha, model.identity, 1)
    return replace(avatar, alpha=np.asarray(alpha, np.float32), residual=np.asarray(rest, np.float32))


def _lips_judged(
    filmed: Filmed,
    raw: dict[str, FloatArray],
    shown: dict[str, FloatArray],
    painted: dict[str, FloatArray],
    used: np.ndarray,
    ridge: float,
) -> LipsJudged | None:
    """How a mouth learned from all but the last quarter does there."""
    end = len(used) - len(used) // FOLDS
    if end < FEWEST:
        return None
    look = taught("mouth", raw["mouth"][:end], shown["mouth"][:end], painted["mouth"][:end], ridge)
    some = used[np.unique(np.linspace(end, len(used) - 1, MOST).astype(int))]
    pictures = [filmed.pictures(shot, some[some[:, 0] == shot, 1], SIDE) for shot in np.unique(some[:, 0])]
    motions = [filmed.motions[shot][row] for shot, row in some]
    return judge_lips(filmed.renderer.avatar, look, motions, np.concatenate(pictures))


def learnt_from(
    filmed: Filmed, told: Callable[[float], None]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray], dict[str, FloatArray], np.ndarray]:
    """Raw features [n, r], differences on the canvas and what is painted there [n, m, 3] by region.

    Of the picked rows of each shot whose light serves; and the shots and rows [n, 2] of these.
    """
    raw: dict[str, list[FloatArray]] = {region: [] for region in REGIONS}
    shown: dict[str, list[np.ndarray]] = {region: [] for region in REGIONS}
    drawn: dict[str, list[np.ndarray]] = {region: [] for region in REGIONS}
    total = max(sum(len(rows) for rows in filmed.picked), 1)
    done = 0
    used: list[tuple[int, int]] = []
    for shot, rows in enumerate(filmed.picked):
        before = done
        for region, features, beside, painted in lessons_of(filmed, shot, rows):
            raw[region].append(features)
            shown[region].append(beside.astype(np.float16))
            drawn[region].append(painted.astype(np.float16))
            if region == REGIONS[-1]:
                done += 1
                told(done / total)
        used += [(shot, int(row)) for row in rows[: done - before]]
    return (
        {region: np.array(found, np.float32) for region, found in raw.items()},
        {region: np.array(found, np.float32) for region, found in shown.items()},
        {region: np.array(found, np.float32) for region, found in drawn.items()},
        np.array(used).reshape(-1, 2),
    )
