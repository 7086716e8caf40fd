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
from engine.sadtalker.quick.tiled_conv import Normal, TiledConv, picture_of, wide
from engine.sadtalker.quick.wide_conv import WideConv3d
from engine.sadtalker.quick.winograd import WinogradConv3d

pytestmark = pytest.mark.cpu


def chance(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_convolutions_by_other_ways() -> None:
    bias = chance(6)
    deep, x = chance(6, 5, 3, 3, 3), chance(5, 4, 8, 12)
    torch.testing.assert_close(WinogradConv3d(deep, bias)(x), F.conv3d(x[None], deep, bias, padding=1)[0], **CLOSE)
    wide, x = chance(6, 5, 7, 7, 7), chance(5, 4, 16, 16)
    torch.testing.assert_close(WideConv3d(wide, bias, 16)(x), F.conv3d(x[None], wide, bias, padding=3)[0], **CLOSE)


def tiled(weight: torch.Tensor, bias: torch.Tensor) -> TiledConv:
    return TiledConv(wide(weight, 0, 1), wide(bias, 0))


def inside(picture: torch.Tensor, channels: int) -> torch.Tensor:
    """[C, H, W], and the border is what it should be."""
    border = picture.clone()
    border[1:-1, 1:-1] = 0
    assert not border.any()
    return picture[1:-1, 1:-1, :channels].permute(2, 0, 1)


@pytest.mark.parametrize("size", [(12, 20), (64, 48)])
def test_pictures_convolutions_by_tiles(size: tuple[int, int]) -> None:
    """Few channels and many; in one stretch of tiles and in several; with what is done right after."""
    weight, bias, x = chance(6, 20, 3, 3), chance(6), chance(20, *size)
    seen, wanted = picture_of(x), F.conv2d(x[None], weight, bias, padding=1)[0]
    conv = tiled(weight, bias)
    torch.testing.assert_close(inside(conv(seen), 6), wanted, **CLOSE)
    torch.testing.assert_close(inside(conv(seen, slope=0.2), 6), F.leaky_relu(wanted, 0.2), **CLOSE)
    other = chance(6, *size, seed=7)
    torch.testing.assert_close(inside(conv.add_to(picture_of(other), seen), 6), other + wanted, **CLOSE)


@pytest.mark.parametrize("smaller", [0, 1])
def test_a_norm_is_told_by_tiles(smaller: int) -> None:
    weight, bias, told = chance(12, 16, 3, 3), chance(12), chance(40, 16, 16)
    x = 3.0 + 2.0 * chance(6, 16 >> smaller, 16 >> smaller, seed=7)
    answers = F.conv2d(told[None, 16:32], weight, bias, padding=1)[0]
    large = F.interpolate(F.instance_norm(x[None]), scale_factor=2.0**smaller)[0]
    normal, seen = Normal(picture_of(x), smaller), picture_of(told)
    conv = TiledConv(*(torch.cat([wide(value[:6], 0), wide(value[6:], 0)]) for value in (weight, bias)))
    wanted = F.leaky_relu(large * answers[:6] + answers[6:], 0.2)
    torch.testing.assert_close(inside(conv.told(normal, seen, 16, 0.2), 6), wanted, **CLOSE)


def test_winograd_is_nearly_as_exact() -> None:
    """Many channels, as in the decoder: its worst error stays within ten times that of a plain convolution."""
    weight, x = chance(64, 64, 3, 3).double() / 24, chance(64, 16, 16).double()
    wanted = F.conv2d(x[None], weight, padding=1)[0]
    plain = (F.conv2d(x.float()[None], weight.float(), padding=1)[0] - wanted).abs().max()
    got = inside(TiledConv(weight.float(), torch.zeros(64))(picture_of(x.float())), 64)
    assert (got - wanted).abs().max() < 10 * plain


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
