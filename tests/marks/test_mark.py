"""The invisible mark: laid in as its definition says, not seen, and read again after what films go through."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from PIL import Image

from clients.films.mark_search import MOST_WINDOWS
from clients.trials.marks.mark_attacks import h264, mean
from engine.config import slot_bytes
from engine.contracts import ByteArray, FloatArray
from engine.face.avatar import Avatar
from engine.marking import mark_reader
from engine.marking.mark_code import SIDE, MarkIds, chips, decoded
from engine.marking.mark_pattern import mark_picture, mark_planes, pattern, square_in
from engine.marking.mark_reader import LEAST, chance, find_mark
from engine.paths import assets
from engine.process.engine_worker import i420
from kernels.cpu import mark_luma
from kernels.plain import marking_reference

pytestmark = pytest.mark.cpu
IDS = MarkIds(0x0BADCAF, 0x12345)


def luma(picture: ByteArray) -> FloatArray:
    return picture[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


@pytest.fixture(scope="module")
def marked(astronaut: Avatar) -> ByteArray:
    return mark_picture(astronaut.portrait, IDS)


def test_ids_come_back_from_noisy_chips_and_not_from_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((8, SIDE, SIDE)).astype(np.float32)
    for k, one in enumerate(noise):
        ids = MarkIds(int(rng.integers(1 << 28)), int(rng.integers(1 << 20)))
        assert decoded(0.2 * chips(ids) + one) == ids, k
        assert decoded(one) is None, k
    assert decoded(np.zeros((SIDE, SIDE), np.float32)) is None


@pytest.mark.parametrize("size", [256, 1080])
def test_the_kernel_does_what_its_definition_says(size: int) -> None:
    rng = np.random.default_rng(size)
    grey = np.array(Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).resize((size, size)))
    grey[size // 2 :] = rng.integers(0, 256, (size - size // 2, size), np.uint8)
    wanted = marking_reference.add_mark(grey, pattern(IDS, size), marking_reference.USUAL).astype(int)
    mark_luma.add_mark(grey, pattern(IDS, size))
    assert np.abs(grey - wanted).max() <= 1
    assert (grey != wanted).mean() < 1e-3


@pytest.mark.parametrize("twin", ["plain.marking_torch", "gpu.mark_triton"])
def test_a_batch_on_a_device_is_marked_as_each_picture_is(twin: str) -> None:
    torch = pytest.importorskip("torch")
    if twin.startswith("gpu"):
        pytest.importorskip("triton")
    rng = np.random.default_rng(4)
    smooth = np.array(Image.fromarray(rng.integers(0, 256, (5, 5), np.uint8)).resize((64, 64)))
    luma = np.stack([smooth, rng.integers(0, 256, (64, 64), np.uint8), np.full((64, 64), 128, np.uint8)])
    patterns = np.stack([pattern(IDS, 64), pattern(MarkIds(1, 2), 64), np.zeros((64, 64), np.int8)])
    wanted = np.stack(
        [marking_reference.add_mark(*pair, marking_reference.USUAL) for pair in zip(luma, patterns, strict=True)]
    )
    planes = np.concatenate([luma, rng.integers(0, 256, (3, 32, 64), np.uint8)], axis=1)
    given = torch.from_numpy(planes.copy())
    device = "cuda" if torch.cuda.is_available() and twin.startswith("gpu") else "cpu"
    given = given.to(device)
    add_mark = importlib.import_module(f"kernels.{twin}").add_mark
    add_mark(given, torch.from_numpy(patterns).to(device), marking_reference.USUAL)
    got = given.cpu().numpy()
    assert (got[:, 64:] == planes[:, 64:]).all()
    assert np.abs(got[:, :64].astype(int) - wanted).max() <= 1
    assert (got[:, :64] != wanted).mean() < 1e-3


@pytest.mark.parametrize("size", [256, 512])
def test_planes_change_too_little_to_be_seen_and_only_in_luma(astronaut: Avatar, size: int) -> None:
    picture = np.array(Image.fromarray(astronaut.portrait).resize((size, size)))
    planes = i420(np.dstack([picture, np.full((size, size), 200, np.uint8)]), np.zeros(slot_bytes(size), np.uint8))
    before = planes.copy()
    mark_planes(planes, IDS)
    step = planes.astype(float) - before
    assert not step[:size, size:].any(), "the matte stays as it is"
    assert not step[size:].any(), "and so does chroma"
    assert np.abs(step).max() <= 3
    assert 10 * np.log10(255**2 / np.mean(step[:size, :size] ** 2)) >= 44


def test_the_mark_is_read_with_scale_and_place(marked: ByteArray) -> None:
    found = find_mark(luma(marked))
    assert found is not None
    assert found.ids == IDS
    assert found.score > 20
    assert found.chance < 1e-9
    cut = marked[51:-51, 51:-51]
    small = np.array(Image.fromarray(cut).resize((287, 287), Image.Resampling.BICUBIC))  # 70 %
    found = find_mark(luma(small))
    assert found is not None
    assert found.ids == IDS
    assert found.side == pytest.approx(0.7 * 512, rel=0.01)
    assert found.left == pytest.approx(-0.7 * 51, abs=2)


def test_a_film_encoded_twice_is_read() -> None:
    planes = i420(
        Avatar.load(assets() / "avatars" / "lady_by_lake").portrait, np.zeros(slot_bytes(512), np.uint8)
    ).copy()
    mark_planes(planes, IDS)
    found = find_mark(mean(h264(h264([planes] * 8, 28), 32)))
    assert found is not None
    assert found.ids == IDS


def test_a_picture_that_is_no_square_is_marked_in_the_largest_about_the_face(astronaut: Avatar) -> None:
    wide = astronaut.portrait[:300]
    square = square_in(300, 512, (350.0, 100.0, 450.0, 200.0))
    assert square == (216, 2, 296)
    shown = mark_picture(wide, IDS, square)
    found = find_mark(luma(shown))
    assert found is not None
    assert found.ids == IDS
    assert found.left == pytest.approx(216, abs=2)
    assert (shown[:, :216] == wide[:, :216]).all()


def test_no_more_is_tried_than_the_bound_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def counted(values: FloatArray, least: float) -> None:
        tries.append(values)

    monkeypatch.setattr(mark_reader, "decoded", counted)
    assert find_mark(np.random.default_rng(3).uniform(0, 255, (300, 400)).astype(np.float32)) is None
    assert 0 < len(tries) * MOST_WINDOWS * 2**48 <= 2**mark_reader.HYPOTHESES


def test_nothing_is_found_where_nothing_is(astronaut: Avatar) -> None:
    assert find_mark(luma(np.array(Image.fromarray(astronaut.portrait).resize((256, 256))))) is None
    assert find_mark(np.full((200, 300), 128, np.float32)) is None
    assert find_mark(np.zeros((10, 4000), np.float32)) is None
    assert chance(LEAST) < 1e-6
    assert chance(0) == 1
