"""What the official code gave for random weights of one seed: numbers alone, with seed and versions, in a file beside.

Weights are made here as they were made there, by `random_weights`. Widths are the released ones but in the face render,
whose blocks are the same and fewer channels wide.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sadtalker.random_weights import randomised
from torch import Tensor

from engine.sadtalker.face3d.coefficient_network import CoefficientNetwork
from engine.sadtalker.face3d.photo_alignment import aligned_face
from engine.sadtalker.facerender.canonical_keypoints import KeypointFinder
from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.facerender.keypoint_motion import moved_keypoints
from engine.sadtalker.facerender.mapping_net import CROP, FULL, MappingNet
from engine.sadtalker.facerender.render_shape import RenderShape
from engine.sadtalker.quick.quick_generator import QuickGenerator
from engine.sadtalker.voice.exp_net import ExpNet
from engine.sadtalker.voice.mel_windows import mel_windows
from engine.sadtalker.voice.pose_vae import PoseDecoder, PoseEncoder, PoseShape

pytestmark = pytest.mark.cpu

GOLDEN = json.loads((Path(__file__).parent / "golden_numbers.json").read_text())
SEED = GOLDEN["_"]["seed"]
NARROW = RenderShape(
    block=4, flat=32, residuals=2, motion_block=4, motion_most=16, motion_blocks=3, finder_block=4, finder_most=16,
    finder_blocks=3,
)  # fmt: skip


def chance(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def check(name: str, found: Tensor, within: float = 1e-4) -> None:
    """The largest difference, as a share of the range of the numbers."""
    flat = found.float().flatten()
    got = flat[:: max(1, len(flat) // 12)][:12].numpy()
    wanted = np.array(GOLDEN[name])
    assert np.abs(got - wanted).max() <= within * np.ptp(wanted), (name, got, wanted)


def made(network: torch.nn.Module) -> torch.nn.Module:
    return randomised(network, SEED)


def test_what_is_heard() -> None:
    i = np.arange(16000)
    swell = (1 - np.cos(2 * np.pi * i / 4000)) / 2
    check("mel", mel_windows((0.3 * np.sin(2 * np.pi * (200 + 0.05 * i) * i / 16000) * swell).astype(np.float32)))


def test_expression_and_pose() -> None:
    with torch.inference_mode():
        windows, reference = chance(1, 3, 80, 16, seed=5), chance(1, 64, seed=6)
        check("exp", made(ExpNet())(windows, reference, torch.tensor([[0.0, 0.5, 1.0]])))
        both = torch.nn.ModuleDict({"encoder": PoseEncoder(PoseShape()), "decoder": PoseDecoder(PoseShape())})
        made(both)
        audio, reference = chance(1, 32, 512, seed=7), chance(1, 6, seed=8)
        style = torch.tensor([7])
        check("pose", both["decoder"](chance(1, 64, seed=9), audio, reference, style))
        check("mean", both["encoder"](chance(1, 32, 6, seed=10), audio, reference, style)[0])


def test_mapping_and_keypoints() -> None:
    with torch.inference_mode():
        for name, count in (("mapping_full", FULL), ("mapping_crop", CROP)):
            motion = made(MappingNet(count))(0.5 * chance(1, count, 27, seed=11))
            check(name, torch.cat([part.flatten() for part in motion]))
        check("moved", moved_keypoints(0.3 * chance(1, 15, 3, seed=12), motion))


def test_the_face_render() -> None:
    portrait = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(13))
    source, driving = 0.4 * chance(1, 15, 3, seed=14), 0.4 * chance(1, 15, 3, seed=15)
    with torch.inference_mode():
        check("canonical", made(KeypointFinder(NARROW))(portrait))
        network = FaceGenerator(NARROW)
        made(network)
        check("frame", network(portrait, source, driving), 1e-3)
        seen = network.seen(portrait)
        check("occlusion", network.dense_motion_network(seen.compressed, source, driving)[1])
        quick = QuickGenerator(network, 64)
        check("frame", quick.draw(quick.portrait(portrait, source), driving[0])[None], 1e-3)


def test_the_photo() -> None:
    with torch.inference_mode():
        face = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(16))
        check("coefficients", made(CoefficientNetwork())(face))
    pixels = np.random.default_rng(17).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    photo = np.asarray(Image.fromarray(pixels).resize((256, 240), Image.Resampling.BICUBIC))
    standard = np.array([[-0.31, 0.29, 0.13], [0.31, 0.29, 0.13], [0, -0.05, 0.55], [-0.25, -0.38, 0.22]])
    standard = np.vstack([standard, [0.25, -0.38, 0.22]])
    points = np.array([[96.0, 100], [160, 103], [126, 138], [101, 172], [150, 174]])
    face, placed = aligned_face(photo, points, standard)
    np.testing.assert_allclose(placed, GOLDEN["placed"], rtol=1e-5)
    check("aligned", face[0].permute(1, 2, 0))
