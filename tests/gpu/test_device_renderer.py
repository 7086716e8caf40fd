"""Pictures made on a device equal the renderer's, portrait by portrait, in batches and one by one."""

from __future__ import annotations

from dataclasses import replace
from math import radians

import numpy as np
import pytest
import torch

import kernels
from engine.contracts import Motion
from engine.cuda.batched_renderer import DeviceRenderer
from engine.errors import VivifyError
from engine.evaluation.picture_figures import psnr
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.picture_generator import LearnedHalf
from engine.render.renderer import Renderer

SIZE = 256


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load(assets() / "avatars" / "astronaut")


def motion(yaw: float = 0.0, **shapes: float) -> Motion:
    beta = np.zeros(len(NAMES), np.float32)
    for name, value in shapes.items():
        for full in (name, name + "Left", name + "Right"):
            if full in INDEX:
                beta[INDEX[full]] = value
    return Motion(0, beta, rotation_matrix(radians(yaw), 0, 0), np.zeros(3, np.float32))


def motions(renderer: Renderer) -> list[Motion]:
    """Open, shut, blinking, tongue out, and on the way to the portrait's own expression, which is two pictures."""
    own = replace(motion(), blendshapes=renderer.own_expression)
    half = replace(motion(), blendshapes=0.75 * renderer.own_expression)
    out = [motion(8, jawOpen=0.4, eyeBlink=0.6), motion(), motion(-5, eyeBlink=1), motion(jawOpen=0.6, tongueOut=1)]
    return [*out, half, own]


def mirrored(avatar: Avatar) -> Avatar:
    """The same portrait, but one of its cheeks is to be painted from the other."""
    share = np.where(avatar.reference[:, 0] > avatar.reference[:, 0].mean(), 1.0, 0.0).astype(np.float32)
    return replace(avatar, mirror_share=share, mirror_gain=np.array([1.1, 0.9, 1.0], np.float32))


@pytest.mark.cpu
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_batch_equals_the_renderer(avatar: Avatar, backend: str) -> None:
    portraits = [avatar, mirrored(avatar)]
    device = DeviceRenderer(SIZE, "cpu", portraits=2)
    numbers = [device.add(a) for a in portraits]
    for number, portrait in zip(numbers, portraits, strict=True):
        plain = Renderer(portrait, SIZE)
        wanted = [plain.render(m) for m in motions(plain)]
        jobs = [(number, m) for m in motions(plain)] + [(numbers[1 - number], motion(3))]
        if backend == "reference":  # slow: the first alone
            wanted = wanted[:1]
        with kernels.use_backend(backend):
            got = device.render(jobs if backend == "numba" else jobs[:1])
        for k, picture in enumerate(wanted):
            assert psnr(got[k].numpy(), picture) >= (70 if backend == "numba" else 55), k
    half_way = device.pose(device.load(jobs[4:5]))
    assert 0 < half_way.share[0] < 1
    assert half_way.second.tolist() == [1, 1], "half-way there are two scenes"


@pytest.mark.cpu
def test_finished_pictures_equal_the_learned_renderer(avatar: Avatar) -> None:
    torch.manual_seed(0)
    model = LearnedHalf()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.4 * torch.randn_like(parameter)
    single = LearnedRenderer(avatar, model.eval(), 256)
    device = DeviceRenderer(256, "cpu", learned=model, portraits=1)
    number = device.add(avatar)
    given = motions(single)[::2]
    single.share = 0.5
    wanted = [single.render(m) for m in given]
    with torch.inference_mode():
        got = device.render([(number, m) for m in given], 0.5)
        bare = device.render([(number, given[0])], 0.0)
    for k, picture in enumerate(wanted):
        assert psnr(got[k].numpy(), picture) >= 45, k
    plain = Renderer(avatar, 256).render(given[0])
    assert psnr(wanted[0], plain) < 40, "else it proves nothing"
    assert psnr(bare[0].numpy(), plain) >= 70


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("graphs", [False, True])
def test_a_batch_on_a_gpu_equals_the_renderer(avatar: Avatar, graphs: bool) -> None:
    single = Renderer(mirrored(avatar), 512)
    device = DeviceRenderer(512, "cuda", portraits=2, graphs=graphs)
    plain, number = device.add(avatar), device.add(mirrored(avatar))
    device.warm_up(4)
    given = motions(single)
    wanted = [single.render(m) for m in given]
    for count in (1, 3, len(given)):
        for first in range(0, len(given), count):
            jobs = [(number, m) for m in given[first : first + count]] + [(plain, motion(3))]
            got = device.render(jobs)[:count].cpu().numpy()
            for picture, want in zip(got, wanted[first : first + count], strict=False):
                assert psnr(picture, want) >= 50
    held, refused = device.graphs
    assert refused == 0
    assert (held > 0) == graphs, "batches were captured"


@pytest.mark.cpu
def test_a_portrait_too_many_or_too_large_is_refused(avatar: Avatar) -> None:
    device = DeviceRenderer(SIZE, "cpu", portraits=1)
    device.add(avatar)
    with pytest.raises(VivifyError, match="holds 1 portraits and all places are taken"):
        device.add(avatar)
    device.remove(0)
    assert device.add(avatar) == 0, "a place given back is taken again"
    small = replace(avatar, portrait=avatar.portrait[::2, ::2])
    with pytest.raises(VivifyError, match="512 pixels wide, but this one has 256"):
        device.add(small)
    tall = Renderer(avatar, SIZE)
    tall.scene.atlas = np.zeros((2000, 100, 3), np.uint8)
    with pytest.raises(VivifyError, match="enrol it at 512 pixels"):
        DeviceRenderer(SIZE, "cpu").stage.add(tall)
