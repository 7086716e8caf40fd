"""The learned half of the picture: shapes, gradients, certainty, exactness where nothing moves, export, refusals."""

from __future__ import annotations

from dataclasses import fields, replace
from math import radians
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.contracts import Motion
from engine.errors import VivifyError
from engine.evaluation.picture_figures import psnr
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.learned.eyesight import Eyesight
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.lip_square import LANDMARKS
from engine.render.learned.motion_vae import (
    FARTHEST,
    LEARNS,
    LOWER_RIM,
    SHOWN,
    UPPER_RIM,
    InnerLips,
    MotionVAE,
)
from engine.render.learned.mouth_patch import confidence, corner_of, cut, gaussian_maps, paste, warp, window
from engine.render.learned.picture_generator import LearnedHalf, Seen, follow, light_of
from engine.render.learned.picture_weights import load_learned, save_learned
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load(assets() / "avatars" / "astronaut")


def talking(k: int = 0) -> Motion:
    beta = np.zeros(len(NAMES), np.float32)
    beta[INDEX["jawOpen"]] = 0.3 + 0.02 * k
    return Motion(0, beta, rotation_matrix(radians(4), 0, 0), np.zeros(3, np.float32))


def shaken(lips: bool = True) -> LearnedHalf:
    """Networks as after some training: nothing is at its start, where corrections are zero."""
    torch.manual_seed(0)
    model = LearnedHalf(lips)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model.eval()


def seen_of(avatar: Avatar, count: int = 2) -> Seen:
    renderer = Renderer(avatar, 256)
    eye = Eyesight(renderer)
    each = [Seen.of(eye.see(talking(k), renderer.render(talking(k)))) for k in range(count)]
    return Seen(*(torch.cat([getattr(s, f.name) for s in each]) for f in fields(Seen)))


def test_shapes_bounds_and_a_start_at_geometry(avatar: Avatar) -> None:
    seen = seen_of(avatar)
    picture, dense = LearnedHalf().eval()(seen)
    assert picture.shape == (2, 3, 256, 256)
    assert dense.motion.shape == (2, 2, 32, 32)
    assert dense.occlusion.shape == (2, 1, 32, 32)
    assert not dense.motion.any(), "untrained, the residual is none"
    torch.testing.assert_close(picture, seen.painted, atol=1e-4, rtol=0)
    _, dense = shaken(lips=False)(seen)
    assert 0 < dense.motion.abs().max() <= 4 * FARTHEST * SHOWN, "what is not the lips' roll is bounded"
    assert float(dense.kl().detach()) > 0


def test_inner_lips_roll_in_by_a_share_of_the_gap() -> None:
    upper, lower = torch.tensor([-0.02, 0.0]), torch.tensor([0.10, 0.0])  # heights of the rims: driven, portrait
    lips = torch.zeros(2, 20, 2)
    lips[:, :, 0] = torch.linspace(-0.2, 0.2, 6)[[0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 4, 3, 2, 1]]
    lips[:, 1:5, 1], lips[:, 6:10, 1] = upper[:, None], lower[:, None]
    rolled = InnerLips()
    with torch.no_grad():
        rolled.share.copy_(torch.tensor([0.1, 0.2]) / LEARNS)
        motion = rolled(lips[1:], lips[:1])
        assert not rolled(lips[:1], lips[:1]).any(), "nothing where the portrait's mouth is as open"
    rows = [int((1 + y) * 32) for y in (-0.02, 0.10)]
    at_upper, at_lower = (motion[0, 1, row, 30:34].mean() for row in rows)
    assert -0.1 * 0.12 < at_upper < -0.03 * 0.12, "what is seen at the upper rim comes from above"
    assert 0.08 * 0.12 < at_lower < 0.2 * 0.12, "and at the lower rim from below"
    assert motion[:, :, :20].abs().max() < 1e-4


@pytest.mark.parametrize("lips", [True, False])
def test_gradients_reach_every_parameter(avatar: Avatar, lips: bool) -> None:
    model, seen = shaken(lips).train(), seen_of(avatar)
    closed = seen.lips_reference.clone()
    closed[:, LOWER_RIM] = closed[:, UPPER_RIM].flip(1)  # the avatar smiles: its own lips are further apart
    seen = replace(seen, lips_reference=closed)
    picture, dense = model(seen, torch.randn(2, 128))
    (picture.square().mean() + dense.occlusion.mean() + dense.kl()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_sampling_is_certain_with_a_seed_and_varies_without(avatar: Avatar) -> None:
    model, seen = shaken(), seen_of(avatar)
    noise = torch.randn(2, 128, generator=torch.Generator().manual_seed(3))
    first, again = model(seen, noise)[0], model(seen, noise)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, model(seen)[0])
    assert torch.equal(model(seen)[0], model(seen)[0])


