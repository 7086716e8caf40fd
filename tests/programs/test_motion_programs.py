"""The exported step of the motion networks says what torch says: streaming, row by row, whatever comes between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from engine.audio.sound_files import read_speech
from engine.contracts import SAMPLES_PER_FRAME
from engine.motion import chance
from engine.motion.facial import upper_face
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.head import head_pose
from engine.motion.head.head_pose import HeadPose
from engine.motion.motion_networks import Mask, Moved, Whole
from engine.paths import assets
from engine.programs.motion_programs import MotionPrograms

pytestmark = pytest.mark.cpu

WEIGHTS = assets() / "weights"
ROWS = 4
TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class ByTorch:
    """`MotionNetworks` as torch defines them."""

    def __init__(self, rows: int) -> None:
        self._facial = FacialMotion.load(WEIGHTS / "facial.safetensors")
        self._head = HeadPose.load(WEIGHTS / "pose.safetensors")
        self._open = ExitStack()
        for model in (self._facial, self._head):
            self._open.enter_context(model.streaming(rows))

    def begin(self, mask: Mask, seeds: Whole) -> None:
        for model in (self._facial, self._head):
            model.begin(torch.from_numpy(mask), torch.from_numpy(seeds))

    def forget(self, mask: Mask) -> None:
        self._facial.forget(torch.from_numpy(mask))

    @torch.inference_mode()
    def step(self, samples: np.ndarray, speaking: Mask, look_ahead: Whole, mask: Mask, shown: Mask) -> Moved:
        heard, ahead = torch.from_numpy(samples), torch.from_numpy(look_ahead)
        run = {"exec_mask": torch.from_numpy(mask)}
        features = self._facial.encode(heard, **run)
        (shapes, said), lips = (f(features, ahead, **run) for f in (self._facial.utter, self._facial.offset_lips))
        heads = self._head(heard, torch.from_numpy(speaking)[:, None], exec_mask=torch.from_numpy(shown))
        return Moved(shapes[:, 0].numpy(), lips[:, 0].numpy(), heads[:, 0].numpy(), 0.0, 0.0, said[:, 0].numpy())


@dataclass
class Given:
    """One step's input, and what is done to rows before it."""

    samples: np.ndarray
    speaking: Mask
    look_ahead: Whole
    mask: Mask
    shown: Mask
    begin: Mask
    forget: Mask
    seeds: Whole


