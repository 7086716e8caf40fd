"""Points joined to triangles (Delaunay): no point lies in the circle around another's three corners."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray

NUDGE = 1e-3  # of a pixel: points on one circle, as a grid's are, have no single answer
FAR = 50.0  # sizes of the whole, to the corners of the triangle that everything begins in


def delaunay(points: FloatArray) -> np.ndarray:
    """Triangles [t, 3] over ``points`` [n, 2], all wound alike: the third corner lies on the side of +y of a first edge
    along +x. Meant for a few hundred points, for the work grows with their square.
    """
    count = len(points)
    low, high = points.min(0), points.max(0)
    size, middle = float((high - low).max()) + 1.0, (low + high) / 2
    outer = middle + FAR * size * np.array([[0, 1], [-0.866, -0.5], [0.866, -0.5]])
    nudged = points + NUDGE * np.random.default_rng(0).uniform(-1, 1, points.shape)
    places = np.vstack([nudged, outer]).astype(np.float64)
    triangles = np.array([[count, count + 1, count + 2]])
    circles = _circles(places[triangles])  # [t, 3]: centre, squared radius
    for k in range(count):
        hit = ((circles[:, :2] - places[k]) ** 2).sum(1) < circles[:, 2]
        edges = np.sort(triangles[hit][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        names, seen = np.unique(edges[:, 0] * (count + 3) + edges[:, 1], return_counts=True)
        rim = np.stack(np.divmod(names[seen == 1], count + 3), 1)
        made = np.c_[rim, np.full(len(rim), k)]
        triangles = np.vstack([triangles[~hit], made])
        circles = np.vstack([circles[~hit], _circles(places[made])])
    triangles = triangles[(triangles < count).all(1)]
    a, b, c = (nudged[triangles[:, k]] for k in range(3))
    wrong = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    triangles[wrong] = triangles[wrong][:, [0, 2, 1]]
    return triangles


def _circles(corners: FloatArray) -> FloatArray:
    """Centre and squared radius [t, 3] of the circles through ``corners`` [t, 3, 2]."""
    a = corners[:, 0]
    b, c = corners[:, 1] - a, corners[:, 2] - a
    twice = 2 * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
    bb, cc = (b**2).sum(1), (c**2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (c[:, 1] * bb - b[:, 1] * cc) / twice, (b[:, 0] * cc - c[:, 0] * bb) / twice
    return np.c_[a[:, 0] + x, a[:, 1] + y, x**2 + y**2]
