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
        shapes, lips = (f(features, ahead, **run) for f in (self._facial.animate, self._facial.offset_lips))
        heads = self._head(heard, torch.from_numpy(speaking)[:, None], exec_mask=torch.from_numpy(shown))
        return Moved(shapes[:, 0].numpy(), lips[:, 0].numpy(), heads[:, 0].numpy(), 0.0, 0.0)


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
        for name, rows in (("shapes", one.mask), ("lips", one.mask), ("heads", one.shown)):
            a, b = (getattr(moved, name)[rows] for moved in said)
            worst[name] = max(worst.get(name, 0.0), float(np.abs(a - b).max(initial=0.0)))
            moved = max(moved, float(np.abs(b).max(initial=0.0)))
    assert moved > 0.1, "else it proves nothing"
    return worst


def test_two_minutes_of_an_eventful_life_are_torchs() -> None:
    worst = differences(an_eventful_life(25 * 120), MotionPrograms(ROWS), ByTorch(ROWS))
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
            for name in ("shapes", "lips", "heads"):
                np.testing.assert_allclose(getattr(one_row, name)[0], getattr(all_rows, name)[2], atol=5e-6, rtol=0)


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
