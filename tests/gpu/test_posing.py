"""Scenes posed on a device are the scenes that the renderer poses, portrait by portrait, motion by motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from capture import launches, strictly

from engine.contracts import Motion
from engine.cuda.batched_renderer import DeviceRenderer
from engine.cuda.cuda_graphs import Captured
from engine.cuda.posing.batched_posing import NONE
from engine.cuda.posing.layout import places
from engine.cuda.rows import Rows, motions
from engine.cuda.stage import numbers
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.face.lids import open_eyes
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.renderer import Renderer, still

NO_OFFSETS = np.zeros((0, 3), np.float32)


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    """Smiles with an open mouth, and so has an expression of its own."""
    return Avatar.load(assets() / "avatars" / "astronaut")


def smiling(avatar: Avatar) -> Avatar:
    """As it is."""
    return avatar


def neutral(avatar: Avatar) -> Avatar:
    """Closed lips, no expression, no teeth seen."""
    return replace(avatar, reference=avatar.neutral, smile=0.0, teeth=np.zeros((0, 2), np.float32))


def mirrored(avatar: Avatar) -> Avatar:
    """One of its cheeks is painted from the other, and its outline is soft all around."""
    share = np.where(avatar.reference[:, 0] > avatar.reference[:, 0].mean(), 1.0, 0.0).astype(np.float32)
    tucked = avatar.reference[:, :2] + 0.02 * (avatar.reference[5, :2] - avatar.reference[:, :2])
    return replace(avatar, mirror_share=share, tucked=tucked, rim_beyond=avatar.rim_beyond + 3)


def sleepy(avatar: Avatar) -> Avatar:
    """Wears glasses, and one of its eyes is half shut."""
    shut = np.array([0.3, 0.0], np.float32)
    stiff = np.exp(-(((avatar.reference[:, 1] - avatar.reference[33, 1]) / 30) ** 2)).astype(np.float32)
    return replace(avatar, shut=shut, neutral=open_eyes(avatar.neutral, shut), stiff=stiff)


def aside(avatar: Avatar) -> Avatar:
    """Seen from the side and from above, with less around it."""
    kept = len(avatar.around) - 40
    triangles = avatar.around_triangles[(avatar.around_triangles < 468 + kept).all(1)]
    around = {name: getattr(avatar, name)[:kept] for name in ("around", "around_head", "around_skin")}
    hung = {name: getattr(avatar, name)[:kept] for name in ("around_near", "around_share")}
    turn = rotation_matrix(0.25, 0.12, 0.03) @ avatar.rotation
    return replace(avatar, rotation=turn.astype(np.float32), around_triangles=triangles, **around, **hung)


PORTRAITS: list[Callable[[Avatar], Avatar]] = [smiling, neutral, mirrored, sleepy, aside]
NAMED: list[dict[str, float]] = [
    {},
    {"jawOpen": 0.7},
    {"jawOpen": 0.04},
    {"eyeBlink": 1},
    {"eyeBlink": 0.1, "eyeWide": 0.6},
    {"eyeBlinkLeft": 0.5, "browInnerUp": 1},
    {"eyeLookOutLeft": 1, "eyeLookInRight": 1, "eyeLookDown": 0.4},
    {"eyeLookUp": 0.02},
    {"jawOpen": 0.5, "tongueOut": 1},
    {"jawOpen": 0.2, "tongueOut": 0.3},
    {"mouthSmile": 1},
    {"jawOpen": 0.3, "mouthSmile": 0.8, "mouthUpperUp": 0.4, "mouthLowerDown": 0.4},
    {"mouthRollLower": 0.7},
    {"mouthRollLower": 0.4, "jawOpen": 0.1},
    {"mouthClose": 1, "mouthPress": 1},
    {"mouthPucker": 1, "jawOpen": 0.1},
    {"mouthFunnel": 1, "jawOpen": 0.5},
    {"mouthLeft": 1, "jawRight": 1},
    {"jawOpen": float("nan"), "mouthSmile": float("inf"), "cheekPuff": 7},
]


def given(own: np.ndarray) -> list[Motion]:
    """What a face may be asked for: each thing by itself and turned, its own expression, and anything at all."""
    rng = np.random.default_rng(4)

    def turned() -> tuple[np.ndarray, np.ndarray]:
        return rotation_matrix(*rng.normal(0, 0.2, 3)).astype(np.float32), rng.normal(0, 0.1, 3).astype(np.float32)

    def offsets() -> np.ndarray:
        return rng.normal(0, 0.03, (40, 3)).astype(np.float32)

    out = []
    for shapes in NAMED:
        beta = np.zeros(len(NAMES), np.float32)
        for name, value in shapes.items():
            for full in (name, name + "Left", name + "Right"):
                if full in INDEX:
                    beta[INDEX[full]] = value
        out += [replace(still(), blendshapes=beta), Motion(0, beta, *turned(), offsets())]
    for share in (0.4, 0.6, 0.8, 0.95, 1.0):
        out += [replace(still(), blendshapes=share * own), Motion(0, share * own, *turned(), 0.1 * offsets())]
    for k in range(40):
        beta = (rng.random(len(NAMES)) * (rng.random(len(NAMES)) < 0.4)).astype(np.float32)
        out.append(Motion(0, beta, *turned(), offsets() if k % 2 else NO_OFFSETS))
    return out


def agree(renderer: Renderer, motion: Motion, rows: Rows, row: int) -> None:
    """Row ``row`` is the scene that the renderer poses, and so is the one painted over it."""
    wanted, at, scene = renderer.pose(motion), places(renderer.scene), renderer.scene
    assert rows.share[row].item() == pytest.approx(wanted.own, abs=1e-6)
    second = int(rows.second[row])
    assert (second != row) == (0 < wanted.own < 1)
    for number in {row, second}:
        plain = number != row or wanted.own == 1
        shown = scene.whole if plain else wanted.shown
        assert tuple(rows.shown[number].tolist()) == numbers(shown)
        assert rows.scene[number] % 2 == plain
        vertices, maps = wanted.vertices.copy(), (wanted.plain if plain else wanted.maps).copy()
        scene.thicken(vertices, maps)
        assert np.abs(rows.places[number, at].numpy() - vertices).max() <= 0.01, "pixels"
        away = np.abs(rows.maps[number, at].numpy() - maps).max(0)
        assert away[:2].max() <= 0.01, "pixels of the texture"
        assert away[2] <= 1e-3, "brightness"
        if len(away) == 6:
            assert away[3:5].max() <= 0.01
            assert away[5] <= 1e-3, "share of the mirrored"


def all_agree(renderer: Renderer, device: str) -> tuple[list[Motion], Rows]:
    """Every motion in one batch, posed on ``device``."""
    stage = DeviceRenderer(renderer.size, device, portraits=1)
    number, wanted = stage.add(renderer.avatar), given(renderer.own_expression)
    pose = Captured(stage.pose)
    posed = pose(stage.load([(number, m) for m in wanted]), channels=renderer.scene.maps.shape[1])
    rows = Rows(*(t.cpu() for t in posed))
    for k, motion in enumerate(wanted):
        agree(renderer, motion, rows, k)
    return wanted, rows


@pytest.mark.cpu
@pytest.mark.parametrize("portrait", PORTRAITS, ids=lambda made: made.__name__)
@pytest.mark.parametrize("size", [512, 256])
def test_every_motion_is_posed_as_by_the_renderer(
    avatar: Avatar, portrait: Callable[[Avatar], Avatar], size: int
) -> None:
    changed = portrait(avatar)
    renderer = Renderer(changed, size)
    wanted, rows = all_agree(renderer, "cpu")
    shown = {tuple(row) for row in rows.shown[: len(wanted)].tolist()}
    scene = renderer.scene
    assert {numbers(scene.open), numbers(scene.tongue_out)} <= shown, "else it proves little"
    assert numbers(scene.whole if renderer.own_lips.any() else scene.closed) in shown


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("portrait", PORTRAITS, ids=lambda made: made.__name__)
def test_every_motion_is_posed_in_a_graph_on_a_gpu(avatar: Avatar, portrait: Callable[[Avatar], Avatar]) -> None:
    all_agree(Renderer(portrait(avatar), 512), "cuda")


@pytest.mark.cpu
def test_a_mixed_batch_is_each_row_alone(avatar: Avatar) -> None:
    portraits = [portrait(avatar) for portrait in PORTRAITS]
    device = DeviceRenderer(512, "cpu", portraits=len(portraits))
    own = Renderer(avatar).own_expression
    moved = given(own)[::7]
    jobs = [(device.add(portrait), moved[k % len(moved)]) for k, portrait in enumerate(portraits)]
    jobs = [*jobs, *((number, moved[-k]) for number, k in zip(range(len(portraits)), range(1, 9), strict=False))]
    rows = device.pose(device.load(jobs), 6)
    for k, job in enumerate(jobs):
        alone = device.pose(device.load([job]), 6)
        for batched, single in zip(rows[:4], alone[:4], strict=True):
            torch.testing.assert_close(batched[k], single[0], atol=1e-3, rtol=0)


@pytest.mark.cpu
def test_a_portrait_that_comes_later_moves_no_address(avatar: Avatar) -> None:
    device = DeviceRenderer(512, "cpu", portraits=2)
    first, motion = device.add(avatar), given(np.zeros(len(NAMES), np.float32))[3]
    kept = device.stage.known, device.stage.shown, *device.stage.tables
    homes, before = [t.data_ptr() for t in kept], device.pose(device.load([(first, motion)]))
    other = device.add(mirrored(avatar))
    device.remove(other)
    assert device.add(aside(avatar)) == other
    now = device.stage.known, device.stage.shown, *device.stage.tables
    assert [t.data_ptr() for t in now] == homes
    for old, new in zip(before, device.pose(device.load([(first, motion)])), strict=True):
        assert torch.equal(old, new)
    agree(Renderer(aside(avatar)), motion, device.pose(device.load([(other, motion)])), 0)


@pytest.mark.cpu
def test_rows_without_a_picture_show_nothing(avatar: Avatar) -> None:
    device = DeviceRenderer(512, "cpu", portraits=1)
    for jobs in ([], [(device.add(avatar), still())] * 3):
        rows = device.load(jobs, 4)
        empty = motions(rows).kind == NONE
        assert int(empty.sum()) == 4 - len(jobs)
        posed = device.pose(rows)
        assert not posed.shown[empty].any()
        assert posed.shown[~empty].any(1).all()
        assert posed.places.isfinite().all()


@pytest.mark.cpu
def test_nothing_in_posing_waits_for_the_device(avatar: Avatar) -> None:
    with torch.inference_mode():
        device = DeviceRenderer(512, "meta", portraits=1)
        rows = device.load([(device.add(avatar), still())] * 3)
        with strictly():
            made = [device.pose(rows, channels) for channels in (3, 6)]
    assert [tuple(posed.maps.shape) for posed in made] == [(4, 8192, 3), (4, 8192, 6)]
    assert made[0].places.device.type == "meta"


@pytest.mark.cpu
def test_it_launches_as_much_for_one_row_as_for_many(avatar: Avatar) -> None:
    device = DeviceRenderer(512, "meta", portraits=1)
    number, counts = device.add(avatar), []
    for pictures in (1, 16):
        rows = device.load([(number, still())] * pictures)
        with torch.no_grad(), launches() as counted:
            device.pose(rows)
        counts.append(counted.count)
    assert counts[0] == counts[1] <= 600


@pytest.mark.cpu
def test_a_motion_of_a_wrong_shape_is_refused_in_a_sentence(avatar: Avatar) -> None:
    device = DeviceRenderer(512, "cpu", portraits=1)
    number = device.add(avatar)
    with pytest.raises(ValueError, match=r"blendshapes was expected to have shape \(52,\)"):
        device.load([(number, replace(still(), blendshapes=np.zeros(51, np.float32)))])
    with pytest.raises(ValueError, match="lip_offsets was expected"):
        device.load([(number, replace(still(), lip_offsets=np.zeros((40, 2), np.float32)))])
