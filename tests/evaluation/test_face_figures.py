"""The judge of faces praises what is sound and sees what is broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from engine.contracts import Motion
from engine.evaluation.face_figures import (
    Judge,
    judge_cleanness,
    judge_enrolment,
    judge_identity,
    judge_lips,
    judge_smoothness,
    judge_turns,
)
from engine.evaluation.face_limits import LIMITS, holds, judged, summarise
from engine.evaluation.judged_motions import VISEMES, clips, motion, rotation, talking
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.face.measures import landmark_error, rotation_angles

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def tracker() -> Iterator:
    from engine.enrolment.landmarks import FaceMesh

    with FaceMesh(faces=1) as net:
        yield net


def test_the_default_avatar_holds(tracker, astronaut: Avatar) -> None:
    judge = Judge(astronaut, tracker)
    found = {**judge_identity(judge), **judge_lips(judge), **judge_cleanness(judge, 4)}
    for name in ("psnr_face", "psnr_whole", "jaw_r", "talk_r", "closed", "points", "lips", "uncovered", "not_finite"):
        assert holds(name, found[name], False), (name, found[name])
    assert judge.lost == 0
    again = judge_enrolment(judge)
    assert again["neutral"] < 0.75 * again["neutral_unsolved"], "enrolment takes most of an expression away"


def test_faults_are_seen(tracker, astronaut: Avatar) -> None:
    holed = dataclasses.replace(astronaut, around_triangles=astronaut.around_triangles[:-80])
    assert judge_cleanness(Judge(holed, tracker), 2)["uncovered"] == 2
    folded = astronaut.neutral.copy()
    folded[280] += (60, 0, 60)  # a cheek's vertex beyond its neighbours and behind them: the fold lies open
    turned = dataclasses.replace(astronaut, neutral=folded)
    found = judge_cleanness(Judge(turned, tracker), 2)
    assert found["folded"] == 2
    assert found["folded_pixels"] > 100
    assert found["flipped"] == 0, "the renderer shows no triangle's back"
    both_sides = Judge(turned, tracker)
    both_sides.renderer.scene.facing[:] = 0
    found = judge_cleanness(both_sides, 2)
    assert found["flipped"] == found["folded"] == 2, "nor would it go unseen if it did"
    assert found["flipped_pixels"] > 100
    darker = dataclasses.replace(astronaut, panels=astronaut.panels // 2)
    assert judge_identity(Judge(darker, tracker))["psnr_whole"] < 99


def test_five_looks_agree_with_one(tracker, astronaut: Avatar) -> None:
    moment = motion({"jawOpen": 0.3}, (5, 0, 0))
    one, five = (Judge(astronaut, tracker, looks).look(moment) for looks in (1, 5))
    assert one is not None
    assert five is not None
    assert 0 < landmark_error(five, one) < 0.015


def test_a_roll_is_measured_against_the_rotated_portrait(
    tracker, astronaut: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(astronaut, tracker)
    assert judge_turns(judge)["roll_gain_off"] < 0.02

    def too_far(shapes: dict[str, float], turn: tuple[float, float, float] = (0, 0, 0)) -> Motion:
        return motion(shapes, (turn[0], turn[1], 1.15 * turn[2]))

    monkeypatch.setattr("engine.evaluation.face_figures.motion", too_far)
    assert judge_turns(judge)["roll_gain_off"] == pytest.approx(0.15, abs=0.03)


def test_a_pop_is_seen(tracker, astronaut: Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    def jumping() -> Iterator:
        clip = [motion({"jawOpen": 0.1 + 0.01 * k}) for k in range(8)]
        yield from [clip, [*clip[:4], motion({"jawOpen": 0.5}), *clip[5:]], clip]

    monkeypatch.setattr("engine.evaluation.face_figures.clips", jumping)
    assert not holds("pop", judge_smoothness(Judge(astronaut, tracker))["pop"], False)


def test_limits_are_applied_to_each_and_to_the_median() -> None:
    good = {name: 99.0 if side == ">" else -99.0 for name, (side, _, _) in LIMITS.items()} | {"yaw": 0.0}
    weak = good | {"jaw_r": 0.985, "blink_ratio": 0.9, "yaw": 30.0}
    assert summarise({"a": good, "b": good})["failing"] == []
    assert summarise({"b": weak})["failing"] == ["median: jaw_r 0.985"], "a turned face's eyes are not judged"
    assert summarise({"a": good, "b": weak})["worst"]["jaw_r"] == 0.985  # type: ignore[index]
    assert not judged(weak, "blink_ratio")
    assert summarise({"a": good | {"flipped": 1.0}})["failing"] == ["a: flipped 1.000", "median: flipped 1.000"]


def test_motions_are_what_they_say() -> None:
    for clip in clips():
        assert len(clip) == 75
        betas = np.stack([m.blendshapes for m in clip])
        assert np.abs(np.diff(betas, axis=0)).max() < 0.15
    assert np.allclose(rotation_angles(rotation(12, -7, 5)), (12, -7, 5), atol=1e-3)
    rng = np.random.default_rng(0)
    moments = [talking(rng, (6, 4, 3), True) for _ in range(50)]
    assert max(abs(rotation_angles(m.rotation)[0]) for m in moments) <= 6.001
    assert max(m.blendshapes[INDEX["jawOpen"]] for m in moments) > 0.2
    assert all(m.blendshapes.shape == (len(NAMES),) for m in moments)
    assert all(name in "".join(NAMES) for shapes in VISEMES.values() for name in shapes)
