"""A person's manner laid over what the networks say: lips that are closed stay closed, others open as the person's."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import HEARD, Manner
from engine.motion.idle import IdleMotion
from engine.motion.manner import PARTS, opened, opening

pytestmark = pytest.mark.cpu


def shapes(jaw: float, close: float = 0.0, lower: float = 0.0) -> np.ndarray:
    out = np.zeros(52, np.float32)
    out[INDEX["jawOpen"]], out[INDEX["mouthClose"]] = jaw, close
    out[[INDEX["mouthLowerDownLeft"], INDEX["mouthLowerDownRight"]]] = lower
    return out


def twice() -> Manner:
    usual = {"jawOpen": 2.0, "mouthClose": -2.0, "mouthLowerDownRight": 2 * PARTS, "mouthUpperUpRight": 2 * PARTS}
    return Manner(opening=np.array([*(usual.get(name, 0.0) for name in HEARD), 0.0], np.float32))


def test_lips_open_as_far_as_the_persons() -> None:
    said = shapes(0.2, lower=0.1)
    assert opening(opened(said, twice())) == pytest.approx(2 * opening(said), abs=1e-5)
    assert np.array_equal(opened(said, Manner()), said), "without a film as everybody"


def test_closed_lips_stay_closed() -> None:
    assert opening(opened(shapes(0.2, close=0.2), twice())) == pytest.approx(0, abs=1e-6)


def test_blinks_come_as_seldom_as_the_persons() -> None:
    def blinks(gap: float) -> int:
        life = IdleMotion(1, gap)
        lids = np.array([life.step(0.0, False).blendshapes[0] for _ in range(4000)])
        return int((np.diff((lids > 0.7).astype(int)) == 1).sum())

    assert blinks(1.8) < 0.75 * blinks(1.0) < 0.75 * blinks(0.6)
