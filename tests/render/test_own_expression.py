"""A portrait that smiles keeps its smile as a state: asked for, it is the portrait; left alone, it is neutral."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from engine.contracts import Motion
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, LIP, NAMES
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu


def showing(beta: np.ndarray, position: int = 0) -> Motion:
    pose = still(position)
    pose.blendshapes[:] = beta
    return pose


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(np.float64) - b.astype(np.float64)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def test_the_portrait_comes_back(renderer: Renderer, astronaut: Avatar) -> None:
    picture = renderer.render(showing(renderer.own_expression))
    low, high = astronaut.reference[:, :2].min(0).astype(int), astronaut.reference[:, :2].max(0).astype(int)
    face = (slice(low[1], high[1]), slice(low[0], high[0]))
    assert psnr(picture[face], astronaut.portrait[face]) >= 60
    assert psnr(picture, astronaut.portrait) >= 55
    assert np.abs(picture[face].astype(int) - renderer.render(still())[face]).max() > 60, "at rest she does not smile"


def test_it_is_a_smile_that_can_be_named(renderer: Renderer) -> None:
    own = renderer.own_expression
    assert own.shape == (len(NAMES),)
    assert own.min() >= 0
    assert own.max() <= 1
    assert min(own[INDEX["mouthSmileLeft"]], own[INDEX["mouthSmileRight"]]) > 0.2
    assert not own[[k for k, name in enumerate(NAMES) if name not in LIP]].any()


def test_on_the_way_nothing_pops(renderer: Renderer) -> None:
    frames = [
        renderer.render(showing(t * renderer.own_expression, 640 * k)).astype(int)
        for k, t in enumerate(np.linspace(0, 1, 11))
    ]
    change = np.array([np.abs(b - a).mean() for a, b in pairwise(frames)])
    assert change.max() <= 1.6 * np.median(change)
    assert change.min() > 0


def test_its_picture_is_painted_where_it_may_be_seen_alone(
    renderer: Renderer, talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = dataclasses.replace(talk((12, 5, -3)), blendshapes=0.8 * renderer.own_expression)
    posed = renderer.pose(motion)
    renderer.scene.thicken(posed.vertices, posed.maps)
    first, last = renderer._mouth_rows(posed.vertices)
    assert 0 < first < last < renderer.size
    assert last - first < renderer.size / 2
    near = renderer.render(motion), renderer.planes(motion)
    monkeypatch.setattr(renderer, "_mouth_rows", lambda vertices: (0, renderer.size))
    assert np.array_equal(near[0], renderer.render(motion))
    assert np.array_equal(near[1], renderer.planes(motion))


def test_a_blink_and_a_turn_keep_it(renderer: Renderer, astronaut: Avatar, talk) -> None:
    beta = renderer.own_expression
    beta[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 1
    picture = renderer.render(showing(beta))
    below = int(astronaut.reference[[top.CHIN, 2], 1].mean())
    mouth = (slice(below - 30, below + 20), slice(200, 310))
    assert psnr(picture[mouth], astronaut.portrait[mouth]) >= 45
    pose = Motion(0, renderer.own_expression, talk((6, 3, 2)).rotation, np.zeros(3, np.float32))
    renderer.render(pose)
    assert renderer._portrait is not None
    assert (renderer._portrait.which >= 0).all()


def test_other_expressions_have_nothing_of_it(renderer: Renderer, talk) -> None:
    for pose in (
        talk(),
        talk(jawOpen=0.3),
        talk(mouthPucker=0.6),
        talk(mouthFunnel=0.4, jawOpen=0.2),
        talk(jawOpen=0.1, mouthSmile=0.2),
    ):
        assert renderer._drive.own_share(pose.blendshapes) == 0
    assert renderer._drive.own_share(still().blendshapes) == 0


def test_a_neutral_portrait_has_none(astronaut: Avatar) -> None:
    neutral = Renderer(dataclasses.replace(astronaut, neutral=astronaut.reference, smile=0.0))
    assert not neutral.own_expression.any()
