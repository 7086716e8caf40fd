"""Does a portrait come back, does its picture do what it is told, is every frame clean? A face tracker looks at it.

The tracker reads openings and turns too small, so correlations count. What the figures must be,
`engine.evaluation.face_limits` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.enrolment.enroll import enroll_picture
from engine.enrolment.landmarks import FaceMesh, face_mask
from engine.evaluation.judged_motions import CLOSED, VISEMES, clips, motion, rotation, talking
from engine.face import measures
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.morphable_model import face_model, similarity
from engine.imaging.resampling import to_bytes, warped
from engine.render.renderer import Renderer

NOSE_BASE = 2  # a vertex
SEED = 3
# Copies of a picture that the tracker reads: to the right and down in picture sizes, and scale.
COPIES = ((0.0, 0.0, 1.0), (0.01, 0.006, 0.96), (-0.008, 0.012, 1.04), (0.006, -0.012, 0.92), (-0.012, -0.006, 1.08))
SPOKEN = (VISEMES["A"], VISEMES["O"], VISEMES["E"], {"mouthSmile": 0.6, "mouthUpperUp": 0.5, "mouthLowerDown": 0.3})


class Judge:
    """One avatar before the tracker. Pictures on which no face is found are counted and left out.

    The tracker's reading trembles when a picture moves by a few pixels; ``looks`` says how many slightly shifted and
    scaled copies it reads, of which the median counts (1: the picture as it is, alone).
    """

    def __init__(self, avatar: Avatar, tracker: FaceMesh, looks: int = 1) -> None:
        self.avatar, self.renderer, self._tracker = avatar, Renderer(avatar, avatar.size), tracker
        self._copies = COPIES[:looks]
        self.lost = 0

    def look(self, moment: Motion) -> FloatArray | None:
        """Landmarks [478, 3] of the picture of ``moment``, None when no copy of it shows a face."""
        return self.read(self.renderer.render(moment))

    def read(self, picture: ByteArray) -> FloatArray | None:
        """Landmarks [478, 3] of ``picture`` [S, S, 3], None when no copy of it shows a face."""
        size, readings = len(picture), []
        for right, down, scale in self._copies:
            shift = size * np.array([right + (1 - scale) / 2, down + (1 - scale) / 2])
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            copy = picture if scale == 1 else to_bytes(warped(picture, matrix, size, size))
            for face in self._tracker.find(copy)[:1]:
                face[:, :2] -= shift if scale != 1 else 0
                readings.append(face / scale)
        self.lost += not readings
        return np.median(readings, axis=0).astype(np.float32) if readings else None

    def see(self, moments: list[Motion]) -> tuple[list[int], list[FloatArray]]:
        """Which of ``moments`` a face was found in, and the faces."""
        return _found([self.look(moment) for moment in moments])

    def see_rotated(self, degrees: np.ndarray) -> tuple[list[int], list[FloatArray]]:
        """The portrait itself rotated as a picture: at which of ``degrees`` a face was found in it, and the faces."""
        portrait, middle = self.avatar.portrait, self.avatar.pivot[:2].astype(float)
        faces = []
        for angle in np.radians(degrees):
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            matrix = np.c_[turn, middle - turn @ middle]
            faces.append(self.read(to_bytes(warped(portrait, matrix, len(portrait), len(portrait)))))
        return _found(faces)


def _found(faces: list[FloatArray | None]) -> tuple[list[int], list[FloatArray]]:
    return [k for k, face in enumerate(faces) if face is not None], [face for face in faces if face is not None]


def correlation(a: object, b: object) -> float:
    return float(np.corrcoef(np.asarray(a, float), np.asarray(b, float))[0, 1])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.square(a.astype(np.float64) - b.astype(np.float64)).mean())
    return 99.0 if error == 0 else min(99.0, float(10 * np.log10(255**2 / error)))


def judge_identity(judge: Judge) -> dict[str, float]:
    """The portrait's own expression in its own pose must be the portrait."""
    avatar = judge.avatar
    own = Motion(0, judge.renderer.own_expression, rotation(0, 0, 0), np.zeros(3, np.float32))
    picture = judge.renderer.render(own)
    inside = face_mask(avatar.reference, face_model().triangles, avatar.size) > 0
    return {
        "psnr_face": psnr(picture[inside], avatar.portrait[inside]),
        "psnr_whole": psnr(picture, avatar.portrait),
    }


