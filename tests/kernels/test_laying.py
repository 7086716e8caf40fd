"""Signed pictures summed, and laid on a mesh: every pixel once, bilinear, held to a byte, back sides left out."""

from __future__ import annotations

import numpy as np
import pytest

from engine.render.remembered.recall import Layers
from kernels.cpu.looks.laying import BLACK, GREY, blend, hold, lay_on, lay_on_planes, weigh

pytestmark = pytest.mark.cpu
PLACES = np.array([[1, 1], [8, 1], [8, 8], [1, 8]], np.float32)  # nothing lies at the canvas's corner
NOWHERE = np.zeros((0, 3), np.float32), np.zeros(2, np.float32)
TRIANGLES = np.array([[0, 2, 1], [0, 3, 2]], np.int32)


def framed(picture: np.ndarray) -> np.ndarray:
    """A picture [8, 8, 3 or 4] as a canvas [10, 4, 10] with nothing around it; all of what is painted already stays."""
    out = np.zeros((10, 4, 10), np.float32)
    out[:, 3] = 1
    out[1:9, : picture.shape[2], 1:9] = picture.transpose(0, 2, 1)
    return out


def laid(vertices: np.ndarray, picture: np.ndarray, start: int = 100) -> np.ndarray:
    """A square of two triangles over a grey picture of 64 pixels."""
    out, room = np.full((64, 64, 3), start, np.uint8), np.empty(2 * 64 * 64, np.float32)
    lay_on(vertices.astype(np.float32), TRIANGLES, PLACES, framed(picture), room, out)
    return out


SQUARE = np.array([[4, 4, 0], [11, 4, 0], [11, 11, 0], [4, 11, 0]])


def test_it_is_added_where_the_mesh_lies_and_once() -> None:
    picture = np.random.default_rng(0).normal(0, 20, (8, 8, 3)).astype(np.float32)
    out = laid(SQUARE, picture)
    wanted = np.full((64, 64, 3), 100.0)
    wanted[4:12, 4:12] += picture
    assert np.abs(out - wanted)[4:11, 4:11].max() <= 0.51, "to the nearest grey level, also on the shared edge"
    out[4:12, 4:12] = 100
    assert (out == 100).all(), "and nowhere else"


def looked_at(vertices: np.ndarray, size: int) -> np.ndarray:
    """Where each pixel looks [size, size, 2], no number where no triangle lies: the plain twin of `find_places`."""
    y, x = np.mgrid[:size, :size]
    out = np.full((size, size, 2), np.nan)
    for triangle in TRIANGLES[::-1]:
        (a, b, c), places = vertices[triangle, :2].astype(np.float64), PLACES[triangle]
        area = np.linalg.det([b - a, c - a])
        second = ((x - a[0]) * (c - a)[1] - (c - a)[0] * (y - a[1])) / area
        third = ((b - a)[0] * (y - a[1]) - (x - a[0]) * (b - a)[1]) / area
        shares = np.stack([1 - second - third, second, third], -1)
        within = (shares > -1e-4).all(-1)
        out[within] = (shares @ places)[within]
    return out


@pytest.mark.parametrize("left", [3.0, 55.0, 63.0])  # the last two reach beyond the picture
def test_planes_are_added_to_as_a_plain_loop_does(left: float) -> None:
    rng = np.random.default_rng(1)
    picture = rng.normal(0, 20, (8, 8, 4)).astype(np.float32)
    picture[..., 3] = rng.uniform(0, 1, (8, 8))
    square = np.array([[left, 3.3, 0], [left + 11.2, 4, 0], [left + 9, 15.9, 0], [left - 2, 13, 0]], np.float32)
    before, canvas = rng.integers(0, 256, (96, 64), np.uint8), framed(picture)
    out, room = before.copy(), np.empty(2 * 64 * 64, np.float32)
    lay_on_planes(square, TRIANGLES, PLACES, canvas, room, out)
    places = looked_at(square, 64)
    fours = places.reshape(32, 2, 32, 2, 2).transpose(0, 2, 1, 3, 4).reshape(32, 32, 4, 2)
    some = np.isfinite(fours[..., 0]).sum(2)[..., None]
    halves = np.where(some > 0, np.nansum(fours, 2) / np.maximum(some, 1), np.nan)
    blue, red = before[64:].reshape(2, 32, 32)
    planes = [(before[:64], 0, BLACK, places), (blue, 1, GREY, halves), (red, 2, GREY, halves)]
    for (plane, number, level, at), now in zip(planes, [out[:64], *out[64:].reshape(2, 32, 32)], strict=True):
        wanted = plane.astype(np.float64)
        for y, x in np.argwhere(np.isfinite(at[..., 0])):
            (i, j), (p, q) = at[y, x].astype(int), at[y, x] % 1
            shares = np.outer([1 - q, q], [1 - p, p])
            value, kept = ((canvas[j : j + 2, k, i : i + 2] * shares).sum() for k in (number, 3))
            wanted[y, x] = np.clip(level + kept * (plane[y, x] - level) + value, 0, 255)
        assert np.isfinite(at[..., 0]).any()
        assert np.abs(now - wanted).max() <= 0.51


def test_it_is_held_to_bytes_and_seen_from_the_front_alone() -> None:
    assert laid(SQUARE, np.full((8, 8, 3), 900, np.float32)).max() == 255
    assert laid(SQUARE, np.full((8, 8, 3), -900, np.float32)).min() == 0
    assert (laid(SQUARE[::-1], np.full((8, 8, 3), 50, np.float32)) == 100).all()
    assert (laid(SQUARE - 200, np.full((8, 8, 3), 50, np.float32)) == 100).all(), "beyond the picture nothing happens"


