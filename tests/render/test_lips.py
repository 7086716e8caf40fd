"""Open lips make an arch, rounded ones a ring."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from engine.contracts import Motion
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.render.parts.driven_face import DrivenFace
from engine.render.parts.lip_arch import LipArch
from engine.render.prepared import prepare
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu
UPPER, LOWER = list(top.LIP_INNER_UPPER), list(top.LIP_INNER_LOWER)


@pytest.fixture(scope="module")
def drive(astronaut: Avatar) -> DrivenFace:
    known = prepare(astronaut)
    return DrivenFace(known.head, known.face, known.lips)


def gaps(drive: DrivenFace, talk, **shapes: float) -> np.ndarray:
    face = drive(talk(**shapes).blendshapes)
    return (face[LOWER] - face[UPPER])[:, 1]


def test_a_wide_mouth_is_an_arch_not_a_wedge(drive: DrivenFace, talk) -> None:
    gap = gaps(drive, talk, jawOpen=0.6)
    assert (gap[[2, 8]] > 0.6 * gap[5]).all(), "a wedge would leave less than half here"
    assert (np.diff(gap[:6]) > 0).all()
    assert (np.diff(gap[5:]) < 0).all()


def test_rounded_lips_are_a_ring(drive: DrivenFace, astronaut: Avatar, talk) -> None:
    face = drive(talk(jawOpen=0.3, mouthPucker=0.7, mouthFunnel=0.2).blendshapes)
    ring = (face[list(top.LIP_INNER)] @ astronaut.rotation / astronaut.scale)[:, :2]
    low, high = ring.min(0), ring.max(0)
    circle = (ring - 0.5 * (low + high)) / (0.5 * (high - low))
    assert np.abs(np.linalg.norm(circle, axis=1) - 1).max() < 0.12, "an ellipse, corners included"
    rest = drive(talk().blendshapes)
    width, usual = (np.linalg.norm(f[UPPER[0]] - f[UPPER[-1]]) for f in (face, rest))
    assert width < 0.7 * usual
    outer = (face[list(top.LIP_OUTER)] @ astronaut.rotation / astronaut.scale)[:, :2]
    assert (np.linalg.norm(outer - ring, axis=1) > 0.1).all(), "the lips lie around it"


def test_a_ring_grows_out_of_closed_lips_without_a_jump(drive: DrivenFace, talk) -> None:
    faces = [drive(talk(jawOpen=v, mouthPucker=0.8).blendshapes) for v in np.linspace(0, 0.5, 41)]
    steps = [float(np.abs(b - a).max()) for a, b in pairwise(faces)]
    assert max(steps) < 2.0, "pixels between neighbours of 41 steps"


def test_rounding_takes_a_lasting_smile_away(drive: DrivenFace, astronaut: Avatar, talk) -> None:
    def lift(face: np.ndarray) -> float:
        return float(face[[13, 14], 1].mean() - face[[UPPER[0], UPPER[-1]], 1].mean())

    assert lift(astronaut.neutral) > 4, "she smiles with closed lips"
    rounded = drive(talk(mouthPucker=0.8).blendshapes)
    assert lift(rounded) < 0.75 * lift(astronaut.neutral)
    assert (rounded[[UPPER[0], UPPER[-1]], 1] - astronaut.neutral[[UPPER[0], UPPER[-1]], 1] > 4).all(), "corners sink"


def test_lips_at_rest_stay_where_they_are(astronaut: Avatar) -> None:
    arch = LipArch(astronaut.reference, astronaut.scale, astronaut.rotation[:, 1])
    face = astronaut.reference.copy()
    arch.shape(face)
    assert np.array_equal(face, astronaut.reference), "an open smile that is the neutral face is not reshaped"


def test_the_dark_beside_a_corner_is_not_dragged_along(renderer: Renderer, astronaut: Avatar, talk) -> None:
    """Where the lips are drawn in, skin samples further out than where its vertices were."""
    corner = top.LIP_OUTER_UPPER[0]
    silent = Renderer(dataclasses.replace(astronaut, smile=0.0))

    def sampled(pose: Motion, who: Renderer) -> float:
        maps = who.scene.maps.copy()
        who._let_corners_go(maps, who._drive(pose.blendshapes))
        assert np.array_equal(maps[list(top.LIP_INNER)], who.scene.maps[list(top.LIP_INNER)])
        return float(maps[corner, 0] - who.scene.maps[corner, 0])

    assert sampled(talk(), silent) == 0
    assert sampled(talk(mouthSmile=0.5), silent) == 0, "corners that move outwards keep their texture"
    assert sampled(talk(jawOpen=0.2, mouthPucker=0.7), silent) < -0.2 * astronaut.scale
    assert sampled(talk(jawOpen=0.2, mouthPucker=0.7), renderer) == 0, "beside an open smile there is no such dark"
