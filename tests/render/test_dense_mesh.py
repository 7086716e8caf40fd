"""The dense mesh: nothing moves that was there, nothing tears, and what lies between is smooth."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from engine.evaluation.face_figures import draw, signed_area
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.render.dense_mesh import DenseMesh
from engine.render.projection import skin_triangles
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def dense(renderer: Renderer) -> DenseMesh:
    return renderer.scene.dense


def points_of(renderer: Renderer, flat: np.ndarray) -> np.ndarray:
    """All vertices of skin and sheet [n, 3] for the face's [468, 3]."""
    avatar = renderer.avatar
    base = np.concatenate([flat, avatar.around, flat[list(top.OVAL)]]).astype(np.float32)
    return np.concatenate([base, renderer.scene.dense(base)])


def test_a_plane_stays_a_plane(renderer: Renderer, astronaut: Avatar) -> None:
    flat = astronaut.reference.copy()
    flat[:, 2] = 0.3 * flat[:, 0] - 0.2 * flat[:, 1] + 7
    points = points_of(renderer, flat)[renderer.scene.base :]
    assert np.allclose(points[:, 2], 0.3 * points[:, 0] - 0.2 * points[:, 1] + 7, atol=1e-3)


def test_every_triangle_becomes_four_and_none_tears(dense: DenseMesh) -> None:
    whole = skin_triangles()
    assert len(dense.skin) == 4 * len(whole) + 2 * len(top.LIP_INNER)
    edges = Counter(frozenset((t[k], t[(k + 1) % 3])) for t in dense.skin.tolist() for k in range(3))
    assert max(edges.values()) == 2
    border = {v for edge, n in edges.items() if n == 1 for v in edge}
    rings = (top.LIP_INNER, top.EYE_RIGHT, top.EYE_LEFT, top.OVAL)
    assert len(border) == 4 * len(rings[0]) + 2 * sum(map(len, rings[1:])), "open only at lips, lids and oval"


def test_the_same_skin_with_the_same_winding(renderer: Renderer, astronaut: Avatar, dense: DenseMesh) -> None:
    def area(points: np.ndarray, triangles: np.ndarray) -> float:
        a, b, c = (points[triangles[:, k], :2] for k in range(3))
        return float(0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).sum())

    points = points_of(renderer, astronaut.neutral)
    assert area(points, dense.skin) == pytest.approx(area(points, skin_triangles()), rel=0.01)


def test_the_sheet_hangs_on_the_dense_oval(renderer: Renderer, astronaut: Avatar, dense: DenseMesh) -> None:
    points = points_of(renderer, astronaut.neutral)
    skin_edges = Counter(frozenset((t[k], t[(k + 1) % 3])) for t in dense.skin.tolist() for k in range(3))
    rims = {v for e, n in skin_edges.items() if n == 1 for v in e} - set(top.LIP_INNER)
    there = {tuple(p) for p in points[np.unique(dense.sheet)]}
    oval = [v for v in rims if tuple(points[v]) in there]
    assert len(oval) >= 2 * len(top.OVAL), "each of its vertices lies, to the last bit, where the sheet has one"


def test_closed_lips_close_all_along_the_dense_rim(renderer: Renderer, astronaut: Avatar, dense: DenseMesh) -> None:
    curve = points_of(renderer, astronaut.neutral)[dense.lip_path]
    assert len(curve) == 80
    assert np.abs(curve[1:40] - curve[:40:-1]).max() < 1e-3, "both sides of the curve coincide"


def test_the_outline_bends_less(renderer: Renderer, astronaut: Avatar, talk) -> None:
    face = renderer._drive(talk(jawOpen=0.4, mouthPucker=0.6).blendshapes)
    points = points_of(renderer, face)
    coarse, fine = face[list(top.LIP_INNER), :2], points[renderer.scene.dense.lip_path, :2]

    def sharpest(ring: np.ndarray) -> float:
        step = np.roll(ring, -1, 0) - ring
        angle = np.arctan2(step[:, 1], step[:, 0])
        return float(np.abs(np.angle(np.exp(1j * (np.roll(angle, -1) - angle)))).max())

    assert sharpest(fine) < 0.6 * sharpest(coarse)


def test_nothing_is_seen_from_behind_and_nothing_gapes(renderer: Renderer, talk) -> None:
    """A turned head with its lips drawn aside folds skin at the outline and the lips' corners."""
    scene = renderer.scene
    number = np.arange(len(scene.triangles))
    surface = number < len(scene.dense.skin) + len(scene.dense.sheet)
    wound = np.where(number < len(scene.dense.skin), -1, 1)  # the sheet comes the other way round
    folded = 0
    for yaw, roll in ((-14, 6), (14, -6), (0, 0)):
        drawn = draw(renderer, talk((yaw, 8, roll), mouthPucker=0.9, mouthSmileLeft=0.6, mouthSmileRight=0.6))
        away = surface & (signed_area(drawn.vertices, drawn.triangles) * wound < 0)
        folded += int(away.sum())
        assert (drawn.which >= 0).all()
        assert not np.isin(drawn.which, np.flatnonzero(away)).any()
    assert folded > 20, "there was something to hide"