def test_a_mesh_leaves_no_pixel_between_its_triangles() -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:8, 0:8]
    grid = np.stack([x, y, 0 * x], -1).reshape(-1, 3) * 30.0 + 20
    grid[:, :2] += rng.uniform(-12, 12, (64, 2))
    first = (np.arange(7)[:, None] * 8 + np.arange(7)).reshape(-1)
    triangles = np.concatenate([np.stack([first, first + 9, first + 1], 1), np.stack([first, first + 8, first + 9], 1)])
    out, room = np.zeros((256, 256, 3), np.uint8), np.empty(2 * 256 * 256, np.float32)
    places = np.ones((64, 2), np.float32)
    flat = np.broadcast_to(np.array([[50], [50], [50], [1]], np.float32), (4, 4, 4)).copy()
    lay_on(grid.astype(np.float32), triangles.astype(np.int32), places, flat, room, out)
    inner = out[60:210, 60:210]
    assert (inner == 50).all(), "nothing left out, nothing added twice"


def test_layers_are_summed_by_their_weights_within_limits_over_what_is_left() -> None:
    rng = np.random.default_rng(0)
    layers = rng.integers(-128, 128, (9, 5, 6, 3)).astype(np.int8)
    layers[2, 1] = 0
    called = np.array([0.5, 0, -0.2, 0.1, 0.05, 0.2, -0.1, 0.04, 0.03], np.float32)  # one sum of four, and four more
    spans = np.array([[0, 6], [1, 5], [2, 2], [0, 6], [3, 6]], np.int32)
    fade, inside = rng.uniform(0, 1, (2, 5, 6)).astype(np.float32)
    under, steps = np.array([90, 40, 30], np.float32), np.full(9, 0.5, np.float32)
    picture = np.full((5, 4, 6), 7, np.float32)
    limits, colours = (40.0, 15.0, 60.0, 25.0), np.eye(3, dtype=np.float32)
    packed = Layers.packed(layers, spans)
    assert packed.blank[1, 2]
    assert len(packed.numbers) == 9 * 3 * (6 + 4 + 0 + 6 + 3)
    blend(called, steps, *packed, spans, fade, limits, np.float32(0.8), inside, under, colours, picture)
    hidden = 0.8 * inside
    wanted = np.tensordot(0.5 * called, layers.astype(np.float32), 1)
    light = (wanted @ np.array([0.299, 0.587, 0.114]))[..., None]
    most, off = 40 + 20 * hidden[..., None], 15 + 10 * hidden[..., None]
    added = (np.clip(light, -most, most) + np.clip(wanted - light, -off, off)) * fade[..., None]
    wanted = np.concatenate([added + hidden[..., None] * under, 1 - hidden[..., None]], -1)
    inside = (np.arange(6) >= spans[:, :1]) & (np.arange(6) < spans[:, 1:])
    picture = picture.transpose(0, 2, 1)
    assert np.allclose(picture[inside], wanted[inside], atol=1e-3)
    assert (picture[~inside] == 7).all(), "beyond its span a row is left alone"
    out = laid(SQUARE, np.broadcast_to(np.array([20, 0, 0, 0.25], np.float32), (8, 8, 4)).copy())
    assert (out[6, 6] == [45, 25, 25]).all(), "a fourth of what was painted, and what is added"


def test_features_call_for_layers_and_for_single_frames_until_they_are_too_far_away() -> None:
    axes = np.eye(3, dtype=np.float32)
    low, high = np.full(3, -2, np.float32), np.full(3, 2, np.float32)
    raw = np.array([[0, 0, 0], [1, -1, 0.5], [9, 9, 9], [-1.6, 2, 0]], np.float32)
    out = np.empty((4, 1 + 3 + 3 + 2), np.float32)
    onto = np.concatenate([np.zeros((1, 3)), 5 * np.eye(3), np.zeros((3, 3))]).astype(np.float32)
    seen = np.array([[5, -5, 2], [6, 1, 0]], np.float32)  # the first is the second row's, the other nobody's
    weigh(raw, axes, low, high, 2.0, 2, 2.0, 3.0, *NOWHERE, onto, seen, 0.03, out)
    assert (out[0] == 0).all(), "nothing at rest"
    assert np.allclose(out[1, :7], [1 - np.exp(-2 * 2.25), 1, -1, 0.5, 1, -1, 1])
    assert np.allclose(out[1, 7:], [out[1, 0], 0]), "what it saw itself"
    assert (out[2] == 0).all(), "nor where the film never went"
    assert out[3, 0] > 0.9
    assert out[3, 7:].max() < 1e-4, "no detail of a frame that shows something else"


def test_what_moves_otherwise_than_the_film_comes_back_to_where_the_film_was() -> None:
    places = np.array([[0, 0], [3, 0], [3, 3]], np.float32)
    beside = np.array([0.5, 1.0], np.float32)
    for given, wanted in (([3, 0.5], [3, 0.5]), ([3, -4], [3, -1]), ([0, 0], [0, 0])):
        z = np.array(given, np.float32)
        hold(z, places, beside, np.float32(1))
        assert np.allclose(z, wanted, atol=0.05)
    z = np.array([3, -4], np.float32)
    hold(z, places, beside, np.float32(0))
    assert (z == [3, -4]).all(), "not before anything moves"
