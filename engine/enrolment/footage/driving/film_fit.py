"""From face landmarks over time to identity, expression, lip offsets and head pose (VividTalk 3.2, the data of eq. 11).

The head is taken out first: every frame's landmarks, turned back by that frame's pose, lie in the face model's own
frame. Frames with closed lips and open eyes tell who it is; the rest is expression, by bounded least squares on our
own basis; what the basis leaves of the lips are the offsets of eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray
from engine.enrolment.footage.driving.steadiness import steadied
from engine.face import topology as top
from engine.face.blendshapes import INDEX, NAMES
from engine.face.morphable_model import FaceModel, similarity

PIVOT = np.array([0.0, 9.05, 4.3])  # the neck joint in the model's frame, where enrolment puts it
CAMERA = 8.0  # outer-eye-corner distances to the camera, assumed: how a change of size reads as a change of depth
EYEBALL = 1.2  # cm
GAZE_DEGREES = 32.0  # eye rotation at an eyeLook coefficient of 1
_RIDGE = 0.004  # of the mean curvature: between two expressions that look alike, the smaller one
_SWEEPS = 60
_SPAN = 7  # frames over which a head's place is smoothed
_DEPTH = 0.4  # how far a landmark's depth is believed
_LIGHT = np.array([0.15, 0.7, 0.15])  # smoothing of landmarks over time; more would blur a closure of one frame


@dataclass(frozen=True)
class Fit:
    """One shot in the model's terms. T frames."""

    alpha: FloatArray  # [K] identity
    residual: FloatArray  # [468, 3] cm, what identity leaves of the person's neutral face
    blendshapes: FloatArray  # [T, 52]
    lip_offsets: FloatArray  # [T, 40, 3] as `engine.contracts.Motion.lip_offsets`
    rotation: FloatArray  # [T, 3, 3] the head in the picture, axes of `engine.contracts`
    translation: FloatArray  # [T, 3] of the neck joint from its median place, in outer-eye-corner distances
    aperture: FloatArray  # [T] inner-lip gap in outer-eye-corner distances, in the head's frame
    width: FloatArray  # [T] mouth corner to mouth corner, the same
    error: FloatArray  # [T] root mean square distance of landmarks and fitted face, in outer-eye-corner distances


def fit(shots: list[FloatArray], model: FaceModel, known: FloatArray | None = None) -> list[Fit]:
    """Shots of one person, each [T, 478, 3] landmarks in pixels with a face in every frame. One identity for all.

    ``known`` is the person's neutral face [468, 3] in the model's frame, where it need not be found.
    """
    seen = np.concatenate([_smooth(shot.astype(np.float64)) for shot in shots])
    basis = model.expressions.astype(np.float64)
    person = (model.neutral if known is None else known).astype(np.float64)
    beta = np.zeros((len(seen), len(NAMES)))
    for _ in range(3):
        scale, rotation, shift = _poses(seen[:, : top.VERTICES], person, beta, model)
        head = np.einsum("tvi,tij->tvj", seen - shift[:, None], rotation) / scale[:, None, None]  # [T, 478, 3] cm
        mesh = head[:, : top.VERTICES]
        if known is None:
            person = np.median((mesh - np.tensordot(beta, basis, 1))[_at_rest(mesh)], 0)
        beta = _expression(mesh - person, model)
    alpha, residual = model.fit_identity(person.astype(np.float32))
    left = mesh - person - np.tensordot(beta, basis, 1)
    unit = float(np.linalg.norm(person[top.OUTER_CORNER_LEFT] - person[top.OUTER_CORNER_RIGHT]))
    fits, begin = [], 0
    for shot in shots:
        part = slice(begin, begin + len(shot))
        begin = part.stop
        placed = _steady(scale[part], rotation[part], shift[part], unit)
        fits.append(_fit_of(alpha, residual, beta[part], head[part], left[part], placed, unit))
    return fits


def _fit_of(
    alpha: FloatArray,
    residual: FloatArray,
    beta: np.ndarray,
    head: np.ndarray,
    left: np.ndarray,
    placed: tuple[np.ndarray, np.ndarray],
    unit: float,
) -> Fit:
    """One shot's share: beta [T, 52], head [T, 478, 3] cm, what the fit leaves [T, 468, 3] cm, the head's place."""
    gap = np.linalg.norm((head[:, 13] - head[:, 14])[:, :2], axis=1)
    corners = np.linalg.norm((head[:, 61] - head[:, 291])[:, :2], axis=1)
    return Fit(
        alpha,
        residual,
        np.asarray(beta + _gaze(head), np.float32),
        np.asarray(left[:, list(top.LIP_VERTICES)] / unit, np.float32),
        np.asarray(placed[0], np.float32),
        np.asarray(placed[1], np.float32),
        np.asarray(gap / unit, np.float32),
        np.asarray(corners / unit, np.float32),
        np.asarray(np.sqrt((left**2).sum(2).mean(1)) / unit, np.float32),
    )


