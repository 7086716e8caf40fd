"""An open mouth's lips are freed of what spills over their rims."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face import topology as top
from engine.face.panels import LUMA, place, window

pytestmark = pytest.mark.cpu

SKIN, LIP, TEETH, DARK = (200, 160, 140), (170, 80, 75), (165, 125, 110), (50, 25, 25)


def mouth(open_by: float) -> np.ndarray:
    """A face [468, 3] of which nothing but lips is to be read."""
    face = np.full((top.VERTICES, 3), 256, np.float32)
    across = np.linspace(-1, 1, 11)
    for row, tall in (
        (top.LIP_INNER_UPPER, -open_by),
        (top.LIP_INNER_LOWER, open_by),
        (top.LIP_OUTER_UPPER, -12 - open_by),
        (top.LIP_OUTER_LOWER, 14 + open_by),
    ):
        face[list(row), 0] = 256 + 34 * across
        face[list(row), 1] = 256 + tall * (1 - across**2)
    return face


def test_teeth_that_shine_give_their_tone() -> None:
    from engine.enrolment.open_mouth import teeth_tone

    image = np.empty((512, 512, 3), np.uint8)
    image[:] = DARK
    expected = np.array([SKIN, LIP, TEETH, DARK], np.float32)
    assert np.array_equal(teeth_tone(image, mouth(14), expected), TEETH), "none are seen"
    image[260:266, 240:272] = (230, 220, 200)  # of the lower row
    assert np.array_equal(teeth_tone(image, mouth(14), expected), (230, 220, 200))
    image[260:266, 240:272] = (130, 100, 90)
    assert np.array_equal(teeth_tone(image, mouth(14), expected), TEETH), "in the shade they tell nothing"


def test_lips_lose_the_dark_and_the_teeth_over_their_rims() -> None:
    from engine.enrolment.open_mouth import clean_lips

    face = mouth(10)
    y, x = np.mgrid[0:512, 0:512]
    bow = 1 - np.clip((x - 256) / 34, -1, 1) ** 2
    image = np.empty((512, 512, 3), np.uint8)
    image[:] = SKIN
    image[(y > 256 - 22 * bow) & (y < 256 + 24 * bow)] = LIP
    image[(y > 256 - 13 * bow) & (y < 256 + 12 * bow)] = DARK  # both reach beyond where the rims were found
    image[(y > 256 - 13 * bow) & (y < 256 - 3 * bow) & (np.abs(x - 256) < 20)] = TEETH
    clean = clean_lips(image, face)
    left, up = window(face[list(top.LIP_INNER)], place("lips", 512))
    lips = clean[256 - 16 - up : 256 + 16 - up, 250 - left : 262 - left]
    assert np.abs(lips - LIP).max() < 12, "nothing but lip between lip and lip"
    away = clean[256 + 26 - up, 256 - left] @ LUMA
    assert away == pytest.approx(np.array(SKIN) @ LUMA), "and the skin is left alone"
