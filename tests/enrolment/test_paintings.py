"""Portraits nobody tuned the default avatar on: old masters, where the evaluation data is beside the checkout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.contracts import Motion
from engine.enrolment.enroll import enroll
from engine.face import topology as top
from engine.face.blendshapes import INDEX, NAMES
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu


@pytest.mark.parametrize("name", ["painting_2.jpg", "painting_5.jpg"])
def test_a_painting_gives_itself_back_and_speaks(shared: Path, name: str) -> None:
    avatar, _ = enroll(shared / "portraits" / name)
    renderer = Renderer(avatar)
    rest = renderer.render(still()).astype(int)
    error = np.mean((rest - avatar.portrait.astype(int)) ** 2)
    assert 10 * np.log10(255**2 / max(float(error), 1e-9)) >= 55
    beta = np.zeros(len(NAMES), np.float32)
    beta[INDEX["jawOpen"]] = 0.4
    motion = Motion(0, beta, np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    change = np.abs(renderer.render(motion).astype(int) - rest).max(-1)
    x, y = avatar.reference[list(top.LIP_INNER), :2].mean(0).astype(int)
    assert change[y : y + 20, x - 10 : x + 10].mean() > 15, "the mouth opens"
    assert change[:100].max() <= 2, "what is far from it stands still"
