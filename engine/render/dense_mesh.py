"""The face mesh made four times as dense, so that no edge of a triangle shows: interpolating subdivision (butterfly).

The mesh's own vertices stay where they are; each edge gets a vertex in its middle, a fixed combination of up to eight
vertices around it. Open borders (lips, lids, the oval) are subdivided as curves of four points, the lips' rim twice.
Places and texture coordinates use the same combinations, so the portrait's own pose stays exact.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.morphable_model import face_model
from kernels.cpu.subdivision import combine, thicken

WING = 1 / 16  # the butterfly's outer weights
MOST_BEND = 0.15  # of an edge's length that its middle may leave the straight line, on the mean face
CURVE = {0.25: (-0.0703125, 0.8671875, 0.2265625, -0.0234375), 0.5: (-0.0625, 0.5625, 0.5625, -0.0625)}  # Catmull-Rom
Row = dict[int, float]
Edge = tuple[int, int]


class DenseMesh:
    """Extra vertices as combinations of given ones, and the triangles that they cut.

    ``skin`` [t, 3] names vertices of the face, ``sheet`` [s, 3] what hangs on ``copies`` of the face's oval; extra
    vertices are numbered from ``first``.
    """

    def __init__(self, skin: np.ndarray, sheet: np.ndarray, copies: np.ndarray, first: int) -> None:
        self._first = first
        self._rows: list[Row] = []
        known, border = _middles_of(skin.astype(np.int64).tobytes())
        middles = {edge: self._add(row) for edge, row in known.items()}
        cut = _quarter(skin, middles)
        self.lip_path, quarters = self._lip_path(middles, border)
        self.skin = _halve(cut, quarters)  # [t, 3]
        copy_of = dict(zip(top.OVAL, copies.tolist(), strict=True))
        hanging: dict[Edge, int] = {}
        for a, b in zip(top.OVAL, (*top.OVAL[1:], top.OVAL[0]), strict=True):
            row = self._rows[middles[_edge(a, b)] - first]  # in the same order, so that both round alike
            hanging[_edge(copy_of[a], copy_of[b])] = self._add({copy_of[v]: weight for v, weight in row.items()})
        self.sheet = _halve(_halve(sheet, hanging), hanging)  # [s, 3]; a triangle may fill a corner of the oval
        self.count = len(self._rows)
        wide = max(len(row) for row in self._rows)
        self._which = np.zeros((self.count, wide), np.int64)
        self._weights = np.zeros((self.count, wide), np.float32)
        for i, row in enumerate(self._rows):
            self._which[i, : len(row)], self._weights[i, : len(row)] = list(row), list(row.values())

    def __call__(self, values: FloatArray) -> FloatArray:
        """The extra vertices' values [n, D] out of the given ones' [first, D]."""
        out = np.empty((self.count, values.shape[1]), np.float32)
        combine(self._which, self._weights, np.ascontiguousarray(values, np.float32), out)
        return out

    def thicken(self, vertices: FloatArray, maps: FloatArray) -> None:
        """The extra vertices' own rows of ``vertices`` [V, 3] and ``maps`` [V, C], in place."""
        thicken(self._which, self._weights, self._first, vertices, maps)

    @property
    def combinations(self) -> tuple[np.ndarray, FloatArray]:
        """Which given vertices each extra one is made of [n, k], and their weights [n, k]."""
        return self._which, self._weights

    def patch(self) -> np.ndarray:
        """Triangles [t, 3] that fill the opening between the lips' rims."""
        path, out = self.lip_path, []
        for k in range(len(path) // 2):
            a, b, c, d = path[k], path[k + 1], path[-k - 1], path[-k]
            out += [[a, b, c], [a, c, d]]
        return np.array([t for t in out if len(set(t)) == 3], np.int32)

    def _add(self, row: Row) -> int:
        self._rows.append(row)
        return self._first + len(self._rows) - 1

    def _lip_path(self, middles: dict[Edge, int], border: dict[int, list[int]]) -> tuple[list[int], dict[Edge, int]]:
        """The inner rim as a closed path of vertices, and the vertices that cut its halved edges once more."""
        path, cuts, ring = [], {}, top.LIP_INNER
        for a, b in zip(ring, (*ring[1:], ring[0]), strict=True):
            middle = middles[_edge(a, b)]
            early, late = self._add(_on_border((a, b), border, 0.25)), self._add(_on_border((b, a), border, 0.25))
            cuts[_edge(a, middle)], cuts[_edge(middle, b)] = early, late
            path += [a, early, middle, late]
        return path, cuts


@lru_cache(2)  # every portrait has the same skin, and this is most of the work of a new one
def _middles_of(skin: bytes) -> tuple[dict[Edge, Row], dict[int, list[int]]]:
    """What the middle of each edge of ``skin`` (int64 [t, 3], as bytes) is made of; and a border's neighbours on it."""
    opposite: dict[Edge, list[int]] = defaultdict(list)
    for a, b, c in np.frombuffer(skin, np.int64).reshape(-1, 3).tolist():
        for edge, corner in (((a, b), c), ((b, c), a), ((c, a), b)):
            opposite[_edge(*edge)].append(corner)
    border: dict[int, list[int]] = defaultdict(list)
    for (a, b), corners in opposite.items():
        if len(corners) == 1:
            border[a].append(b)
            border[b].append(a)
    rows = {
        edge: _butterfly(edge, opposite) if len(corners) == 2 else _on_border(edge, border, 0.5)
        for edge, corners in opposite.items()
    }
    return rows, border


def _edge(a: int, b: int) -> Edge:
    return (a, b) if a < b else (b, a)


def _butterfly(edge: Edge, opposite: dict[Edge, list[int]]) -> Row:
    """The middle of an edge between two triangles; a missing outer triangle is replaced by a parallelogram."""
    a, b = edge
    bend: Row = defaultdict(float)
    for c in opposite[edge]:
        bend[c] += 2 * WING
        for near, far in ((a, b), (b, a)):
            outer = [v for v in opposite[_edge(near, c)] if v != far]
            if outer:
                bend[outer[0]] -= WING
            else:
                bend[near] -= WING
                bend[c] -= WING
                bend[far] += WING
    # Where triangles of very unlike size meet, as in the lips' corners, the full bend would fold them.
    model = face_model().neutral
    off = np.linalg.norm(sum(weight * model[v] for v, weight in bend.items()))
    share = min(1.0, MOST_BEND * float(np.linalg.norm(model[a] - model[b])) / max(float(off), 1e-6))
    row: Row = defaultdict(float, {v: share * weight for v, weight in bend.items()})
    row[a] += 0.5
    row[b] += 0.5
    return dict(row)


def _on_border(edge: Edge, border: dict[int, list[int]], at: float) -> Row:
    """A point ``at`` the way from the edge's first to its second vertex, on a curve along the border."""
    a, b = edge
    before = next((v for v in border[a] if v != b), a)
    after = next((v for v in border[b] if v != a), b)
    row: Row = defaultdict(float)
    for vertex, weight in zip((before, a, b, after), CURVE[at], strict=True):
        row[vertex] += weight
    return dict(row)


def _quarter(triangles: np.ndarray, middles: dict[Edge, int]) -> np.ndarray:
    """Each triangle as four."""
    out = []
    for a, b, c in triangles.tolist():
        ab, bc, ca = middles[_edge(a, b)], middles[_edge(b, c)], middles[_edge(c, a)]
        out += [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
    return np.array(out, triangles.dtype)


def _halve(triangles: np.ndarray, middles: dict[Edge, int]) -> np.ndarray:
    """Triangles with an edge among ``middles`` as two; they have one at most."""
    if not len(triangles):
        return triangles
    ends = np.array(list(middles), np.int64)
    most = max(int(triangles.max()), int(ends.max())) + 1
    following = np.roll(triangles, -1, axis=1).astype(np.int64)
    edges = np.minimum(triangles, following) * most + np.maximum(triangles, following)
    touched = np.isin(edges, ends[:, 0] * most + ends[:, 1]).any(1)
    out = np.repeat(triangles, 1 + touched, axis=0)
    at = np.flatnonzero(touched)
    for place, corners in zip(at + np.arange(len(at)), triangles[at].tolist(), strict=True):
        for a, b, c in (corners, corners[1:] + corners[:1], corners[2:] + corners[:2]):
            middle = middles.get(_edge(a, b))
            if middle is not None:
                out[place], out[place + 1] = (a, middle, c), (middle, b, c)
                break
    return out