def sound(seconds: int, rng: np.random.Generator) -> np.ndarray:
    """Speech, silence, noise and a tone, loud and soft, a second and a half of each."""
    voice = np.resize(read_speech(assets() / "speech.wav"), 16_000 * seconds)
    at, stretch = np.arange(len(voice)), 24_000
    kinds = [voice, 0.0 * voice, 0.1 * rng.standard_normal(len(voice)), 0.5 * np.sin(at / 20), 3 * voice]
    kind = rng.choice([0, 0, 0, 1, 2, 3, 4], len(voice) // stretch + 1)
    return np.choose(np.repeat(kind, stretch)[: len(voice)], kinds).astype(np.float32)


def an_eventful_life(frames: int, rows: int = ROWS) -> Iterator[Given]:
    """Rows that pause, begin, forget and change their look-ahead; one of them hears numbers that are none."""
    rng = np.random.default_rng(3)
    voices = np.stack([sound(frames // 25 + 1, rng) for _ in range(rows)])
    look_ahead, since = rng.integers(0, 4, rows), np.zeros(rows, np.int64)
    for k in range(frames):
        at = slice(SAMPLES_PER_FRAME * k, SAMPLES_PER_FRAME * (k + 1))
        begin = rng.random(rows) < 0.002 if k else np.ones(rows, bool)
        begin[0] &= k == 0  # one row that lives on, past every ring's end
        look_ahead = np.where(rng.random(rows) < 0.01, rng.integers(0, 4, rows), look_ahead)
        mask = (rng.random(rows) < 0.9) | (np.arange(rows) == 0)
        since = np.where(begin, 0, since)
        samples = voices[:, at].copy()
        if k % 50 == 7:
            samples[1, :3] = np.nan, np.inf, -np.inf
        speaking = rng.random(rows) < 0.6
        shown = mask & (since >= look_ahead)
        yield Given(
            samples, speaking, look_ahead, mask, shown, begin, rng.random(rows) < 0.004, rng.integers(0, 1 << 40, rows)
        )
        since += mask


def differences(given: Iterator[Given], ours: MotionPrograms, theirs: ByTorch) -> dict[str, float]:
    """How far the two are apart at most, in the rows that ran, by what is said."""
    worst: dict[str, float] = {}
    moved = 0.0
    for one in given:
        said = []
        for networks in (ours, theirs):
            networks.begin(one.begin, one.seeds)
            networks.forget(one.forget)
            said.append(networks.step(one.samples, one.speaking, one.look_ahead, one.mask, one.shown))
        for name, rows in (("shapes", one.mask), ("lips", one.mask), ("said", one.mask), ("heads", one.shown)):
            a, b = (getattr(moved, name)[rows] for moved in said)
            worst[name] = max(worst.get(name, 0.0), float(np.abs(a - b).max(initial=0.0)))
            moved = max(moved, float(np.abs(b).max(initial=0.0)))
    assert moved > 0.1, "else it proves nothing"
    return worst


def test_more_than_a_minute_of_an_eventful_life_is_torchs() -> None:
    worst = differences(an_eventful_life(25 * 75), MotionPrograms(ROWS), ByTorch(ROWS))
    assert max(worst.values()) < TOLERANCE, worst


def test_a_row_does_not_know_of_the_others() -> None:
    every = list(an_eventful_life(200))
    together, alone = MotionPrograms(ROWS), MotionPrograms(1)
    for one in every:
        for networks, rows in ((together, slice(None)), (alone, slice(2, 3))):
            networks.begin(one.begin[rows], one.seeds[rows])
            networks.forget(one.forget[rows])
        given = one.samples, one.speaking, one.look_ahead, one.mask, one.shown
        all_rows, one_row = together.step(*given), alone.step(*(value[2:3] for value in given))
        if one.shown[2]:
            for name in ("shapes", "lips", "said", "heads"):
                np.testing.assert_allclose(getattr(one_row, name)[0], getattr(all_rows, name)[2], atol=5e-6, rtol=0)


def test_rows_that_run_one_after_the_other_say_what_they_say_together() -> None:
    """As sessions do whose sound comes at different times: each is a step of its own, of that row alone."""
    together, apart = MotionPrograms(ROWS), MotionPrograms(ROWS)
    for one in an_eventful_life(60):
        for networks in (together, apart):
            networks.begin(one.begin, one.seeds)
            networks.forget(one.forget)
        said = together.step(one.samples, one.speaking, one.look_ahead, one.mask, one.shown)
        for row in (2, 0, 3, 1):
            only = np.arange(ROWS) == row
            moved = apart.step(one.samples, one.speaking, one.look_ahead, one.mask & only, one.shown & only)
            if one.shown[row]:
                for name in ("shapes", "lips", "heads"):
                    np.testing.assert_allclose(
                        getattr(moved, name)[row], getattr(said, name)[row], atol=5e-6, rtol=0, err_msg=name
                    )


def test_what_is_said_is_kept_by_who_asked() -> None:
    networks, every = MotionPrograms(ROWS), list(an_eventful_life(12))
    said = []
    for one in every:
        moved = networks.step(one.samples, one.speaking, one.look_ahead, one.mask, one.shown)
        said.append((moved, moved.shapes.copy(), moved.heads.copy()))
    for moved, shapes, heads in said:
        assert np.array_equal(moved.shapes, shapes)
        assert np.array_equal(moved.heads, heads)


def test_chance_is_drawn_as_torch_draws_it() -> None:
    seeds, counts = np.array([0, 1, -5, 1 << 62, 77]), np.array([0, 3, 1 << 40, 90_000, 5])
    given = torch.from_numpy(seeds), torch.from_numpy(counts)
    assert np.array_equal(chance.uniform(seeds, counts), head_pose.uniform(*given).numpy())
    ours, theirs = chance.normal(seeds, counts, 5), upper_face.normal(*given, 5).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)


def lives(samples: np.ndarray, ran: Mask, begun: Mask) -> np.ndarray:
    """What rows of the programs say at each step, [steps, rows, numbers]: as the streaming proofs see a module."""
    networks, rows = MotionPrograms(samples.shape[1]), samples.shape[1]
    ahead, seeds, since, said = np.full(rows, 2), np.arange(rows), np.zeros(rows, np.int64), []
    for piece, run, begin in zip(samples, ran, begun, strict=True):
        networks.begin(begin, seeds)
        since = np.where(begin, 0, since)
        moved = networks.step(piece, np.ones(rows, bool), ahead, run, run & (since >= ahead))
        since += run
        said.append(np.concatenate([moved.shapes.reshape(rows, -1), moved.lips.reshape(rows, -1)], 1))
    return np.stack(said)


def test_the_programs_stream() -> None:
    """The streaming proofs on the programs themselves: the future, a row left out, a row begun anew."""
    rng, steps, half = np.random.default_rng(5), 320, 170
    voices = np.stack([sound(steps // 25 + 2, rng)[: SAMPLES_PER_FRAME * steps] for _ in range(3)], 1)
    voices = voices.reshape(steps, SAMPLES_PER_FRAME, 3).transpose(0, 2, 1)
    ran, begun = np.ones((steps, 3), bool), np.zeros((steps, 3), bool)
    begun[0] = True
    whole = lives(voices, ran, begun)
    assert whole.std() > 0.01
    other = voices.copy()
    other[half:] = rng.standard_normal(other[half:].shape)
    near = {"atol": 2e-5, "rtol": 0}
    changed = lives(other, ran, begun)
    np.testing.assert_allclose(changed[:half], whole[:half], **near)
    assert np.abs(changed[half:] - whole[half:]).max() > 0.01

    anew = begun.copy()
    anew[half, 0] = True
    started = lives(voices, ran, anew)
    np.testing.assert_allclose(started[:, 1:], whole[:, 1:], **near)
    np.testing.assert_allclose(started[half:, 0], lives(voices[half:], ran[half:], begun[: steps - half])[:, 0], **near)

    kept = np.flatnonzero(np.arange(steps) % 3 != 1)  # the steps in which the last row takes part
    given = voices.copy()
    given[:, 2] = 100 * rng.standard_normal(given[:, 2].shape)
    given[kept, 2] = voices[: len(kept), 2]
    paused = ran.copy()
    paused[:, 2] = np.isin(np.arange(steps), kept)
    left_out = lives(given, paused, begun)
    np.testing.assert_allclose(left_out[:, :2], whole[:, :2], **near)
    np.testing.assert_allclose(left_out[kept, 2], whole[: len(kept), 2], **near)
