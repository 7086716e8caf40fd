"""Figures of pictures against values known beforehand, or an ordering anybody would agree with."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from engine.contracts import ByteArray
from engine.evaluation.enrolled.lip_places import FARTHEST, lips_beside
from engine.evaluation.picture_figures import cpbd, flicker, grey_of, psnr, region_error, ssim
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.paths import assets

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def portrait() -> ByteArray:
    return Avatar.load(assets() / "avatars" / "astronaut").portrait


def test_psnr_is_its_formula(portrait: ByteArray) -> None:
    assert psnr(portrait, portrait) == float("inf")
    flat = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(flat, flat + 5) == pytest.approx(20 * np.log10(255 / 5), abs=1e-4)
    mask = np.zeros((8, 8), bool)
    mask[0] = True
    other = flat.copy()
    other[4] = 0
    assert psnr(flat, other, mask) == float("inf")


def test_ssim_falls_with_noise(portrait: ByteArray) -> None:
    noise = np.random.default_rng(0).normal(0, 1, portrait.shape)
    worse = [ssim(np.clip(portrait + s * noise, 0, 255).astype(np.uint8), portrait) for s in (0, 5, 20)]
    assert worse[0] == pytest.approx(1)
    assert worse[0] > worse[1] > worse[2] > 0


def test_region_error_sees_its_region_only(portrait: ByteArray) -> None:
    mask = np.zeros(portrait.shape[:2], bool)
    mask[100:200, 100:200] = True
    other = portrait.copy()
    other[~mask] = 0
    assert region_error(other, portrait, mask) == 0
    other[150, 150] = 255 - portrait[150, 150]
    assert region_error(other, portrait, mask) > 0


def test_flicker_ignores_even_change_and_sees_noise() -> None:
    ramp = np.stack([np.full((4, 4, 3), 10 * k, np.uint8) for k in range(6)])
    assert flicker(ramp) == 0
    blinking = ramp.copy()
    blinking[3] += 8
    assert flicker(blinking) == pytest.approx((4 + 8 + 4) / 4)
    assert flicker(ramp[:2]) == 0


def test_cpbd_falls_as_a_picture_is_blurred(portrait: ByteArray) -> None:
    grey = grey_of(portrait)
    figures = [cpbd(gaussian_filter(grey, s).astype(np.uint8)) for s in (0, 1, 2, 4)]
    assert all(a > b for a, b in pairwise(figures[:3]))
    assert figures[0] > 0.2 > 0.02 > figures[-1]
    assert cpbd(np.full((64, 64), 7, np.uint8)) == 0


def test_lips_are_found_where_they_went() -> None:
    avatar = Avatar.load(assets() / "avatars" / "astronaut")
    face = avatar.reference
    unit = np.linalg.norm(face[top.OUTER_CORNER_RIGHT, :2] - face[top.OUTER_CORNER_LEFT, :2])
    assert lips_beside(avatar.portrait, avatar.portrait, face).max() < 1e-4
    moved = np.roll(avatar.portrait, (1, 2), (0, 1))
    assert lips_beside(moved, avatar.portrait, face) * unit == pytest.approx(np.hypot(1, 2), abs=0.2)
    away = np.roll(avatar.portrait, 100, 0)
    assert np.median(lips_beside(away, avatar.portrait, face) * unit) == pytest.approx(FARTHEST), "not there"
