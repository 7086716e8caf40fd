"""Blinks that a tracker saw half are whole again, and lids that only hang are left."""

from __future__ import annotations

import numpy as np
import pytest

from engine.enrolment.footage.driving.closing import lids_closed
from engine.face.blendshapes import INDEX
from engine.face.lids import as_closed, as_told

pytestmark = pytest.mark.cpu
LEFT, RIGHT = INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]


def shot(*ends: float, hanging: float = 0.1) -> np.ndarray:
    """A shot [T, 52] with a blink of three frames for each of ``ends``, of the left eye."""
    blink = np.concatenate([[hanging] * 20 + [0.7 * end, end, 0.6 * end] for end in ends])
    out = np.zeros((len(blink), 52), np.float32)
    out[:, LEFT] = blink
    return out


def test_a_usual_blink_closes_the_eye_and_hanging_lids_hardly_move() -> None:
    first, second = lids_closed([shot(0.6, 0.65), shot(0.7)])
    assert first[:, LEFT].max() > 0.9
    assert second[:, LEFT].max() == 1
    assert abs(first[0, LEFT] - 0.1) < 0.02
    assert not first[:, RIGHT].any()


def test_lids_that_hang_for_long_are_left() -> None:
    given = shot(0.6, 0.65)
    given[:20, LEFT] = 0.5
    assert np.array_equal(lids_closed([given])[0][:20, LEFT], given[:20, LEFT])


@pytest.mark.parametrize("ends", [(0.35, 0.35, 0.35), (0.6,)])  # nobody closes an eye; once might be by chance
def test_where_nothing_tells_how_far_blinks_go_they_stay(ends: tuple[float, ...]) -> None:
    given = shot(*ends)
    assert np.array_equal(lids_closed([given])[0], given)


def test_what_is_wished_is_what_is_shown() -> None:
    for wish in (0.0, 0.2, 0.7, 1.0):
        assert as_closed(np.array(as_told(wish, 0.8)), 0.8) == pytest.approx(wish, abs=1e-6)
    assert as_told(0.4, 1.0) == 0.4
    assert (np.diff(as_closed(np.linspace(0, 1, 50), 0.8)) >= 0).all()
