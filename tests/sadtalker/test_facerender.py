"""The networks that draw."""

from __future__ import annotations

import pytest
import torch

from engine.sadtalker.face3d.coefficient_network import motion_of

pytestmark = pytest.mark.cpu


def test_coefficients_that_move() -> None:
    numbered = torch.arange(257.0)[None]
    moving = motion_of(numbered)[0].tolist()
    assert moving == [*range(80, 144), 224, 225, 226, 254, 255, 256]
