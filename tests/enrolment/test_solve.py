"""Camera, identity and expression are told apart: known faces come back."""

from __future__ import annotations

import numpy as np
import pytest

from engine.contracts import FloatArray
from engine.enrolment.neutral import close_lips, relax_mouth
from engine.enrolment.solve import solve
from engine.face import topology as top
from engine.face.blendshapes import INDEX, NAMES
from engine.face.measures import aperture, eye_aspect_ratio, head_angles, landmark_error, rotation_angles
from engine.face.morphable_model import face_model

pytestmark = pytest.mark.cpu
SEED = 4


def turned(yaw: float, pitch: float, roll: float) -> FloatArray:
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return (about_z @ about_y @ about_x).astype(np.float32)


def person(seed: int) -> FloatArray:
    """Identity coefficients [150] of somebody who is not the mean."""
    model = face_model()
    return (0.3 * model.identity_spread * np.random.default_rng(seed).normal(size=150)).astype(np.float32)


def expression(**shapes: float) -> FloatArray:
    beta = np.zeros(len(NAMES), np.float32)
    for name, value in shapes.items():
        for full in (name, name + "Left", name + "Right"):
            if full in INDEX:
                beta[INDEX[full]] = value
    return beta


def seen(shape: FloatArray, rotation: FloatArray, noise: float = 0.0) -> FloatArray:
    rng = np.random.default_rng(SEED)
    return (14 * shape @ rotation.T + [250, 260, 9] + noise * rng.normal(size=shape.shape)).astype(np.float32)


@pytest.mark.parametrize("turn", [(0, 0, 0), (20, -8, 5), (-30, 10, -10)])
@pytest.mark.parametrize("shapes", [{}, {"jawOpen": 0.4}, {"mouthSmile": 0.6, "mouthUpperUp": 0.4, "jawOpen": 0.1}])
def test_a_face_is_taken_apart(turn: tuple[float, float, float], shapes: dict[str, float]) -> None:
    model, beta = face_model(), expression(**shapes)
    face = seen(model.shape(person(1), beta), turned(*turn), noise=0.4)
    found = solve(face)
    assert np.allclose(rotation_angles(found.rotation), turn, atol=2.5)
    assert found.scale == pytest.approx(14, rel=0.06)
    assert found.beta.min() >= 0
    assert found.beta.max() <= 1
    assert np.abs(found.beta - beta).max() < 0.25
    assert found.beta[INDEX["jawOpen"]] == pytest.approx(shapes.get("jawOpen", 0), abs=0.12)


def test_a_speaking_face_and_a_silent_one_become_the_same() -> None:
    """What is left of the difference between open and closed is less than half, chin and lips alike."""
    model, rotation = face_model(), turned(5, 3, 0)
    silent = seen(model.shape(person(2), expression()), rotation)
    speaking = seen(model.shape(person(2), expression(jawOpen=0.35, mouthLowerDown=0.3, mouthUpperUp=0.2)), rotation)
    found = solve(speaking)
    made = close_lips(relax_mouth(speaking, found))
    assert aperture(made) < 1e-3 < 0.1 < aperture(speaking)
    lips = list(top.LIP_INNER)
    assert landmark_error(made, silent, lips) < 0.5 * landmark_error(speaking, silent, lips)
    chin = [top.CHIN, 148, 377]
    assert landmark_error(made, silent, chin) < 0.5 * landmark_error(speaking, silent, chin)
    assert lower_lip(made) == pytest.approx(lower_lip(silent), rel=0.1), "a lip that closes is not stretched"


def lower_lip(face: np.ndarray) -> float:
    """How thick the lower lip of ``face`` [468, 3] is in its middle, in pixels."""
    inner, outer = face[list(top.LIP_INNER_LOWER[3:8]), :2], face[list(top.LIP_OUTER_LOWER[3:8]), :2]
    return float(np.linalg.norm(outer - inner, axis=1).mean())


def test_measures_of_a_known_face() -> None:
    model = face_model()
    face = seen(model.shape(np.zeros(150, np.float32), expression(jawOpen=0.3)), turned(12, -6, 4))
    assert np.allclose(head_angles(face, model), (12, -6, 4), atol=1)
    assert aperture(face) > aperture(seen(model.neutral, turned(12, -6, 4))) + 0.05
    closed = seen(model.shape(np.zeros(150, np.float32), expression(eyeBlinkRight=0.7)), turned(0, 0, 0))
    assert eye_aspect_ratio(closed, "right") < 0.6 * eye_aspect_ratio(closed, "left")
    assert landmark_error(face, face) == 0
