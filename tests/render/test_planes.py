"""Pictures painted as the planes that encoders take are the pictures painted as RGB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.face.avatar import Avatar
from engine.quality import Painters
from engine.render.renderer import Renderer, still
from kernels.cpu.pixel_kernels import bytes_to_i420, planes_of, texture_planes

pytestmark = pytest.mark.cpu


def as_planes(rgb: np.ndarray) -> np.ndarray:
    out = np.empty((rgb.shape[0] * 3 // 2, rgb.shape[1]), np.uint8)
    bytes_to_i420(rgb, out)
    return out


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.square(a.astype(float) - b).mean(), 1e-9)))


@pytest.mark.parametrize("size", [512, 256, 200])
def test_planes_are_those_of_the_picture(astronaut: Avatar, size: int, talk) -> None:
    renderer = Renderer(astronaut, size)
    for motion in (talk((18, 5, -4), jawOpen=0.6, mouthSmile=0.3, eyeBlink=0.6), talk((-15, -6, 3), jawOpen=0.9)):
        got, wanted = renderer.planes(motion), as_planes(renderer.render(motion))
        assert psnr(got[:size], wanted[:size]) >= 55
        assert psnr(got[size:], wanted[size:]) >= 53
        assert np.abs(got.astype(int) - wanted).max() <= 12, "as much on edges, in the mouth and in shade as elsewhere"


def test_a_neutral_portrait_is_exact_in_planes_too(astronaut: Avatar) -> None:
    renderer = Renderer(replace(astronaut, neutral=astronaut.reference, smile=0.0))
    got, wanted = renderer.planes(still()), as_planes(renderer.render(still()))
    assert (got != wanted).mean() <= 0.005, "but for what is drawn between her lips, and beside it"
    assert np.array_equal(got[:150], as_planes(astronaut.portrait)[:150])


def test_a_faded_expression_is_mixed_in_planes(astronaut: Avatar, talk) -> None:
    renderer = Renderer(astronaut, 256)
    motion = replace(talk(), blendshapes=0.8 * renderer.own_expression)
    assert 0 < renderer.pose(motion).own < 1
    assert psnr(renderer.planes(motion), as_planes(renderer.render(motion))) >= 55


def test_a_square_of_the_texture_has_the_mean_of_its_pixels() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    bright, tinted = np.empty((16, 24), np.uint8), np.empty((16, 24, 2), np.uint8)
    texture_planes(rgb, 0, bright, tinted)
    luma, *chroma = planes_of(as_planes(rgb))
    assert np.array_equal(bright, luma)
    for k, plane in enumerate(chroma):
        assert np.array_equal(tinted[..., k].reshape(8, 2, 12, 2).sum((1, 3)), 4 * plane.astype(int))
    exact = tinted.copy()
    texture_planes(rgb, 1, bright, tinted)
    inner = tinted[1:-1, 1:-1].astype(int)
    four = sum(exact[j : j + 14, i : i + 22].astype(int) for j in (0, 2) for i in (0, 2))
    assert np.abs(inner - four / 4).max() <= 2, "the mean of four places, but for how those are rounded here"


def test_who_encodes_is_handed_planes_and_who_wants_a_matte_is_not(astronaut: Avatar, talk) -> None:
    painters, motion = Painters("geometry", 256, Path("none"), planes=True), talk(jawOpen=0.4)
    renderer = painters.renderer(astronaut)
    assert painters.paint(renderer, motion, alpha=False).shape == (384, 256)
    assert painters.paint(renderer, motion, alpha=True).shape == (256, 256, 4)