def test_pictures_of_a_batch_do_not_meet(avatar: Avatar) -> None:
    model, seen = shaken(), seen_of(avatar)
    alone = replace(seen, **{f.name: getattr(seen, f.name)[1:] for f in fields(Seen)})
    torch.testing.assert_close(model(seen)[0][1:], model(alone)[0], atol=1e-3, rtol=0)


def test_the_portraits_own_pose_stays_the_portrait(avatar: Avatar) -> None:
    model = shaken()
    last = model.motion.decoder[-1]
    assert isinstance(last, torch.nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.bias[2] -= 6  # nothing is believed
        model.generator.leave.weight *= 3
    renderer = LearnedRenderer(avatar, model, 256)
    own = replace(still(), blendshapes=renderer.own_expression)
    plain = Renderer(avatar, 256).render(own)
    assert psnr(renderer.render(own), plain) > 60
    assert psnr(renderer.render(talking()), Renderer(avatar, 256).render(talking())) < 40, "else it proves nothing"


def test_a_larger_picture_keeps_its_detail(avatar: Avatar) -> None:
    plain = Renderer(avatar, 512).render(talking())
    assert np.array_equal(LearnedRenderer(avatar, LearnedHalf().eval(), 512).render(talking()), plain)
    assert LearnedRenderer(avatar, shaken(), 512).render(talking(), alpha=True).shape == (512, 512, 4)


def test_a_gaussian_stands_where_its_landmark_is() -> None:
    maps = gaussian_maps(torch.tensor([[[-0.5, 0.25]]]), 1.2)
    y, x = divmod(int(maps[0, 0].argmax()), 64)
    assert abs((x + 0.5) / 32 - 1 + 0.5) < 1 / 32
    assert abs((y + 0.5) / 32 - 1 - 0.25) < 1 / 32
    assert len(LANDMARKS) == 20


def test_the_square_is_cut_and_pasted_where_the_lips_are() -> None:
    lips = torch.tensor([[[-0.9, 0.2], [-0.7, 0.2]], [[0.0, 0.1], [0.2, 0.3]]])
    corner = corner_of(lips)
    assert corner.tolist() == [[0, 22], [19, 22]]
    maps = torch.arange(2 * 3 * 128 * 128.0).view(2, 3, 128, 128)
    square = cut(maps, corner)
    assert torch.equal(square[1], maps[1, :, 44:108, 38:102])
    assert torch.equal(paste(maps, square, corner), maps)
    assert not torch.equal(paste(maps, -square, corner), maps)
    assert torch.equal(cut(paste(maps, -square, corner), corner), -square)
    motion = 0.01 * torch.randn(2, 2, 64, 64)
    smooth = torch.nn.functional.avg_pool2d(torch.randn(2, 3, 128, 128), 5, 1, 2)
    whole, part = cut(warp(smooth, motion), corner), warp(smooth, cut(motion, corner), corner)
    torch.testing.assert_close(whole[..., 2:-2, 2:-2], part[..., 2:-2, 2:-2], atol=1e-4, rtol=0)


def test_the_window_is_open_at_the_lips_and_shut_elsewhere(avatar: Avatar) -> None:
    seen = seen_of(avatar, 1)
    corner = corner_of(seen.lips)
    share = window(seen.lips, corner)
    at = ((seen.lips[0] + 1) * 32).long()
    assert float(share[0, 0, at[:, 1], at[:, 0]].min()) == 1
    border = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    x, y = corner[0].tolist()
    border[..., y : y + 32, x : x + 32] = False
    assert not share[border].any()
    assert 0.02 < float((share > 0).float().mean()) < 0.2
    huge = seen.lips * 3  # lips larger than the square: the window still closes before its border
    x, y = corner_of(huge)[0].tolist()
    assert float(window(huge, corner_of(huge))[..., y, x : x + 32].max()) < 0.2


@pytest.mark.parametrize("size", [256, 512, 1080])
def test_beyond_the_lips_geometry_is_left_bit_by_bit(avatar: Avatar, size: int) -> None:
    plain = Renderer(avatar, size).render(talking())
    made = LearnedRenderer(avatar, shaken(), size).render(talking())
    changed = (made != plain).any(-1)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert max(np.ptp(rows), np.ptp(columns)) < 0.45 * size


def test_warping_goes_where_it_is_told() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    right = torch.zeros(1, 2, 16, 16)
    right[:, 0] = 2 * 4 / 64  # four pixels to the right
    moved = warp(ramp, right)
    torch.testing.assert_close(moved[..., :59], ramp[..., 4:63])
    torch.testing.assert_close(warp(ramp, torch.zeros(1, 2, 16, 16)), ramp, atol=1e-5, rtol=0)
    at = (torch.arange(64) + 0.5) / 32 - 1
    identity = torch.stack(torch.meshgrid(at, at, indexing="xy"))[None]
    torch.testing.assert_close(follow(ramp, identity, right)[..., 1:59], ramp[..., 5:63], atol=1e-5, rtol=0)


def test_the_flow_says_where_geometry_looked(avatar: Avatar) -> None:
    seen = seen_of(avatar, 1)
    enlarged = torch.nn.functional.interpolate(seen.flow, scale_factor=4, mode="bilinear", align_corners=False)
    again = torch.nn.functional.grid_sample(seen.portrait, enlarged.permute(0, 2, 3, 1), align_corners=False)
    away = (again - seen.painted).abs()
    assert float(away[:, :, :96].mean()) < 0.03, "hair and background, coarsely"
    assert float((seen.portrait - seen.painted).abs()[:, :, :96].mean()) > float(away[:, :, :96].mean())


def test_export_of_the_networks_gives_the_same_pictures(avatar: Avatar) -> None:
    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = shaken()

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            picture: torch.Tensor = self.net(Seen(*tensors))[0]
            return picture

    seen = seen_of(avatar, 1)
    tensors = tuple(getattr(seen, f.name) for f in fields(Seen))
    program = torch.export.export(Flat().eval(), tensors)
    torch.testing.assert_close(program.module()(*tensors), Flat().eval()(*tensors), atol=1e-4, rtol=1e-4)


def test_weights_are_saved_and_missing_or_foreign_ones_refused(avatar: Avatar, tmp_path: Path) -> None:
    path, model = tmp_path / "picture.safetensors", shaken(lips=False)
    save_learned(model, path)
    seen = seen_of(avatar, 1)
    torch.testing.assert_close(load_learned(path)(seen)[0], model(seen)[0], atol=1e-3, rtol=0)
    assert isinstance(load_learned(path).motion, MotionVAE)
    with pytest.raises(VivifyError, match=r"there are none: train them with scripts/train_picture"):
        load_learned(tmp_path / "none.safetensors")
    with pytest.raises(VivifyError, match="should hold weights of the learned picture"):
        load_learned(assets() / "weights" / "facial.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VivifyError, match="cannot be used"):
        load_learned(path)


def test_mouths_wide_open_are_left_to_geometry() -> None:
    lips = torch.zeros(1, 20, 2)
    lips[0, [10, 15], 0] = torch.tensor([-0.1, 0.1])
    found = []
    for gap in (0.0, 0.08, 0.14, 0.2):
        driven = lips.clone()
        driven[0, [7, 8], 1] = gap
        found.append(float(confidence(lips, driven)))
    assert found[0] == found[1] == 1
    assert 0 < found[2] < 1
    assert found[3] == 0


def test_the_residual_shifts_no_mouth_as_a_whole(avatar: Avatar) -> None:
    """That could only be how one film was tracked."""
    seen, model = seen_of(avatar), shaken(lips=False)
    last = model.motion.decoder[-1]
    assert isinstance(last, torch.nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.bias[:2] += 0.5  # a network that looks aside everywhere
    motion = model(seen)[1].motion
    assert motion.abs().max() > 0
    assert motion.mean((2, 3)).abs().max() < 0.1 * motion.abs().max()


def test_a_portrait_in_other_light_is_finished_in_its_own(avatar: Avatar) -> None:
    """Yellow lamp or daylight: what is painted, beside what was there, changes as the light does."""
    seen, model = seen_of(avatar), shaken()
    lamp = torch.tensor([1.0, 0.8, 0.65]).view(1, 3, 1, 1)
    evened, by_lamp = (light_of(portrait, seen.lips_reference) for portrait in (seen.portrait, seen.portrait * lamp))
    colour = evened / by_lamp / lamp
    torch.testing.assert_close(colour, colour.mean(1, keepdim=True).expand_as(colour), atol=1e-3, rtol=1e-3)
    around = (seen.portrait * evened)[..., 150:190, 110:150].mean((0, 2, 3))
    assert float(around.max() - around.min()) < 0.05, "skin is grey"
    half = light_of(0.5 * seen.portrait, seen.lips_reference)
    torch.testing.assert_close(half, evened, atol=1e-3, rtol=1e-3)

    def added(light: torch.Tensor) -> torch.Tensor:
        lit = replace(seen, portrait=seen.portrait * light, painted=seen.painted * light)
        dense = model.motion(lit.texture_reference, lit.texture, lit.lips_reference, lit.lips)
        return model.paint(lit, dense, dense.motion, warp(lit.painted, dense.motion, corner_of(lit.lips)))

    plain = added(torch.ones(1)).abs().mean((0, 2, 3))
    lit = added(lamp / lamp.mean()).abs().mean((0, 2, 3))
    assert lit[0] / plain[0] > 1.05 > 0.95 > lit[2] / plain[2], "what is added is as yellow as the lamp"
