"""Transparency: the person's matte moves with the picture."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.avatar import Avatar
from engine.render.matte import clean_colours
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu


def test_the_background_is_clear_and_the_face_opaque(renderer: Renderer, astronaut: Avatar, talk) -> None:
    for pose in (talk(), talk((6, -4, 4), jawOpen=0.4, eyeBlink=0.5)):
        picture = renderer.render(pose, alpha=True)
        assert picture.shape == (512, 512, 4)
        assert not picture[:12, :12, 3].any()
        assert not picture[:12, -12:, 3].any()
        mesh = renderer.driven_mesh(pose)[[1, 13, 14, 33, 263, 10, 152], :2].round().astype(int)
        assert (picture[mesh[:, 1], mesh[:, 0], 3] == 255).all()
        mouth = (0.5 * (mesh[1] + mesh[2])).astype(int)
        assert picture[mouth[1], mouth[0], 3] == 255, "an open mouth is no hole"


def test_opaque_colours_are_those_without_transparency(renderer: Renderer, talk) -> None:
    pose = talk((5, 2, 1), jawOpen=0.3, eyeBlink=0.3)
    clear, plain = renderer.render(pose, alpha=True), renderer.render(pose)
    opaque = clear[..., 3] == 255
    assert opaque.mean() > 0.2
    assert np.abs(clear[opaque, :3].astype(int) - plain[opaque]).max() <= 1


def test_no_background_in_the_soft_edges() -> None:
    """A red disc with a soft edge on white: pasted over black, its rim must stay red."""
    y, x = np.mgrid[0:97, 0:120]
    cover = np.clip((30 - np.hypot(x - 60, y - 48)) / 6 + 0.5, 0, 1)[..., None]
    red, white = np.array([200.0, 20, 10]), np.array([255.0, 255, 255])
    picture = (cover * red + (1 - cover) * white).astype(np.uint8)
    cleaned = clean_colours(picture, np.round(cover[..., 0] * 255).astype(np.uint8)).astype(float)
    edge = (cover[..., 0] > 0.05) & (cover[..., 0] < 0.95)
    assert np.abs(picture[edge].astype(float) - red).mean() > 60
    assert np.abs(cleaned[edge] - red).mean() < 6
    assert np.array_equal(cleaned[cover[..., 0] == 1], picture[cover[..., 0] == 1]), "the inside is not touched"


def test_at_rest_it_is_the_portraits_matte(renderer: Renderer, astronaut: Avatar) -> None:
    got = renderer.render(still(), alpha=True)[..., 3].astype(int)
    assert np.abs(got - astronaut.matte).mean() < 0.5


def test_the_matte_turns_with_the_head(renderer: Renderer, astronaut: Avatar, talk) -> None:
    def middle(picture: np.ndarray) -> float:
        hair = picture[40:120, :, 3].astype(float).sum(0)
        return float(hair @ np.arange(512) / hair.sum())

    rest = middle(renderer.render(still(), alpha=True))
    assert middle(renderer.render(talk((0, 0, 5)), alpha=True)) > rest + 5, "clockwise: the crown moves to the right"
    shoulders = slice(-40, None)
    turned = renderer.render(talk((0, 0, 5)), alpha=True)[shoulders, :, 3].astype(int)
    assert np.abs(turned - astronaut.matte[shoulders]).mean() < 3


def test_the_own_expression_and_another_size(astronaut: Avatar) -> None:
    small = Renderer(astronaut, 256)
    pose = still()
    pose.blendshapes[:] = small.own_expression
    out = np.zeros((256, 256, 4), np.uint8)
    assert small.render(pose, out, alpha=True) is out
    assert not out[:6, :6, 3].any()
    assert out[130, 128, 3] == 255
