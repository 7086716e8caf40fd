"""How surroundings follow a head, found from pictures of an avatar whose hair and shoulders follow in a known way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.contracts import Motion
from engine.enrolment.footage.sides.depth_fit import fit_depth
from engine.enrolment.footage.sides.drift_fit import Seen, Sides, around_error, fit_drift
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import DRIFTS, NODES, Drift, FilmMemory, Manner
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.prepared import Prepared, prepare
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu

SIDE, FRAMES = 96, 32
FAR = np.array([2.0] * 5, np.float32)


def turned(k: int) -> Motion:
    turn = rotation_matrix(0.3 * np.sin(0.7 * k), 0.08 * np.sin(1.1 * k), 0.05 * np.cos(0.5 * k))
    return Motion(0, np.zeros(52, np.float32), turn, np.array([0.05 * np.sin(0.4 * k), 0, 0], np.float32))


def with_drift(avatar: Avatar, drift: Drift | None) -> Avatar:
    return replace(avatar, film=FilmMemory({}, Manner(), drift))


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load(assets() / "avatars" / "astronaut")


@pytest.fixture(scope="module")
def known(avatar: Avatar) -> Prepared:
    return prepare(avatar)


@pytest.fixture(scope="module")
def real(avatar: Avatar) -> Drift:
    """The upper half follows a turn by 1.4 % of the picture more than geometry says; all sinks with a nod."""
    nodes = np.zeros((DRIFTS, NODES, NODES, 2), np.float32)
    nodes[0, : NODES // 2, :, 0] = 0.014 * avatar.size
    nodes[1, :, :, 1] = 0.004 * avatar.size
    return Drift(np.ones(5, np.float32), -FAR, FAR, nodes)


@pytest.fixture(scope="module")
def seen(avatar: Avatar, known: Prepared, real: Drift) -> Seen:
    renderer = Renderer(with_drift(avatar, real), SIDE, known)
    motions = [turned(k) for k in range(FRAMES)]
    return Seen(np.stack([renderer.render(motion) for motion in motions]), motions)


@pytest.fixture(scope="module")
def found(avatar: Avatar, known: Prepared, seen: Seen) -> Sides:
    sides = fit_drift(avatar, known, seen)
    assert sides
    return sides


def test_what_surrounds_a_face_is_found_to_follow_it(avatar: Avatar, seen: Seen, found: Sides) -> None:
    assert found.drift
    assert found.after < 0.6 * found.before, "on frames that were not learned from"
    renderer = Renderer(with_drift(avatar, found.drift), SIDE)
    assert around_error(renderer, seen.pictures[2], seen.motions[2]) < found.before


def test_a_head_at_rest_keeps_the_portrait(avatar: Avatar, known: Prepared, found: Sides) -> None:
    drifting = Renderer(with_drift(avatar, found.drift), SIDE, known)
    plain = Renderer(replace(avatar, film=None), SIDE, known)
    assert np.array_equal(drifting.render(still()), plain.render(still()))
    assert not np.array_equal(drifting.render(turned(3)), plain.render(turned(3)))


def test_nothing_is_kept_of_what_geometry_says_already(avatar: Avatar, known: Prepared, seen: Seen) -> None:
    plain = Renderer(replace(avatar, film=None), SIDE, known)
    same = fit_drift(avatar, known, Seen(np.stack([plain.render(m) for m in seen.motions]), seen.motions))
    assert same
    assert same.drift is None
    assert fit_drift(avatar, known, seen[np.arange(12)]) is None, "too few frames"


def test_depth_is_found_within_a_shot_of_another_room(avatar: Avatar, known: Prepared) -> None:
    nodes = np.zeros((DRIFTS, NODES, NODES, 2), np.float32)
    nodes[0, : NODES // 2, :, 0] = nodes[1, : NODES // 2, :, 1] = 0.014 * avatar.size
    deep = Renderer(with_drift(avatar, Drift(np.ones(5, np.float32), -FAR, FAR, nodes)), SIDE, known)
    motions = [turned(2 * k) for k in range(FRAMES // 2 + 2)]
    tinted = (np.stack([deep.render(motion) for motion in motions]) * np.array([0.7, 0.8, 1.0])).astype(np.uint8)
    found = fit_depth(avatar, known, [Seen(tinted, motions)])
    assert found
    assert found.drift
    assert found.after < 0.8 * found.before, "on frames that were not learned from"
    across, down = (found.drift.nodes[k, ..., k] / found.drift.usual[k] for k in (0, 1))
    assert np.allclose(across, down, atol=1e-3), "one depth for turns and nods"
    assert not found.drift.nodes[:, -NODES // 4 :].any(), "shoulders are those of the other room"
    assert fit_depth(avatar, known, [Seen(tinted[:1], motions[:1])]) is None


def test_a_drift_is_kept_in_the_folder(avatar: Avatar, found: Sides, tmp_path: Path) -> None:
    assert found.drift
    with_drift(avatar, found.drift).save(tmp_path)
    again = Avatar.load(tmp_path)
    assert again.film
    assert again.film.drift
    assert np.array_equal(again.film.drift.nodes, found.drift.nodes)
    for wrong in (found.drift.nodes[:3], found.drift.nodes * np.float32(np.nan)):
        with_drift(avatar, replace(found.drift, nodes=wrong)).save(tmp_path)
        with pytest.raises(VivifyError, match="enrol the film again"):
            Avatar.load(tmp_path)
