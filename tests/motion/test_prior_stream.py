"""The prior as a stream: the offline sampler's numbers, whatever the chunks, rows, pauses and beginnings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.a2v.offline_sampler import sample
from engine.a2v.prior_network import VALUES, PriorConfig, PriorNetwork, guided
from engine.contracts import FloatArray
from engine.motion.prior.noise import ladder, shares, step_down
from engine.motion.prior.nonlip import NONLIP, PLACE, read_pins, to_motion, to_values
from engine.motion.prior.pinning import FASTEST, MOST_PINS, Pins
from engine.motion.prior.prior_stream import Look, PriorStream

pytestmark = pytest.mark.cpu

SMALL = PriorConfig(dim=16, layers=2, heads=2, forward=32, frames=2, past=4, window=3, most=8)
FRAMES = 44
GUIDANCE = 2.5


class ByTorch:
    """`Denoiser` as torch defines it."""

    def __init__(self, model: PriorNetwork) -> None:
        self.model = model
        self.mean, self.std = model.mean.numpy(), model.std.numpy()
        self.frames, self.past, self.window = model.config.frames, model.config.past, model.config.window

    @torch.inference_mode()
    def __call__(self, look: Look) -> FloatArray:
        given = {name: torch.from_numpy(np.array(getattr(look, name), np.float32)) for name in Look.__slots__}
        guidance = given.pop("guidance")
        heard = self.model(**given)
        deaf = self.model(**given | {"heard": given["heard"] * given["causal"][:, None, None]})
        return np.asarray(guided(heard, deaf, guidance).numpy())


@pytest.fixture(scope="module")
def model() -> PriorNetwork:
    """Of random weights: what it says is as good as any to tell streams apart."""
    torch.manual_seed(3)
    model = PriorNetwork(SMALL).eval().requires_grad_(False)
    model.out.weight *= 3
    model.mean.copy_(torch.linspace(-0.1, 0.2, VALUES))
    model.std.copy_(torch.linspace(0.05, 0.3, VALUES))
    return model


@pytest.fixture(scope="module")
def sound() -> FloatArray:
    return np.random.default_rng(0).normal(0, 1, (3, FRAMES, 33)).astype(np.float32)


def streamed(
    model: PriorNetwork,
    sound: FloatArray,
    look_ahead: int,
    seed: int,
    rows: int = 1,
    row: int = 0,
    causal: bool = False,
    pins: dict[int, dict[int, float]] | None = None,
) -> FloatArray:
    """Values of one row's frames; other rows come, pause and go meanwhile, by another seed."""
    stream = PriorStream(ByTorch(model), rows, causal)
    rng = np.random.default_rng(rows)
    stream.begin(np.ones(rows, bool), np.full(rows, seed))
    stream.guidance[:] = GUIDANCE
    for frame, values in (pins or {}).items():
        stream.pin(row, frame, 1, values)
    own, out = np.arange(rows) == row, []
    for n in range(sound.shape[1]):
        others = (rng.random(rows) < 0.6) & ~own
        if n % 7 == 3:
            stream.begin(others, np.full(rows, n))
        heard = np.tile(sound[1, n], (rows, 1))
        heard[row] = sound[0, n]
        shown = others | (own & (n >= look_ahead))
        values = stream.step(heard, np.full(rows, look_ahead), others | own, shown)
        if n >= look_ahead:
            out.append(values[row].copy())
    return np.stack(out)


@pytest.mark.parametrize("look_ahead", [0, 2, 3])
def test_a_stream_is_the_sampler_over_the_whole(model: PriorNetwork, sound: FloatArray, look_ahead: int) -> None:
    whole = sample(model, sound[0], look_ahead, 7, GUIDANCE)
    by_itself = streamed(model, sound, look_ahead, 7)
    np.testing.assert_allclose(by_itself[: len(whole)], whole, atol=2e-5)
    assert np.abs(whole).max() > 0.1
    assert whole.std(0).min() > 1e-3


def test_other_rows_change_nothing(model: PriorNetwork, sound: FloatArray) -> None:
    alone = streamed(model, sound, 2, 7)
    np.testing.assert_allclose(streamed(model, sound, 2, 7, rows=4, row=2), alone, atol=2e-5)


def test_sound_that_is_not_heard_yet_changes_nothing(model: PriorNetwork, sound: FloatArray) -> None:
    other = sound.copy()
    other[0, 21:] = sound[2, 21:]
    a, b = (streamed(model, s, 2, 7) for s in (sound, other))
    assert np.array_equal(a[:19], b[:19])
    assert not np.allclose(a[20:24], b[20:24])


