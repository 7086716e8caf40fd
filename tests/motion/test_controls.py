"""Controls: exact where nothing is wished, gradual where something is, and never in the way of closed lips."""

from __future__ import annotations

from dataclasses import replace
from math import radians

import numpy as np
import pytest

from engine.contracts import Motion
from engine.errors import VivifyError
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.controls import EMOTIONS, Controller, Controls, read_wishes
from engine.motion.rotation import rotation_matrix, scaled

pytestmark = pytest.mark.cpu


def motion(**shapes: float) -> Motion:
    beta = np.zeros(len(NAMES), np.float32)
    for name, value in shapes.items():
        beta[INDEX[name]] = value
    rotation = rotation_matrix(radians(5), radians(-3), radians(2))
    return Motion(0, beta, rotation, np.array([0.1, 0.0, 0.0], np.float32))


def settled(wishes: dict[str, object], given: Motion) -> Motion:
    controller = Controller()
    controller.wished = Controls().changed(wishes)
    for _ in range(50):
        out = controller.apply(given)
    return out


def test_without_wishes_nothing_changes() -> None:
    given = motion(jawOpen=0.3, mouthClose=0.1, eyeBlinkLeft=0.4, eyeLookUpLeft=0.2)
    out = settled({}, given)
    np.testing.assert_array_equal(out.blendshapes, given.blendshapes)
    np.testing.assert_array_equal(out.rotation, given.rotation)
    np.testing.assert_array_equal(out.translation, given.translation)


def test_expressiveness_scales_face_and_head_but_not_the_lids() -> None:
    given = motion(jawOpen=0.3, browInnerUp=0.2, eyeBlinkLeft=0.9)
    half, twice = settled({"expressiveness": 0.5}, given), settled({"expressiveness": 2}, given)
    assert half.blendshapes[INDEX["jawOpen"]] == pytest.approx(0.15, abs=1e-3)
    assert twice.blendshapes[INDEX["browInnerUp"]] == pytest.approx(0.4, abs=1e-3)
    assert twice.blendshapes[INDEX["eyeBlinkLeft"]] == pytest.approx(0.9)
    np.testing.assert_allclose(half.rotation @ half.rotation, given.rotation, atol=1e-3)
    still = settled({"expressiveness": 0}, given)
    np.testing.assert_allclose(still.rotation, np.eye(3), atol=1e-3)
    assert still.blendshapes[INDEX["jawOpen"]] < 1e-3


def test_held_lids_and_gaze_overrule_idle_life_until_they_are_given_back() -> None:
    controller = Controller()
    given = motion(eyeBlinkLeft=0.2, eyeLookUpLeft=0.3, eyeLookUpRight=0.3)
    controller.wished = Controls(blink=1.0, gaze_left=-0.5, gaze_up=-0.4)
    for _ in range(50):
        out = controller.apply(given)
    shape = {name: float(out.blendshapes[i]) for name, i in INDEX.items()}
    assert shape["eyeBlinkLeft"] == pytest.approx(1, abs=1e-3)
    assert shape["eyeBlinkRight"] == pytest.approx(1, abs=1e-3)
    assert shape["eyeLookInLeft"] == pytest.approx(0.5, abs=1e-3), "to the person's right: the left eye looks inwards"
    assert shape["eyeLookOutRight"] == pytest.approx(0.5, abs=1e-3)
    assert shape["eyeLookUpLeft"] == pytest.approx(0, abs=1e-3)
    assert shape["eyeLookDownLeft"] == pytest.approx(0.4, abs=1e-3)
    controller.wished = Controls()
    for _ in range(60):
        out = controller.apply(given)
    np.testing.assert_allclose(out.blendshapes, given.blendshapes, atol=1e-3)


def test_a_wish_is_reached_without_a_jump() -> None:
    controller = Controller()
    controller.wished = Controls(smile=1.0, brows=1.0, emotions={"happy": 1.0})
    track = np.array([controller.apply(motion()).blendshapes for _ in range(50)])
    assert np.abs(np.diff(track, axis=0)).max() < 0.35, "25 pictures a second: no leap from one to the next"
    np.testing.assert_allclose(track[-1], track[-2], atol=1e-3)
    assert track[-1][INDEX["mouthSmileLeft"]] > 0.9


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_every_emotion_shows_and_lets_lips_close(emotion: str) -> None:
    shown = settled({"emotions": {emotion: 1}}, motion())
    assert shown.blendshapes.max() > 0.3
    closed = settled({"emotions": {emotion: 1}}, motion(jawOpen=0.2, mouthClose=0.2))
    shape = {name: float(closed.blendshapes[i]) for name, i in INDEX.items()}
    assert shape["mouthClose"] >= shape["jawOpen"] - 1e-6
    assert shape["mouthUpperUpLeft"] < 1e-3
    assert shape["mouthLowerDownLeft"] < 1e-3


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"smil": 1}, "not 'smil'"),
        ({"smile": 2}, "from -1 to 1, but came as 2"),
        ({"smile": "much"}, "a number from -1 to 1"),
        ({"smile": None}, "a number from -1 to 1"),
        ({"blink": float("nan")}, "a number from 0 to 1"),
        ({"expressiveness": True}, "a number from 0 to 2"),
        ({"emotions": {"hungry": 1}}, "weights of happy"),
        ({"emotions": {"happy": -1}}, "emotions.happy"),
        ({"emotions": 3}, "weights of happy"),
    ],
)
def test_a_wish_that_cannot_be_is_told_in_a_sentence(wishes: dict[str, object], expected: str) -> None:
    with pytest.raises(VivifyError, match=expected):
        Controls().changed(wishes)


def test_controls_travel_as_json() -> None:
    wished = Controls().changed({"blink": 0.5, "emotions": {"sad": 0.2}})
    assert Controls().changed(wished.as_dict()) == wished
    assert wished.changed({"blink": None}) == replace(wished, blink=None)


def test_a_rotation_is_scaled_about_its_axis() -> None:
    np.testing.assert_allclose(scaled(rotation_matrix(0.2, 0, 0), 2.0), rotation_matrix(0.4, 0, 0), atol=1e-6)
    np.testing.assert_array_equal(scaled(np.eye(3, dtype=np.float32), 2.0), np.eye(3))


def test_wishes_are_read_as_people_type_them() -> None:
    assert read_wishes(["smile=0.3", "sad=1", "gaze_up=-0.2"]) == {
        "smile": 0.3,
        "emotions": {"sad": 1.0},
        "gaze_up": -0.2,
    }
    with pytest.raises(VivifyError, match="as name=number"):
        read_wishes(["smile"])
