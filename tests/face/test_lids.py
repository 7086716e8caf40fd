"""Eyes that a photo shows half closed open, and close again to what the photo shows."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.lids import both_lids, how_shut, open_eyes
from engine.face.measures import eye_aspect_ratio
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu


def test_opening_undoes_closing(astronaut: Avatar) -> None:
    face = astronaut.reference.copy()
    for lids, amount in zip(both_lids(), (0.3, 0.6), strict=True):
        lids.close(face, amount)
    assert np.abs(face - astronaut.reference).max() > 2
    assert np.abs(open_eyes(face, np.array([0.3, 0.6])) - astronaut.reference).max() < 1e-3


def test_how_far_eyes_are_shut(astronaut: Avatar) -> None:
    face = astronaut.reference.copy()
    assert not how_shut(face).any()
    right, left = both_lids()
    left.close(face, 0.6)
    shut = how_shut(face)
    assert shut[0] == 0
    assert eye_aspect_ratio(open_eyes(face, shut), "left") == pytest.approx(0.31, abs=0.02), "as far as is usual"
    right.close(face, 0.6)
    assert eye_aspect_ratio(open_eyes(face, how_shut(face)), "left") < 0.26, "no further than need be"
    left.close(face, 1.0)
    assert how_shut(face)[1] == 0, "a closed eye shows nothing to go by"


def test_a_drooping_eye_opens_and_the_photo_comes_back(astronaut: Avatar) -> None:
    from engine.enrolment.enroll import enroll_picture

    lids = [INDEX["eyeBlinkRight"], INDEX["eyeBlinkLeft"]]
    sleepy = still()
    sleepy.blendshapes[lids] = 0.79
    made, warnings = enroll_picture(Renderer(astronaut).render(sleepy), 256, {})
    assert any("half closed" in warning for warning in warnings)
    assert (made.shut > 0.1).all()
    renderer = Renderer(made, 256)
    own = still()
    own.blendshapes[:] = renderer.own_expression
    assert own.blendshapes[lids] == pytest.approx(made.shut)
    change = np.abs(renderer.render(own).astype(int) - made.portrait)
    assert np.square(change).mean() < 0.02, "exact to 65 dB"
    rest = renderer.driven_mesh(still())
    for side in ("right", "left"):
        assert eye_aspect_ratio(rest, side) > 1.1 * eye_aspect_ratio(made.reference, side)
