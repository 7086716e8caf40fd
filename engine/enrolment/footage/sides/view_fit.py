"""What turned frames of a film show that the portrait hides, laid into the portrait's texture.

Frames that are turned alike are undone by the mesh: each of the texture's pixels asks where it lies in the frame, and
whether it is seen there. What some frames agree upon is kept, beside the well-seen face and on the
head; towards the face it takes the portrait's colours and fades. Pictures so made are read between their pixels twice,
here and as they are painted, which softens them: what is fine in them is raised until they are as crisp as the film.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.contracts import FloatArray, Motion
from engine.enrolment.footage.sides.drift_fit import Seen
from engine.enrolment.footage.sides.other_rooms import of_head, own_light
from engine.enrolment.footage.sides.undoing import closed, laid_out, lies_at, on_texture, spread
from engine.enrolment.trackers.person_matte import person_matte
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.hidden_side import facing
from engine.face.kept.film_memory import Drift, FilmMemory, Manner, View
from engine.face.morphable_model import face_model
from engine.face.panels import MARGIN
from engine.face.surround import smoothstep
from engine.imaging.resampling import read_at, read_by
from engine.imaging.smoothing import blur
from engine.render.prepared import Prepared
from engine.render.remembered.uncovering import turned_by
from engine.render.renderer import Renderer

LEAST_TURN, WIDE = 0.13, 90.0  # sine from which a head counts as turned; percentile of these that the far view takes
STEPS = (0.5, 1.0)  # of the far view's turn, at which there are views
FRAMES, FEWEST = 7, 4  # of a view
ALIKE = 0.08  # sine by which their turn may differ
NODDED, OPEN = 0.05, 0.15  # sine of a nod, and jawOpen, that count as much as a turn of NEAR off
NEAR = 0.03
BETTER = 0.12  # by how much more of skin's face a turned frame must see than the portrait, to be taken in full
GRAZING = (0.4, 0.7)  # how far a portrait's skin faces us, up to which it is taken, and from which it is not
MIDDLE = 3.0  # centimetres beside the midline within which nothing of the face is
BAND = 0.10  # of the face's width: over so much beside a well-seen face views fade in
HEAD = (0.7, 0.95)  # how much a place follows the head, up to which it is left, and from which it is taken
CLOSE = 0.12  # of the face's width: about how far beside the portrait's person views reach
APART = (18.0, 45.0)  # grey levels between frames that are believed, and that are not
COARSE = 4  # pixels for one, where colours change slowly
UNSEEN = 40.0  # grey levels for which a pixel counts that a frame does not show
GAP = 50  # the portrait's side over this is how wide a gap between places seen is closed
ALONE = (20.0, 25.0)  # grey levels beside the median from which a frame is not believed alone, and over how many more
SAME = (2.0, 8.0)  # grey levels up to which the portrait, which is sharper, stays, and from which it does not
HELD, JUDGES = 0.25, 8  # of a side's turned frames, the last ones, by which it is judged; and how many of them at most
FINE = 1.25  # pixels: what is finer than that is softened most
CRISPEST = 0.75  # times what is fine that is added at the most: more raises the grain of a film, too
GAIN = 0.03  # of the error where views differ from the portrait that must be saved
DOUBLE = 1.1  # times what is fine in photo or film, from which views of other rooms show outlines twice


@dataclass(frozen=True)
class Plan:
    """Which frames of a film make the views of one side, numbered as its motions are."""

    side: float  # -1 or 1: the sign of their turns
    whole: list[np.ndarray]  # of each view
    trial: list[np.ndarray]  # of each view on trial, made without the frames that are held back
    held: np.ndarray
    turned: int  # how many frames are turned to this side

    @property
    def rows(self) -> np.ndarray:
        """All of them, in order."""
        return np.unique(np.concatenate([*self.whole, *self.trial, self.held]))


@dataclass(frozen=True)
class Uncovered:
    """What came of one side: its views, none where they do not help; errors where they differ, in grey levels."""

    side: float
    views: tuple[View, ...]
    before: float
    after: float


def planned(motions: list[Motion]) -> list[Plan]:
    """The sides that frames of ``motions``, in the order of the film, show turned often enough."""
    turns = np.array([turned_by(motion)[0] for motion in motions])
    out = []
    for side in (-1.0, 1.0):
        turned = np.flatnonzero(side * turns > LEAST_TURN)
        rest, late = np.split(turned, [len(turned) - round(HELD * len(turned))])
        if len(rest) < FEWEST or not len(late):
            continue
        held = late[np.unique(np.linspace(0, len(late) - 1, JUDGES).astype(int))]
        far = side * float(np.percentile(side * turns[turned], WIDE))
        both = [
            [_nearest(motions, step * far, np.setdiff1d(np.arange(len(motions)), without)) for step in STEPS]
            for without in (late[:0], late)
        ]
        whole, trial = ([rows for rows in views if len(rows)] for views in both)
        if whole and trial:
            out.append(Plan(side, whole, trial, held, len(turned)))
    return out


def _nearest(motions: list[Motion], goal: float, among: np.ndarray) -> np.ndarray:
    """The frames ``among`` all that serve best for a view at ``goal``: turned alike, level, lips closed."""
    turn, nod = np.array([turned_by(motions[k]) for k in among]).T
    alike = np.flatnonzero((np.abs(turn - goal) < ALIKE) & (turn * goal > 0))
    if len(alike) < FEWEST:
        return among[:0]
    jaw = np.array([motions[k].blendshapes[INDEX["jawOpen"]] for k in among[alike]])
    nod = np.abs(nod[alike] - np.median(nod[alike]))
    cost = np.abs(turn[alike] - goal) / NEAR + nod / NODDED + np.maximum(jaw, 0) / OPEN
    return np.asarray(among[alike[np.argsort(cost)[:FRAMES]]])


def fit_views(
    avatar: Avatar, known: Prepared, drift: Drift | None, plan: Plan, shown: Seen, elsewhere: bool = False
) -> Uncovered:
    """The views of one side from the frames ``shown``, those of ``plan.rows``, as large as the portrait.

    Of frames taken ``elsewhere`` the head alone counts (`other_rooms`).
    """
    renderer = Renderer(_remembering(avatar, drift, ()), avatar.size, known)
    share = _taken_from(renderer, shown.motions)
    if elsewhere:
        share *= of_head(renderer)
    undone = {
        row: _undone(renderer, share > 0, shown, k, elsewhere)
        for k, row in enumerate(plan.rows.tolist())
        if any(row in rows for rows in (*plan.whole, *plan.trial))
    }

    def made(views: list[np.ndarray], crisp: float) -> tuple[View, ...]:
        return tuple(
            _view_of(renderer, share, [undone[row].sharpened(crisp) for row in rows.tolist()], elsewhere)
            for rows in views
        )

    held = shown[np.searchsorted(plan.rows, plan.held)]

    def tried(crisp: float) -> Judged:
        views = made(plan.trial, crisp)
        return _judged(Renderer(_remembering(avatar, drift, views), avatar.size, known), share, held, elsewhere)

    soft, hard = tried(0.0), tried(CRISPEST)
    lacking = float(np.clip((soft.wanted - soft.fine) / max(hard.fine - soft.fine, 1e-6), 0, 1))
    plain, after = _judged(renderer, share, held, elsewhere), soft.error + lacking * (hard.error - soft.error)
    better = after < (1 - GAIN) * plain.error
    if elsewhere:
        better &= soft.fine < DOUBLE * max(plain.fine, plain.wanted)
    return Uncovered(plan.side, made(plan.whole, lacking * CRISPEST) if better else (), plain.error, after)


@dataclass(frozen=True)
class Judged:
    """Pictures beside the film's where views may differ, in grey levels."""

    error: float
    fine: float  # how much what is finer than FINE counts in them
    wanted: float  # and in the film's


