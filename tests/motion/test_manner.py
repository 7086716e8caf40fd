"""A person's manner laid over what the networks say: lips that are closed stay closed, others open as the person's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.enrolment.footage.manner_fit import CALM, _calmed, _fitted
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import FILE, SAID, FilmMemory, Manner
from engine.motion.idle import IdleMotion
from engine.motion.manner import (
    AT_REST,
    CLOSE,
    CORNERS,
    REST,
    RISES,
    SILENCE,
    Mouth,
    awake,
    heard,
    opened,
    opening,
    quiet,
)

pytestmark = pytest.mark.cpu


def shapes(jaw: float, close: float = 0.0, lower: float = 0.0) -> np.ndarray:
    out = np.zeros(52, np.float32)
    out[INDEX["jawOpen"]], out[INDEX["mouthClose"]] = jaw, close
    out[[INDEX["mouthLowerDownLeft"], INDEX["mouthLowerDownRight"]]] = lower
    return out


def told(close: float = 0.0, silence: float = 0.0) -> np.ndarray:
    out = np.zeros(SAID, np.float32)
    out[[CLOSE, SILENCE]] = close, silence
    return out


def weights(usual: float = 0.0, least: float = 0.0) -> Manner:
    """Of a mouth that opens ``usual`` times as far as everybody's, and ``least`` besides."""
    return Manner(opening=np.array([0.0] * SAID + [usual, least], np.float32))


def test_lips_open_as_far_as_the_persons() -> None:
    said = shapes(0.2, lower=0.1)
    assert opening(opened(said, told(), weights(2.0), 1.0)) == pytest.approx(2 * opening(said), abs=1e-5)
    assert opening(opened(said, told(), weights(1.0, 0.3), 1.0)) == pytest.approx(opening(said) + 0.3, abs=1e-5)
    assert np.array_equal(opened(said, told(), Manner(), 1.0), said), "without a film as everybody"


def test_closed_lips_stay_closed() -> None:
    shut = opened(shapes(0.2, close=0.2), told(close=1.0), weights(2.0, 0.3), 1.0)
    assert opening(shut) == pytest.approx(0, abs=1e-6)


def test_lips_rest_open_between_words_as_the_persons_and_close_when_nobody_speaks_any_more() -> None:
    frames, rest = AT_REST, []
    for k in range(200):
        said = told(silence=0.0 if k == 20 else 1.0)
        frames = quiet(frames, said)
        rest.append(float(opening(opened(shapes(0.0), said, weights(least=0.1), awake(frames)))))
    assert max(rest[:20]) == 0, "not before the first word"
    assert rest[20:50] == pytest.approx([0.1] * 30, abs=1e-6)
    assert max(rest[21 + AT_REST :]) == 0
    assert max(-np.diff(rest[21:])) < 0.01, "nor at once"
    between = opening(opened(shapes(0.0), told(silence=1.0), weights(2.0), 1.0))
    assert between == pytest.approx(2 * REST, abs=1e-5), "a mouth that opens further rests further open"


def test_corners_are_held_as_the_persons_in_speech_and_come_and_go_gently() -> None:
    smiles = Manner(corners=np.array([-0.3, 0.2, 0.2, 0.0, 0.0], np.float32))
    rounded = shapes(0.2)
    rounded[INDEX["mouthPucker"]] = 0.5
    mouth, held = Mouth(), []
    for k in range(200):
        if k == 150:
            mouth.quiet = AT_REST  # a barge-in
        held.append(mouth.step(rounded, told(silence=float(k < 20 or k >= 150)), smiles)[CORNERS])
    assert np.array_equal(held[19], rounded[CORNERS]), "a portrait at rest stays its own"
    assert held[19 + RISES] == pytest.approx([0.2, 0.2, 0.2, 0.0, 0.0], abs=1e-6)
    assert np.abs(np.diff(held, axis=0)).max() <= 0.3 / RISES + 1e-6
    assert held[150 + RISES] == pytest.approx(rounded[CORNERS], abs=1e-6)


def test_films_that_taught_nothing_of_corners_are_still_read(tmp_path: Path) -> None:
    FilmMemory({}, Manner(corners=np.ones(5, np.float32))).save(tmp_path)
    arrays = load_file(tmp_path / FILE)
    assert len(arrays.pop("manner.corners")) == 5
    save_file(arrays, tmp_path / FILE)
    earlier = FilmMemory.load(tmp_path)
    assert earlier is not None
    assert not len(earlier.manner.corners)


def test_lips_that_are_too_fast_at_the_films_spread_move_less_and_no_others_more() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((int(CALM), SAID + 2)).astype(np.float32)
    x[:, -1] = 1
    before = rng.random(SAID + 2).astype(np.float32)
    after = _calmed(before, x, 1.5)
    assert (x @ after).mean() == pytest.approx((x @ before).mean(), rel=1e-4), "they rest where they did"
    assert (x @ after).std() == pytest.approx((x @ before).std() * 1.5**-0.25, rel=1e-3), "half of it, after 8 s"
    assert np.allclose(_calmed(before, x, 0.6), before, atol=1e-6)


def test_a_map_is_learned_from_what_a_film_shows_and_nothing_from_chance() -> None:
    rng = np.random.default_rng(0)
    n, half = 4000, 2000
    said = np.zeros((n, SAID), np.float32)
    said[:, 0] = np.repeat(rng.random(n // 5), 5)
    said[np.arange(n), 9 + np.repeat(rng.integers(0, 8, n // 5), 5)] = 1
    usual = np.zeros((n, 52), np.float32)
    usual[:, INDEX["jawOpen"]] = 0.5 * said[:, 0]
    film = 0.3 * said[:, 0] + 0.3 * said[:, 9 + 4] + 0.1  # opens further for one phone
    x = heard(usual, said)
    learned = x[half:] @ _fitted(x[:half], film[:half])
    assert (
        np.corrcoef(learned, film[half:])[0, 1] > np.corrcoef(usual[half:, INDEX["jawOpen"]], film[half:])[0, 1] + 0.03
    )
    assert 0.8 < learned.std() / film[half:].std() < 1.2
    by_chance = rng.random(n).astype(np.float32)
    assert abs(np.corrcoef(x[half:] @ _fitted(x[:half], by_chance[:half]), by_chance[half:])[0, 1]) < 0.2


def test_blinks_come_as_seldom_as_the_persons() -> None:
    def blinks(gap: float) -> int:
        life = IdleMotion(1, gap)
        lids = np.array([life.step(0.0, False).blendshapes[0] for _ in range(4000)])
        return int((np.diff((lids > 0.7).astype(int)) == 1).sum())

    assert blinks(1.8) < 0.75 * blinks(1.0) < 0.75 * blinks(0.6)
