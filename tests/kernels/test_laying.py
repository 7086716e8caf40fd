"""Signed pictures summed, and laid on a mesh: every pixel once, bilinear, held to a byte, back sides left out."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cpu.laying import blend, lay_on, weigh

pytestmark = pytest.mark.cpu


def laid(vertices: np.ndarray, picture: np.ndarray, start: int = 100) -> np.ndarray:
    """A square of two triangles over a grey picture of 20 pixels."""
    places = np.array([[0, 0], [7, 0], [7, 7], [0, 7]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    out = np.full((20, 20, 3), start, np.uint8)
    if picture.shape[2] == 3:  # all of what is painted already stays
        picture = np.concatenate([picture, np.ones_like(picture[..., :1])], -1)
    rows, stamps = np.ascontiguousarray(picture.transpose(0, 2, 1)), np.zeros((20, 20), np.uint8)
    view = out.transpose(2, 0, 1)
    lay_on(vertices.astype(np.float32), triangles, places, rows, 0, np.float32(0), stamps, 1, view)
    return out


SQUARE = np.array([[4, 4, 0], [11, 4, 0], [11, 11, 0], [4, 11, 0]])


def test_it_is_added_where_the_mesh_lies_and_once() -> None:
    picture = np.random.default_rng(0).normal(0, 20, (8, 8, 3)).astype(np.float32)
    out = laid(SQUARE, picture)
    wanted = np.full((20, 20, 3), 100.0)
    wanted[4:12, 4:12] += picture
    assert np.abs(out - wanted)[4:11, 4:11].max() <= 0.51, "to the nearest grey level, also on the shared edge"
    out[4:12, 4:12] = 100
    assert (out == 100).all(), "and nowhere else"


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
    out = np.zeros((256, 256, 3), np.uint8)
    places = np.zeros((64, 2), np.float32)
    flat = np.broadcast_to(np.array([[50], [50], [50], [1]], np.float32), (4, 4, 4)).copy()
    stamps, view = np.zeros((256, 256), np.uint8), out.transpose(2, 0, 1)
    lay_on(grid.astype(np.float32), triangles.astype(np.int32), places, flat, 0, np.float32(0), stamps, 1, view)
    inner = out[60:210, 60:210]
    assert (inner == 50).all(), "nothing left out, nothing added twice"


def test_layers_are_summed_by_their_weights_within_limits_over_what_is_left() -> None:
    rng = np.random.default_rng(0)
    layers = rng.integers(-128, 128, (5, 4, 3 * 6)).astype(np.int8)
    layers[1, 2] = 0
    weights, blank = np.array([0.5, 0, -0.2, 0.1], np.float32), ~layers.any(2)
    spans = np.array([[0, 6], [1, 5], [2, 2], [0, 6], [3, 6]], np.int32)
    fade, hidden = rng.uniform(0, 1, (2, 5, 6)).astype(np.float32)
    under = np.array([90, 40, 30], np.float32)
    picture = np.full((5, 4, 6), 7, np.float32)
    blend(
        weights,
        layers,
        blank,
        spans,
        fade,
        (40.0, 15.0, 60.0, 25.0),
        hidden,
        under,
        np.eye(3, dtype=np.float32),
        picture,
    )
    wanted = np.einsum("m,hmx->hx", weights, layers.astype(np.float32)).reshape(5, 3, 6).transpose(0, 2, 1)
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
    weigh(raw, axes, low, high, 2.0, 2, 2.0, 3.0, onto, seen, 0.03, out)
    assert (out[0] == 0).all(), "nothing at rest"
    assert np.allclose(out[1, :7], [1 - np.exp(-2 * 2.25), 1, -1, 0.5, 1, -1, 1])
    assert np.allclose(out[1, 7:], [out[1, 0], 0]), "what it saw itself"
    assert (out[2] == 0).all(), "nor where the film never went"
    assert out[3, 0] > 0.9
    assert out[3, 7:].max() < 1e-4, "no detail of a frame that shows something else"
