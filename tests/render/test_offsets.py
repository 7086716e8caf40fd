"""Lip offsets move the lips they name, the skin follows, and lips never cross."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.contracts import Motion
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu
LIPS = list(top.LIP_VERTICES)


def offset(motion: Motion, by: np.ndarray) -> Motion:
    return dataclasses.replace(motion, lip_offsets=by.astype(np.float32))


def test_forty_vertices_each_once() -> None:
    assert len(LIPS) == len(set(LIPS)) == 40
    assert set(LIPS) == set(top.LIP_INNER_UPPER + top.LIP_INNER_LOWER + top.LIP_OUTER_UPPER + top.LIP_OUTER_LOWER)


def test_offsets_arrive_in_outer_eye_corner_distances(renderer: Renderer, astronaut: Avatar, talk) -> None:
    pose = talk(jawOpen=0.5)
    rest = renderer.driven_mesh(pose)
    for axis in range(3):
        by = np.zeros((40, 3))
        by[LIPS.index(17), axis] = 0.04
        moved = renderer.driven_mesh(offset(pose, by)) - rest
        wanted = 0.04 * astronaut.unit * astronaut.rotation[:, axis]
        assert np.allclose(moved[17], wanted, atol=1e-3)
        assert np.abs(moved[[v for v in LIPS if v != 17]]).max() < 1e-3, "its neighbours are told for themselves"
        assert np.abs(moved[[1, 152, 33, 263, 10]]).max() < 0.05, "nose, chin and eyes stay"
        assert 0 < np.abs(moved[15]).max() < np.abs(wanted).max(), "the lip's inner row follows"


def test_the_whole_mouth_moves_smoothly(renderer: Renderer, astronaut: Avatar, talk) -> None:
    by = np.zeros((40, 3))
    by[:, 1] = 0.03
    moved = (renderer.driven_mesh(offset(talk(jawOpen=0.3), by)) - renderer.driven_mesh(talk(jawOpen=0.3)))[:, 1]
    unit = 0.03 * astronaut.unit
    assert np.allclose(moved[LIPS], unit, atol=0.02 * unit)
    skin = moved[[164, 167, 393, 18, 200]]
    assert (skin > 0.02 * unit).all()
    assert (skin < unit).all(), "skin beside the lips follows less"


def test_lips_never_cross(renderer: Renderer, astronaut: Avatar, talk) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        pose = talk(jawOpen=rng.uniform(0, 0.4), mouthPucker=rng.uniform(0, 0.6))
        mesh = renderer.driven_mesh(offset(pose, rng.normal(0, 0.05, (40, 3))))
        gap = (mesh[list(top.LIP_INNER_LOWER)] - mesh[list(top.LIP_INNER_UPPER)]) @ astronaut.rotation[:, 1]
        assert gap.min() > -1e-3


def test_none_is_none_and_nonsense_is_refused(renderer: Renderer, talk) -> None:
    pose = talk(jawOpen=0.2)
    plain = renderer.render(pose)
    assert np.array_equal(renderer.render(offset(pose, np.zeros((40, 3)))), plain)
    assert np.array_equal(renderer.render(offset(pose, np.full((40, 3), np.nan))), plain)
    for shape in ((39, 3), (40, 2), (40,)):
        with pytest.raises(ValueError, match=r"lip_offsets was expected to be empty or of shape \(40, 3\)"):
            renderer.render(offset(pose, np.zeros(shape)))


def test_it_leaves_the_own_expression(renderer: Renderer, talk) -> None:
    own = renderer.own_expression
    assert renderer._drive.own_share(own) == 1
    assert renderer._drive.own_share(own, np.full((40, 3), 0.1, np.float32)) == 0