def _smooth(x: np.ndarray) -> np.ndarray:
    padded = np.concatenate([x[:1], x, x[-1:]])
    return np.asarray(sum(w * padded[k : k + len(x)] for k, w in enumerate(_LIGHT)))


def _poses(
    mesh: np.ndarray, neutral: np.ndarray, beta: np.ndarray, model: FaceModel
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale [T], rotation [T, 3, 3], shift [T, 3] so that mesh = scale * face @ rotation.T + shift."""
    used = model.pose_weights > 0
    moved = np.tensordot(beta, model.expressions[:, used].astype(np.float64), 1) + neutral[used]
    found = [similarity(face, seen[used], model.pose_weights[used]) for face, seen in zip(moved, mesh, strict=True)]
    scale, rotation, shift = zip(*found, strict=True)
    return np.array(scale), np.array(rotation), np.array(shift)


def _eye_opening(head: np.ndarray) -> np.ndarray:
    pairs = [(top.EYE_RIGHT_UPPER[4], top.EYE_RIGHT_LOWER[4]), (top.EYE_LEFT_UPPER[4], top.EYE_LEFT_LOWER[4])]
    return np.asarray(sum(head[:, lower, 1] - head[:, upper, 1] for upper, lower in pairs) / 2)


def _at_rest(head: np.ndarray) -> np.ndarray:
    """Frames [n] that show the person's neutral face best: eyes open, lips together."""
    gap = head[:, 14, 1] - head[:, 13, 1]
    eyes = _eye_opening(head)
    awake = np.flatnonzero(eyes >= np.percentile(eyes, 40))
    return np.asarray(awake[np.argsort(gap[awake])[: max(5, len(awake) // 5)]])


def _weights() -> np.ndarray:
    """How much each coordinate counts [468, 3]: lips and lids more, depth and outline less."""
    weight = np.ones((top.VERTICES, 3))
    for rows in (*top.LIP_ROWS_UPPER, *top.LIP_ROWS_LOWER, top.LIP_INNER):
        weight[list(rows)] = 3.0
    weight[list(top.EYE_RIGHT + top.EYE_LEFT)] = 2.0
    weight[list(top.OVAL)] = 0.4
    weight[:, 2] *= _DEPTH
    return weight


def _expression(moved: np.ndarray, model: FaceModel) -> np.ndarray:
    """Coefficients [T, 52] in [0, 1] of displacements [T, 468, 3] in cm: coordinate descent on all frames at once."""
    weight = _weights().reshape(-1)
    a = model.expressions.reshape(len(NAMES), -1).astype(np.float64) * weight  # [52, 1404]
    fitted = np.array([not name.startswith("eyeLook") and bool(a[k].any()) for k, name in enumerate(NAMES)])
    a = a[fitted]
    gram = a @ a.T
    gram += _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    goal = (moved.reshape(len(moved), -1) * weight) @ a.T  # [T, n]
    x = np.zeros_like(goal)
    for _ in range(_SWEEPS):
        for k in range(len(gram)):
            x[:, k] = np.clip(x[:, k] + (goal[:, k] - x @ gram[k]) / gram[k, k], 0, 1)
    beta = np.zeros((len(moved), len(NAMES)))
    beta[:, fitted] = x
    return beta


def _gaze(head: np.ndarray) -> np.ndarray:
    """The eyeLook coefficients [T, 52] from where the irises stand between the eyes' corners; both eyes alike."""
    off = []
    for iris, upper in ((top.IRIS_RIGHT[0], top.EYE_RIGHT_UPPER), (top.IRIS_LEFT[0], top.EYE_LEFT_UPPER)):
        off.append((head[:, iris] - 0.5 * (head[:, upper[0]] + head[:, upper[-1]]))[:, :2])
    both = 0.5 * (off[0] + off[1])  # [T, 2] cm, x to the picture's right
    both = both - np.median(both, 0)  # a viewer is looked at most of the time
    turn = np.clip(np.degrees(np.arcsin(np.clip(both / EYEBALL, -0.8, 0.8))) / GAZE_DEGREES, -1, 1)
    left, up = turn[:, 0], -turn[:, 1]
    beta = np.zeros((len(head), len(NAMES)))
    for names, value in (
        (("eyeLookOutLeft", "eyeLookInRight"), left),
        (("eyeLookInLeft", "eyeLookOutRight"), -left),
        (("eyeLookUpLeft", "eyeLookUpRight"), up),
        (("eyeLookDownLeft", "eyeLookDownRight"), -up),
    ):
        beta[:, [INDEX[name] for name in names]] = np.maximum(value, 0)[:, None]
    return beta


def _steady(scale: np.ndarray, rotation: np.ndarray, shift: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [T, 3, 3] and the neck joint's translation [T, 3], as smooth as a head moves."""
    size = np.median(scale)
    neck = shift + np.einsum("tij,j->ti", rotation, PIVOT) * scale[:, None]
    place = (neck - np.median(neck, 0)) / (size * unit)
    place[:, 2] = CAMERA * (size / scale - 1)
    u, _, vt = np.linalg.svd(steadied(rotation, _SPAN))
    return u @ vt, steadied(place, _SPAN)