def test_seeds_and_guidance_and_sound_matter(model: PriorNetwork, sound: FloatArray) -> None:
    a = sample(model, sound[0], 2, 7, GUIDANCE)
    for other in (
        sample(model, sound[0], 2, 8, GUIDANCE),
        sample(model, sound[0], 2, 7, 1.0),
        sample(model, sound[1], 2, 7, GUIDANCE),
        sample(model, sound[0], 2, 7, GUIDANCE, (0.5, 0.5)),
    ):
        assert np.abs(a - other).max() > 1e-2
    assert np.array_equal(sample(model, sound[0], 2, 7, 0.0), sample(model, sound[1], 2, 7, 0.0)), "0 hears nothing"


def test_keys_are_met_and_change_nothing_before_they_are_near(model: PriorNetwork, sound: FloatArray) -> None:
    pins = {40: {PLACE["yaw"]: 0.1, PLACE["browInnerUp"]: 0.4}}
    free, led = sample(model, sound[0], 2, 7, GUIDANCE), sample(model, sound[0], 2, 7, GUIDANCE, pins=pins)
    assert led[40, PLACE["yaw"]] == pytest.approx(0.1, abs=1e-5)
    assert led[40, PLACE["browInnerUp"]] == pytest.approx(0.4, abs=1e-5)
    near = 40 - 32  # frames of the longest way
    assert np.array_equal(free[:near], led[:near])
    assert not np.allclose(free[near + 4 : 40], led[near + 4 : 40])
    np.testing.assert_allclose(streamed(model, sound, 2, 7, pins=pins)[: len(led)], led, atol=2e-5)


@pytest.mark.parametrize("spread", [1.0, 2.0, 7.0])
def test_six_steps_keep_the_spread_of_a_gaussian(spread: float) -> None:
    levels, rng, count = ladder(6), np.random.default_rng(0), 4000
    (signal, noise), values = shares(levels), rng.normal(size=count)
    before = None
    for rung in reversed(range(6)):
        known = signal[rung + 1] * spread**2 / (signal[rung + 1] ** 2 * spread**2 + noise[rung + 1] ** 2)
        clean = known * values  # what a network that knows the Gaussian says
        said = [values, clean, clean if before is None else before, rng.normal(size=count)]
        values = step_down(*(np.repeat(x[:, None, None], 6, 1) for x in said), levels)[:, rung, 0]
        before = clean
    assert 0.88 < values.std() / spread < 1.04


def test_ways_to_keys_and_back_are_no_faster_than_people() -> None:
    pins = Pins(np.zeros(VALUES, np.float32), np.zeros(VALUES, np.float32))
    assert pins.add(0, 60, 5, {PLACE["yaw"]: 0.15, PLACE["browInnerUp"]: 0.8})
    shown = np.stack([pins.lean(np.zeros(VALUES, np.float32), frame) for frame in range(130)])
    assert np.ptp(shown[60:65], axis=0).max() == 0
    assert shown[62, PLACE["browInnerUp"]] == pytest.approx(0.8)
    assert (np.abs(np.diff(shown, axis=0)).max(0) <= 1.05 * FASTEST).all()
    assert not shown[[0, -1]].any()
    pins.forget(129)
    assert not pins
    assert not pins.add(0, 9, 1, dict.fromkeys(range(MOST_PINS + 1), 0.0))


def test_the_causal_prior_draws_nothing_and_hears_no_future(model: PriorNetwork, sound: FloatArray) -> None:
    a, b = (streamed(model, sound, 1, seed, causal=True) for seed in (1, 2))
    assert np.array_equal(a, b)
    assert a.std(0).min() > 1e-4
    other = sound.copy()
    other[0, 30:] = 0
    c = streamed(model, other, 1, 1, causal=True)
    assert np.array_equal(a[:28], c[:28])
    assert not np.allclose(a[30:], c[30:])


def test_values_are_motion_and_back() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 0.09, (5, len(NONLIP))).astype(np.float32)
    values[:, 6:8] = rng.uniform(-1, 1, (5, 2))
    np.testing.assert_allclose(to_values(*to_motion(values)), values, atol=1e-6)
    wild = to_motion(np.full((1, len(NONLIP)), 99.0, np.float32))
    assert wild[1].max() <= 1
    assert np.abs(wild[0][0, 0]) < 0.21


def test_keys_are_read_or_refused_in_a_sentence() -> None:
    assert read_pins({"yaw": 6, "eyeLookOutRight": 0.5}) == {0: pytest.approx(0.1047, abs=1e-4), 7 - 1: -0.5}
    for odd in ({"jawOpen": 1}, {"yaw": 90}, {"browInnerUp": "high"}, {"gaze_up": float("nan")}, {}):
        with pytest.raises(Exception, match="was expected"):
            read_pins(odd)
