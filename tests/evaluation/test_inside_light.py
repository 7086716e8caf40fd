"""How light a mouth's inside is: over open lips alone, and the brightest tenth of it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.inside_light import inside_light
from engine.face import topology as top

pytestmark = pytest.mark.cpu


def face(gap: float) -> np.ndarray:
    """Landmarks whose inner lips are a box of 60 by ``gap`` pixels, the eyes 100 apart."""
    out = np.zeros((top.LANDMARKS, 3), np.float32)
    out[top.OUTER_CORNER_RIGHT, :2], out[top.OUTER_CORNER_LEFT, :2] = (50, 40), (150, 40)
    for row, y in ((top.LIP_INNER_UPPER, 120 - gap / 2), (top.LIP_INNER_LOWER, 120 + gap / 2)):
        out[list(row), 0], out[list(row), 1] = np.linspace(70, 130, len(row)), y
    for row in (top.LIP_INNER_UPPER, top.LIP_INNER_LOWER):
        out[[row[0], row[-1]], 1] = 120
    return out


def test_only_the_inside_of_open_mouths_counts() -> None:
    picture = np.full((200, 200, 3), 250, np.uint8)  # bright skin around a grey mouth with a white row of teeth
    picture[105:136, 60:141] = 80
    picture[110:113, 60:141] = 200
    lost = np.full_like(face(20), np.nan)
    light = inside_light(np.stack([picture] * 3), np.stack([face(20), face(6), lost]))
    assert light is not None
    assert light.frames == 1
    assert light.tenth == pytest.approx(200, abs=1)
    assert 85 < light.mean < 120
    assert inside_light(picture[None], face(6)[None]) is None, "lips that hardly part show nothing"