def _judged(renderer: Renderer, share: FloatArray, shown: Seen, elsewhere: bool) -> Judged:
    """A ``renderer``'s pictures beside frames ``shown``, on the texture's ``share`` [h, h]."""
    margin, first = renderer.avatar.size // MARGIN, len(renderer.scene.dense.skin) + len(renderer.scene.dense.sheet)
    found = []
    for picture, motion in zip(shown.pictures, shown.motions, strict=True):
        made = renderer.render(motion)
        x, y = renderer.painter.places + margin
        weight = read_at(share, x, y) * (renderer.painter.which < first)
        if elsewhere:
            weight *= person_matte(picture) > 0.5
        apart = np.abs(made.astype(np.int16) - picture), np.abs(_fine(made)), np.abs(_fine(picture))
        found.append([float((a.mean(2) * weight).sum() / max(float(weight.sum()), 1e-6)) for a in apart])
    return Judged(*np.mean(found, axis=0).tolist())


def _fine(picture: np.ndarray) -> FloatArray:
    """What of a ``picture`` [s, s, 3] is finer than FINE."""
    return np.asarray(picture - blur(picture, FINE), np.float32)


@dataclass(frozen=True)
class Undone:
    """A frame laid back onto the texture's n pixels where views may differ."""

    turn: tuple[float, float]  # sines of turn and nod
    colours: FloatArray  # [n, 3], infinite where it shows nothing of them
    fine: FloatArray  # [n, 3] what is fine in them

    def sharpened(self, crisp: float) -> Undone:
        """The same with ``crisp`` times as much again of what is fine."""
        return replace(self, colours=self.colours + np.float32(crisp) * self.fine)


