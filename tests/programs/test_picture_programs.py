"""The exported networks of the picture change what torch changes, and the picture is finished as torch finished it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import radians
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.contracts import Motion
from engine.evaluation.picture_figures import psnr
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.learned.eyesight import Eyesight
from engine.render.learned.finishing import finish
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.lip_square import square_at
from engine.render.learned.mouth_patch import corner_of, warp
from engine.render.learned.picture_generator import LearnedHalf
from engine.render.learned.picture_programs import PicturePrograms
from engine.render.learned.picture_weights import load_learned, save_learned
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu

SHIPPED = assets() / "weights" / "picture.safetensors"


def talking(k: int) -> Motion:
    beta = np.zeros(len(NAMES), np.float32)
    beta[[INDEX["jawOpen"], INDEX["mouthPucker"]]] = 0.1 * k, 0.3 - 0.05 * k
    return Motion(0, beta, rotation_matrix(radians(2 * k), 0.05, 0), np.zeros(3, np.float32))


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that change much: the shipped ones are careful."""
    torch.manual_seed(0)
    model = LearnedHalf()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        model.motion.decoder[-1].bias[2] -= 6  # nothing is believed
        model.generator.leave.weight *= 3
    path = tmp_path_factory.mktemp("weights") / "picture.safetensors"
    save_learned(model.eval(), path)
    return path


@pytest.mark.parametrize("size", [256, 512])
def test_pictures_are_those_that_torch_makes(astronaut: Avatar, shaken: Path, size: int) -> None:
    for weights, most in ((SHIPPED, 80), (shaken, 45)):
        ours, theirs = (LearnedRenderer(astronaut, made(weights), size) for made in (PicturePrograms, load_learned))
        for k in range(4):
            picture = theirs.render(talking(k))
            assert psnr(ours.render(talking(k)), picture) >= 60
        assert psnr(picture, Renderer(astronaut, size).render(talking(3))) < most, "else it proves nothing"


def test_what_is_changed_is_what_torch_changes(astronaut: Avatar, shaken: Path) -> None:
    renderer = Renderer(astronaut, 256)
    eye, ours, theirs = Eyesight(renderer), PicturePrograms(shaken), load_learned(shaken)
    known = [networks.know(eye.portrait, eye.texture, eye.lips) for networks in (ours, theirs)]
    for a, b in zip(*known, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4, rtol=0)
    for k in range(1, 4):
        view = eye.see(talking(k), renderer.render(talking(k)))
        for a, b in zip(ours.change(view, 0.7, known[0]), theirs.change(view, 0.7, known[1]), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4, rtol=0)
            assert np.abs(b).max() > 1e-4, "else it proves nothing"


def test_the_square_is_finished_as_torch_would() -> None:
    rng, size = np.random.default_rng(1), 512
    picture = rng.integers(0, 256, (size, size, 3), np.uint8)
    lips = rng.uniform(-0.2, 0.9, (1, 20, 2)).astype(np.float32)
    residual = rng.normal(0, 0.01, (2, 32, 32)).astype(np.float32)
    added = rng.normal(0, 0.1, (3, 128, 128)).astype(np.float32)
    corner = corner_of(torch.from_numpy(lips))
    assert square_at(lips) == tuple(corner[0].tolist())
    whole = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    wanted = warp(whole, torch.from_numpy(residual)[None], corner)
    wanted = wanted + torch.nn.functional.interpolate(torch.from_numpy(added)[None], (256, 256), mode="bilinear")
    x, y = (8 * at for at in square_at(lips))
    out = picture.copy()
    finish(picture, residual, added, size, x, y, x, y, out)
    square = (255 * wanted[0].permute(1, 2, 0) + 0.5).clamp(0, 255).to(torch.uint8).numpy()
    assert np.abs(out[y : y + 256, x : x + 256].astype(int) - square).max() <= 1
    out[y : y + 256, x : x + 256] = picture[y : y + 256, x : x + 256]
    assert np.array_equal(out, picture), "and nothing else is touched"


def test_several_painters_use_them_at_once(astronaut: Avatar) -> None:
    networks = PicturePrograms(SHIPPED)
    renderers = [LearnedRenderer(astronaut, networks, 256) for _ in range(3)]
    alone = [renderer.render(talking(k)).copy() for k, renderer in enumerate(renderers)]
    with ThreadPoolExecutor(3) as threads:
        together = threads.map(lambda k: renderers[k].render(talking(k)).copy(), [0, 1, 2] * 3)
        for k, picture in zip([0, 1, 2] * 3, together, strict=True):
            assert psnr(picture, alone[k]) > 60
