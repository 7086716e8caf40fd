"""Looks that hold where a voice leads: near the film's frames, and skin of one colour."""

from __future__ import annotations

import numpy as np
import pytest

from engine.enrolment.footage.looks.even_skin import steadied
from engine.enrolment.footage.looks.film_places import film_places
from engine.render.remembered.canvases import canvas, cells, inside

pytestmark = pytest.mark.cpu


def test_places_stand_for_the_film_and_for_rest() -> None:
    z = np.random.default_rng(0).normal(2, 1, (200, 5)).astype(np.float32)
    places, (near, beside) = film_places(z)
    assert not places[0].any()
    assert 20 < len(places) <= 49
    assert all((z == place).all(1).any() for place in places[1:])
    assert 0 < near < beside * 2 < 8
    assert not len(film_places(z[:12])[0]), "too short a film"


def test_light_that_wandered_with_the_lips_does_not_come_and_go_with_them() -> None:
    rng = np.random.default_rng(1)
    lips = rng.normal(0, 1, 300)
    phi = np.column_stack([np.ones(300), lips, 0.1 * rng.normal(size=(300, 8))])  # a constant, one axis, two turns, six
    on, shape = cells("mouth")[0], canvas("mouth").shape
    stripes = np.broadcast_to(np.arange(shape[1]) // 2 % 2 * 2 - 1, shape).reshape(-1)[on]
    over = (5 + 8 * lips[:, None] + 8 * lips[:, None] * stripes)[..., None].repeat(3, 2).astype(np.float32)
    onto = np.linalg.solve(phi.T @ phi, phi.T).astype(np.float32)
    layers = (onto @ over.reshape(300, -1)).reshape(10, -1, 3)
    steady = layers + steadied("mouth", phi, onto, over)
    skin = np.zeros(shape, bool)
    skin[60:75, 30:66] = True
    skin = skin.reshape(-1)[on]
    assert abs(layers[1, skin].mean()) > 7
    assert abs(steady[1, skin].mean()) < 2.5
    assert np.abs(steady[1, skin]).mean() > 6, "what is fine stays the lips'"
    assert abs(steady[0, skin].mean() - 5) < 1
    teeth = inside("mouth").reshape(-1)[on] > 0.99
    assert np.abs(steady[:, teeth] - layers[:, teeth]).mean() < 0.2, "what is between lips comes and goes with them"
