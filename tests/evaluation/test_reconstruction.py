"""A film made again from one of its frames: networks that know nothing change nothing, and figures tell likeness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import VivifyError
from engine.evaluation.reconstruction import KEPT, reconstruct
from engine.render.learned.picture_generator import LearnedHalf

pytestmark = pytest.mark.cpu


def test_untrained_networks_leave_geometry_as_it_is(shared: Path) -> None:
    made = reconstruct(shared / "video" / "grid" / "lwbsza.mpg", LearnedHalf().eval(), 0.4, 1.0)
    assert made.truth.shape == made.geometry.shape == (25, 256, 256, 3)
    assert np.abs(made.learned.astype(int) - made.geometry).max() <= 1
    figures = made.figures()
    assert set(figures["learned"]) == set(KEPT)
    assert figures["geometry"]["ssim"] > 0.8
    assert figures["geometry"]["psnr"] > 28
    assert figures["geometry"]["lip_distance"] < 0.03
    light = made.inside()
    assert light
    assert light["truth"].frames > 3
    for way in ("geometry", "learned"):
        assert 0.75 < light[way].tenth / light["truth"].tenth < 1.3
        assert 0.75 < light[way].mean / light["truth"].mean < 1.3


def test_a_part_beyond_the_film_is_told(shared: Path) -> None:
    with pytest.raises(VivifyError, match="begin earlier"):
        reconstruct(shared / "video" / "grid" / "lwbsza.mpg", LearnedHalf().eval(), 9.0, 1.0)