def judge_lips(judge: Judge) -> dict[str, float]:
    values = np.linspace(0, 1, 11)
    found, faces = judge.see([motion({"jawOpen": v}) for v in values])
    seen = [measures.aperture(face) for face in faces]
    rng = np.random.default_rng(SEED)
    moments = [talking(rng, (6, 4, 3), False) for _ in range(24)]
    at, talked = judge.see(moments)
    driven = [judge.renderer.driven_mesh(moments[k]) for k in at]
    shut = [measures.aperture(face) for face in judge.see([motion(shapes) for shapes in CLOSED.values()])[1]]
    inner = list(top.LIP_INNER)
    pairs = list(zip(talked, driven, strict=True))
    return {
        "jaw_r": correlation(values[found], seen),
        "jaw_gain": (seen[-1] - seen[0])
        / max(1e-6, measures.aperture(judge.renderer.driven_mesh(motion({"jawOpen": 1.0})))),
        "talk_r": correlation([measures.aperture(d) for d in driven], [measures.aperture(t) for t in talked]),
        "closed": max(shut),
        "points": 100 * float(np.mean([measures.landmark_error(t, d) for t, d in pairs])),
        "lips": 100 * float(np.mean([measures.landmark_error(t, d, inner) for t, d in pairs])),
    }


def judge_eyes(judge: Judge) -> dict[str, float]:
    values = np.linspace(0, 1, 9)
    found, faces = judge.see([motion({"eyeBlink": v}) for v in values])
    ratios = {side: [measures.eye_aspect_ratio(face, side) for face in faces] for side in measures.EYES}
    return {
        "blink_r": max(correlation(values[found], seen) for seen in ratios.values()),
        "blink_ratio": max(seen[-1] / seen[0] for seen in ratios.values()),
    }


def judge_turns(judge: Judge) -> dict[str, float]:
    out = {"steps_back": 0.0}
    model = face_model()
    for axis, (name, most) in enumerate((("yaw", 15), ("pitch", 10), ("roll", 12))):
        values = np.linspace(-most, most, 9)
        turns = [motion({}, tuple(float(v) * (k == axis) for k in range(3))) for v in values]  # type: ignore[arg-type]
        found, faces = judge.see(turns)
        seen = [measures.head_angles(face, model)[axis] for face in faces]
        out[name + "_r"] = correlation(values[found], seen)
        out[name + "_gain"] = float(np.polyfit(values[found], seen, 1)[0])
        out["steps_back"] += int((np.diff(seen) <= 0).sum())
    # A picture that is rotated shows the truth: what is read of the portrait itself is the tracker's own gain.
    found, faces = judge.see_rotated(values)
    out["roll_read"] = float(np.polyfit(values[found], [measures.head_angles(face, model)[2] for face in faces], 1)[0])
    out["roll_gain_off"] = abs(out["roll_gain"] / out["roll_read"] - 1)
    return out


@dataclass
class Drawn:
    """What one frame was painted from."""

    vertices: FloatArray  # [V, 3] pixels
    which: np.ndarray  # [S, S] the visible triangle, -1 where there is none
    triangles: np.ndarray  # [F, 3]
    skin: np.ndarray  # [F] bool: face and sheet, not the parts behind them


def draw(renderer: Renderer, moment: Motion) -> Drawn:
    """Render ``moment`` and take down the projected mesh as it goes to the rasterizer."""
    compositor, kept = renderer.compositor, []
    paint = compositor.paint

    def witness(vertices: FloatArray, *rest: object) -> None:
        kept.append(vertices.copy())
        paint(vertices, *rest)  # type: ignore[arg-type]

    compositor.paint = witness  # type: ignore[method-assign, assignment]
    try:
        renderer.render(moment)
    finally:
        compositor.paint = paint  # type: ignore[method-assign]
    return Drawn(kept[0], compositor.which, compositor.triangles, renderer.scene.layers == 0)


def signed_area(vertices: FloatArray, triangles: np.ndarray) -> FloatArray:
    a, b, c = (vertices[triangles[:, k], :2] for k in range(3))
    return np.asarray((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])


def nearest(drawn: Drawn, before: int) -> np.ndarray:
    """The nearest of the triangles ``before`` a number [S, S], -1 where there is none, wherever they face."""
    from kernels.cpu import numba_kernels

    which, depth = np.empty_like(drawn.which), np.empty(drawn.which.shape, np.float32)
    nothing = np.empty((len(drawn.vertices), 0), np.float32)
    out = np.empty((*which.shape, 0), np.float32)
    numba_kernels.rasterize(drawn.vertices, drawn.triangles[:before], nothing, depth, which, out)
    return which