def _undone(renderer: Renderer, on: np.ndarray, shown: Seen, k: int, elsewhere: bool) -> Undone:
    """The ``k``th of ``shown`` on the texture's pixels ``on`` [h, h]; of frames ``elsewhere`` the person alone."""
    motion, picture = shown.motions[k], shown.pictures[k]
    at, visible = lies_at(renderer, motion, on)
    if elsewhere:
        visible &= read_at(person_matte(picture), at[:, 0], at[:, 1]) > 0.5
    x, y = at[visible].T
    colours, fine = np.full((len(at), 3), np.inf, np.float32), np.zeros((len(at), 3), np.float32)
    colours[visible], fine[visible] = (read_by(each, x, y, "cubic") for each in (picture, _fine(picture)))
    return Undone(turned_by(motion), colours, fine)


def _view_of(renderer: Renderer, share: FloatArray, frames: list[Undone], elsewhere: bool) -> View:
    """What ``frames`` have beyond the portrait of a ``renderer`` of its size, where ``share`` [h, h] lets.

    That one of them which is most like their median is shown, for a median is soft; the median where they part.
    """
    size, on = renderer.avatar.size, share > 0
    seen = np.stack([frame.colours for frame in frames])
    known = np.isfinite(seen[..., 0])
    count = known.sum(0)
    middle = np.take_along_axis(np.sort(seen, axis=0), np.maximum(count - 1, 0)[None, :, None] // 2, 0)[0]
    usual = count > len(seen) / 2
    middle[~usual] = 0
    off = np.where(known & usual, np.abs(seen - middle).mean(2), 0)
    spread = off.sum(0) / np.maximum(count, 1)
    weight = share[on] * usual
    best = int(np.argmin([(weight * np.where(known[k], off[k], UNSEEN)).sum() for k in range(len(seen))]))
    near = known[best] * (1 - smoothstep((blur(laid_out(on, off[best]), size / 256)[on] - ALONE[0]) / ALONE[1]))
    middle += near[:, None] * (np.where(known[best][:, None], seen[best], 0) - middle) * usual[:, None]
    middle, usual = closed(on, middle, usual, size / GAP)
    believed = np.clip(2 * blur(laid_out(on, usual), size / 200) - 1, 0, 1)[on] * usual
    uneven = blur(laid_out(on, spread), size / 128)[on]
    believed *= share[on] * (1 - smoothstep((uneven - APART[0]) / (APART[1] - APART[0])))
    beside = laid_out(on, middle - _portrait(renderer)[on])
    known_there = laid_out(on, usual)
    beside -= own_light(renderer.avatar, beside, known_there) if elsewhere else _tint(renderer, beside, known_there)
    differs = blur(np.abs(beside).mean(2), size / 128)[on]
    believed *= smoothstep((differs - SAME[0]) / (SAME[1] - SAME[0]))
    kept = np.zeros((*on.shape, 4), np.int8)
    kept[on, :3] = np.clip(np.rint(believed[:, None] * beside[on] / 2), -127, 127)
    places = renderer.avatar.reference[:, :2] + size // MARGIN
    covered = np.clip(read_at(laid_out(on, believed), places[:, 0], places[:, 1]), 0, 1)
    return View(np.mean([frame.turn for frame in frames], axis=0).astype(np.float32), kept, covered)


def grazing_skin(avatar: Avatar) -> FloatArray:
    """How much of the portrait's skin [468] it sees at a grazing angle, 0 to 1; beside the face's middle."""
    model = face_model()
    toward = -facing(avatar.reference, model.triangles)[:, 2]
    grazing = 1 - smoothstep((toward - GRAZING[0]) / (GRAZING[1] - GRAZING[0]))
    return np.asarray(grazing * smoothstep((np.abs(model.neutral[:, 0]) - MIDDLE) / 1.5))


def _taken_from(renderer: Renderer, motions: list[Motion]) -> FloatArray:
    """Where views may differ from the portrait [h, h], 0 to 1: on the head, beside and behind the well-seen face.

    Of the face only what frames of these ``motions`` see better: the other cheek's outline lies beside it in them.
    """
    avatar = renderer.avatar
    normals = facing(avatar.reference, face_model().triangles)
    better = normals[:, 2] - normals @ np.mean([motion.rotation[2] for motion in motions], axis=0)
    grazing = grazing_skin(avatar) * smoothstep(better / BETTER)
    width = float(np.linalg.norm(avatar.reference[top.EAR_RIGHT] - avatar.reference[top.EAR_LEFT]))
    oval = avatar.reference[list(top.OVAL), :2]
    away = np.linalg.norm(avatar.around[:, None, :2] - oval, axis=2).min(1) / (BAND * width)
    beside = (grazing[avatar.around_near] * avatar.around_share).sum(1)
    around = beside + (1 - beside) * smoothstep(away)
    around *= smoothstep((avatar.around_head - HEAD[0]) / (HEAD[1] - HEAD[0]))
    given = np.concatenate([grazing, around, grazing[list(top.OVAL)]])[:, None].astype(np.float32)
    skin, _ = on_texture(renderer, given, renderer.scene.dense.skin)
    sheet, on_sheet = on_texture(renderer, given, renderer.scene.dense.sheet)
    margin = avatar.size // MARGIN
    person = np.pad(blur(avatar.matte.astype(np.float32) / 255, CLOSE * width), margin, mode="edge")
    return np.asarray(np.where(on_sheet, sheet[..., 0] * smoothstep(person / 0.4), skin[..., 0]), np.float32)


def _portrait(renderer: Renderer) -> FloatArray:
    """The texture that views differ from [h, h, 3]."""
    side = renderer.avatar.size + 2 * (renderer.avatar.size // MARGIN)
    return renderer.scene.atlas[:side].astype(np.float32)


def _tint(renderer: Renderer, beside: FloatArray, usual: np.ndarray) -> FloatArray:
    """By how much skin that both see well differs, carried over the face's border and fading there [h, h, 3]."""
    avatar, model = renderer.avatar, face_model()
    toward = smoothstep((-facing(avatar.reference, model.triangles)[:, 2] - GRAZING[0]) / 0.3)
    values = np.zeros((len(renderer.scene.maps), 1), np.float32)
    values[: top.VERTICES, 0] = toward
    first = renderer.scene.base
    values[first : first + renderer.scene.dense.count] = renderer.scene.dense(values[:first])
    places = np.pad(renderer.scene.maps[:, :2], ((0, 0), (0, 1)))
    face, _ = spread(renderer, places, values, renderer.scene.dense.skin)
    weight = (face * usual[..., None])[::COARSE, ::COARSE]
    small = blur(np.concatenate([weight * beside[::COARSE, ::COARSE], weight], axis=2), 0.04 * avatar.size / COARSE)
    tint = np.clip(2 * small[..., 3:], 0, 1) * small[..., :3] / np.maximum(small[..., 3:], 1e-3)
    y, x = np.mgrid[: len(beside), : len(beside)] / COARSE
    return read_at(tint.astype(np.float32), x, y)


def _remembering(avatar: Avatar, drift: Drift | None, views: tuple[View, ...]) -> Avatar:
    """``avatar`` as its film shows it around the face alone."""
    return replace(avatar, film=FilmMemory({}, Manner(), drift, views))
