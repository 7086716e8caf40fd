"""The cheaper arithmetic gives the same."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sadtalker.random_weights import randomised
from sadtalker.released_folder import SMALL

from engine.sadtalker.facerender.dense_motion_network import deformed, heat, sparse_motions
from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.quick.folding import grown_conv3d
from engine.sadtalker.quick.quick_decoder import PHASES, phase_kernels
from engine.sadtalker.quick.quick_generator import QuickGenerator
from engine.sadtalker.quick.quick_motion import bumps, shifted
from engine.sadtalker.quick.wide_conv import WideConv3d
from engine.sadtalker.quick.winograd import WinogradConv, WinogradConv3d

pytestmark = pytest.mark.cpu


def chance(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_convolutions_by_other_ways() -> None:
    bias = chance(6)
    flat, x = chance(6, 5, 3, 3), chance(5, 12, 20)
    torch.testing.assert_close(WinogradConv(flat, bias)(x), F.conv2d(x[None], flat, bias, padding=1)[0], **CLOSE)
    deep, x = chance(6, 5, 3, 3, 3), chance(5, 4, 8, 12)
    torch.testing.assert_close(WinogradConv3d(deep, bias)(x), F.conv3d(x[None], deep, bias, padding=1)[0], **CLOSE)
    wide, x = chance(6, 5, 7, 7, 7), chance(5, 4, 16, 16)
    torch.testing.assert_close(WideConv3d(wide, bias, 16)(x), F.conv3d(x[None], wide, bias, padding=3)[0], **CLOSE)


def test_winograd_is_nearly_as_exact() -> None:
    """Many channels, as in the decoder: its worst error stays within ten times that of a plain convolution."""
    weight, x = chance(64, 64, 3, 3).double() / 24, chance(64, 16, 16).double()
    wanted = F.conv2d(x[None], weight, padding=1)[0]
    plain = (F.conv2d(x.float()[None], weight.float(), padding=1)[0] - wanted).abs().max()
    assert (WinogradConv(weight.float())(x.float()) - wanted).abs().max() < 10 * plain


CLOSE = {"rtol": 1e-4, "atol": 1e-3}


@pytest.mark.parametrize("channels", [3, 128])
def test_a_volume_that_grows(channels: int) -> None:
    weight, bias, x = chance(channels, channels, 3, 3, 3) / channels, chance(channels), chance(channels, 2, 4, 4)
    wanted = F.conv3d(F.interpolate(x[None], scale_factor=(1, 2, 2)), weight, bias, padding=1)[0]
    torch.testing.assert_close(grown_conv3d(weight, bias, 8)(x), wanted, **CLOSE)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_repeated_pixels_have_few_answers(times: int) -> None:
    weight, x = chance(3, 2, 3, 3), chance(2, 4, 4)
    large = F.interpolate(x[None], scale_factor=float(times))
    wanted = F.conv2d(large, weight, padding=1)[0]
    for row in range(times):
        for column in range(times):
            kernel = phase_kernels(weight, times)[PHASES[times][row], PHASES[times][column]]
            got = F.conv2d(x[None], kernel, padding=1)[0]
            torch.testing.assert_close(got, wanted[:, row::times, column::times], **CLOSE)


def test_a_keypoints_motion_is_a_shift() -> None:
    volume, source, driving = chance(2, 4, 6, 8), 0.5 * chance(3, 3, seed=1), 0.5 * chance(3, 3, seed=2)
    motions = sparse_motions(volume.shape[1:], source[None], driving[None])
    wanted = deformed(volume[None], motions)[0]
    shifts = torch.cat([torch.zeros(1, 3), source - driving])
    torch.testing.assert_close(shifted(volume, shifts), wanted, **CLOSE)
    hot = heat(volume.shape[1:], source[None], driving[None])[0, 1:, 0]
    torch.testing.assert_close(bumps(driving, volume.shape[1:]) - bumps(source, volume.shape[1:]), hot, **CLOSE)


@pytest.mark.parametrize("pixels", [128, 256])
def test_pictures_are_the_generators(pixels: int) -> None:
    network = FaceGenerator(SMALL.render)
    randomised(network, 19)
    portrait = torch.rand(1, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))
    source, driving = 0.4 * chance(1, 4, 3), 0.4 * chance(1, 4, 3, seed=4)
    with torch.inference_mode():
        wanted = network(portrait, source, driving)[0]
        quick = QuickGenerator(network, pixels)
        got = quick.draw(quick.portrait(portrait, source), driving[0])
    assert wanted.std() > 1e-3
    assert float((got - wanted).abs().max()) < 1e-3