def judge_cleanness(judge: Judge, poses: int) -> dict[str, float]:
    """Random talking poses: nothing uncovered, no triangle seen from behind, nothing that is not a number.

    The renderer leaves out what faces away, so ``folded`` also tells where such a triangle would have been nearest.
    """
    rng = np.random.default_rng(SEED + 1)
    renderer, model = judge.renderer, face_model()
    at_rest = draw(renderer, motion({}))
    # The sheet's triangles face us in the portrait; the face's are wound alike, also those it hides.
    facing = np.sign(signed_area(at_rest.vertices, at_rest.triangles))
    facing[: len(renderer.scene.dense.skin)] = np.sign(np.median(signed_area(model.neutral, model.triangles)))
    uncovered = flipped = folded = not_finite = worst = widest = 0
    for _ in range(poses):
        drawn = draw(renderer, talking(rng, (10, 8, 8), True))
        not_finite += not np.isfinite(drawn.vertices).all()
        uncovered += bool((drawn.which < 0).any())
        away = np.flatnonzero((signed_area(drawn.vertices, drawn.triangles) * facing < 0) & drawn.skin)
        wrong = int(np.isin(drawn.which, away).sum())
        flipped += wrong > 0
        worst = max(worst, wrong)
        hidden = int(np.isin(nearest(drawn, renderer.scene.closed.before), away).sum())
        folded += hidden > 0
        widest = max(widest, hidden)
    return {
        "uncovered": uncovered,
        "flipped": flipped,
        "flipped_pixels": worst,
        "folded": folded,
        "folded_pixels": widest,
        "not_finite": not_finite,
    }


def judge_smoothness(judge: Judge) -> dict[str, float]:
    """The largest change between two frames of a clip, in medians of its changes; the worst clip counts."""
    ratios = []
    for clip in clips():
        pictures = (judge.renderer.render(moment).astype(np.int16) for moment in clip)
        changes = [float(np.abs(after - before).mean()) for before, after in pairwise(pictures)]
        ratios.append(max(changes) / float(np.median(changes)))
    return {"pop": max(ratios), "pop_lips": ratios[0], "pop_head": ratios[1], "pop_eyes": ratios[2]}


def judge_enrolment(judge: Judge) -> dict[str, float]:
    """Pictures of it speaking and smiling, enrolled anew: is their neutral face that of a silent one?

    How far the lower face is from it, in percent of the eye distance, and how far it was as photographed.
    """
    model = face_model()
    lower = np.flatnonzero(model.neutral[:, 1] > model.neutral[NOSE_BASE, 1])
    upper = np.setdiff1d(np.flatnonzero(model.pose_weights > 0), lower)

    def neutral_and_seen(moment: Motion) -> tuple[FloatArray, FloatArray]:
        made, _ = enroll_picture(judge.renderer.render(moment), judge.avatar.size, {})
        return made.neutral, made.reference

    def apart(face: FloatArray, silent: FloatArray) -> float:
        scale, turn, shift = similarity(face[upper], silent[upper])
        laid_over = (scale * face @ turn.T + shift).astype(np.float32)
        return 100 * measures.landmark_error(laid_over, silent, list(lower))

    silent = neutral_and_seen(motion({}))[0]
    spoken = [neutral_and_seen(motion(shapes)) for shapes in SPOKEN]
    return {
        "neutral": float(np.mean([apart(neutral, silent) for neutral, _ in spoken])),
        "neutral_unsolved": float(np.mean([apart(seen, silent) for _, seen in spoken])),
    }


def judge_avatar(avatar: Avatar, tracker: FaceMesh, poses: int, looks: int = 1) -> dict[str, float]:
    judge = Judge(avatar, tracker, looks)
    yaw, pitch, roll = measures.rotation_angles(avatar.rotation)
    out = {"yaw": yaw, "pitch": pitch, "roll": roll, "smile": avatar.smile}
    for part in (judge_identity, judge_lips, judge_eyes, judge_turns, judge_smoothness, judge_enrolment):
        out |= part(judge)
    out |= judge_cleanness(judge, poses)
    return out | {"lost": judge.lost}
