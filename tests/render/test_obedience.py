"""Does the picture do what it is told? A face tracker looks at it.

The tracker reads openings and angles too small, so correlation and order count, not absolute values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from engine.contracts import Motion
from engine.face.blendshapes import INDEX
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def tracker() -> Iterator:
    from engine.enrolment.landmarks import FaceMesh

    with FaceMesh(faces=1) as net:
        yield net


def look(tracker, renderer: Renderer, motion: Motion) -> np.ndarray:
    faces = tracker.find(renderer.render(motion))
    assert faces, "the tracker finds a face in every picture"
    return faces[0]


def aperture(face: np.ndarray) -> float:
    return float(np.linalg.norm(face[13, :2] - face[14, :2]) / np.linalg.norm(face[33, :2] - face[263, :2]))


def eye_ratio(face: np.ndarray, upper: tuple[int, int], lower: tuple[int, int], corners: tuple[int, int]) -> float:
    tall = sum(float(np.linalg.norm(face[u, :2] - face[low, :2])) for u, low in zip(upper, lower, strict=True))
    return tall / (2 * float(np.linalg.norm(face[corners[0], :2] - face[corners[1], :2])))


def correlation(a: object, b: object) -> float:
    return float(np.corrcoef(np.asarray(a, float), np.asarray(b, float))[0, 1])


def test_the_jaw(tracker, renderer: Renderer, talk) -> None:
    values = np.linspace(0, 1, 9)
    seen = [aperture(look(tracker, renderer, talk(jawOpen=v))) for v in values]
    assert correlation(values, seen) >= 0.98
    assert seen[0] <= 0.025, "closed, although the portrait smiles with her mouth open"


def test_talking_poses(tracker, renderer: Renderer, talk) -> None:
    rng = np.random.default_rng(5)
    wanted, seen = [], []
    for _ in range(20):
        shapes = {
            "jawOpen": rng.uniform(0.03, 0.5),
            "mouthSmile": rng.uniform(0, 0.3),
            "mouthFunnel": rng.uniform(0, 0.4),
        }
        motion = talk(tuple(rng.uniform([-6, -4, -3], [6, 4, 3])), **shapes)
        mesh = renderer.driven_mesh(motion)
        wanted.append(np.linalg.norm(mesh[13] - mesh[14]))
        seen.append(aperture(look(tracker, renderer, motion)))
    assert correlation(wanted, seen) >= 0.9


def test_blinks(tracker, renderer: Renderer, talk) -> None:
    values = np.linspace(0, 1, 7)
    faces = [look(tracker, renderer, talk(eyeBlink=v)) for v in values]
    for points in (((160, 158), (144, 153), (33, 133)), ((385, 387), (380, 373), (362, 263))):
        ratios = [eye_ratio(face, *points) for face in faces]
        assert correlation(values, ratios) <= -0.93
        assert ratios[-1] <= 0.5 * ratios[0]


def test_rounding_narrows_and_stretching_widens(tracker, renderer: Renderer, talk) -> None:
    def width(**shapes: float) -> float:
        face = look(tracker, renderer, talk(**shapes))
        return float(np.linalg.norm(face[61, :2] - face[291, :2]) / np.linalg.norm(face[33, :2] - face[263, :2]))

    rest = width(jawOpen=0.1)
    assert width(jawOpen=0.1, mouthPucker=0.7) < 0.94 * rest
    assert width(jawOpen=0.1, mouthStretch=0.5, mouthSmile=0.3) > 1.05 * rest


@pytest.mark.parametrize(("axis", "most"), [(0, 8), (1, 6), (2, 5)])
def test_turns(tracker, renderer: Renderer, talk, axis: int, most: float) -> None:
    from engine.enrolment.enroll import fit_pose
    from engine.face.morphable_model import face_model

    values = np.linspace(-most, most, 7)
    seen = []
    for value in values:
        turn = [0.0, 0.0, 0.0]
        turn[axis] = value
        rotation = fit_pose(look(tracker, renderer, talk(tuple(turn)))[:468], face_model())[1]
        angles = (
            -np.arcsin(rotation[2, 0]),
            np.arctan2(rotation[2, 1], rotation[2, 2]),
            np.arctan2(rotation[1, 0], rotation[0, 0]),
        )
        seen.append(np.degrees(angles[axis]))
    assert correlation(values, seen) >= 0.985
    assert (np.diff(seen) > 0).all()
    gain = np.polyfit(values, seen, 1)[0]
    assert (0.95 if axis == 2 else 0.5) <= gain <= 1.06


def test_gaze_reaches_the_irises(tracker, renderer: Renderer, talk) -> None:
    values = np.linspace(-0.8, 0.8, 5)
    seen = []
    for value in values:
        motion = talk()
        left = motion.blendshapes
        left[INDEX["eyeLookOutLeft"]] = left[INDEX["eyeLookInRight"]] = max(value, 0)
        left[INDEX["eyeLookInLeft"]] = left[INDEX["eyeLookOutRight"]] = max(-value, 0)
        face = look(tracker, renderer, motion)
        seen.append(np.mean([face[468, 0] - face[[33, 133], 0].mean(), face[473, 0] - face[[362, 263], 0].mean()]))
    assert correlation(values, seen) >= 0.9
