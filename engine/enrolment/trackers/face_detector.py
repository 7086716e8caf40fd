"""Where faces are: two BlazeFace networks, for near and for distant faces, and what to make of their answers.

A network answers for each of its anchors, places on a grid: how sure it is of a face there, its box, and six points
of it. Overlapping answers become one, each counting as much as it is sure. The weights are mediapipe's; the anchors,
the averaging and the order follow its graph, so that boxes and scores are its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.trackers.region import Region
from engine.enrolment.trackers.tracker_session import tracker

SAME_FACE = 0.3  # shared over joint area from which two boxes are one face
POINTS = 6  # eyes (the person's right first), nose, mouth, ears


@dataclass(frozen=True)
class Eyeshot:
    """One of the networks: its file, its picture's side, and its grids as (cells a side, anchors a cell)."""

    name: str
    side: int
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> FloatArray:
        """Their places [A, 2], in shares of the picture."""
        out = []
        for cells, each in self.grids:
            line = (np.arange(cells, dtype=np.float32) + 0.5) / cells
            places = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
            out.append(np.repeat(places, each, axis=0))
        return np.concatenate(out)


NEAR = Eyeshot("face_near", 128, ((16, 2), (8, 6)))
FAR = Eyeshot("face_far", 192, ((48, 1),))


@dataclass(frozen=True)
class Detection:
    """A face seen, in pixels counted from the picture's corner."""

    score: float
    box: Region  # not turned
    points: FloatArray  # [6, 2]


def detect(rgb: ByteArray, sight: Eyeshot, least: float) -> list[Detection]:
    """Faces in ``rgb`` [H, W, 3] of which the network is at least so sure, the surest first."""
    frame = Region.whole(rgb).squared()
    rows, scores = tracker(sight.name).run(None, {"picture": frame.cut(rgb, sight.side, repeat=False)})
    sure = 1 / (1 + np.exp(-scores[:, 0].clip(-80, 80)))
    keep = sure >= least
    places = rows[keep].reshape(-1, 2 + POINTS, 2) / sight.side
    anchors = sight.anchors()[keep]
    middle, size = places[:, 0] + anchors, places[:, 1]
    points = places[:, 2:] + anchors[:, None]
    found = np.concatenate([middle - size / 2, middle + size / 2, points.reshape(-1, 2 * POINTS)], axis=1)  # [n, 16]
    right = (size >= 0).all(1)
    out = []
    for score, row in _merged(sure[keep][right], found[right]):
        place = frame.outside(row.reshape(-1, 2))
        (left, top), (far, low) = place[:2].astype(float)
        box = Region((left + far) / 2, (top + low) / 2, far - left, low - top)
        out.append(Detection(score, box, place[2:]))
    return out


def _merged(sure: FloatArray, found: FloatArray) -> list[tuple[float, FloatArray]]:
    """Answers [n, 16], each a box and points, with those of one face averaged; each with its surest one's score."""
    order = np.argsort(-sure, kind="stable")
    out = []
    while len(order):
        same = _overlaps(found[order], found[order[0]]) > SAME_FACE
        same[0] = True
        alike = order[same]
        weight = sure[alike][:, None]
        out.append((float(sure[order[0]]), (found[alike] * weight).sum(0) / weight.sum()))
        order = order[~same]
    return out


def _overlaps(boxes: FloatArray, one: FloatArray) -> FloatArray:
    """Shared over joint area of each of ``boxes`` [n, >= 4] with ``one``; corners low and high."""
    shared = np.prod(np.maximum(np.minimum(boxes[:, 2:4], one[2:4]) - np.maximum(boxes[:, :2], one[:2]), 0), axis=1)
    areas = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)
    return np.asarray(shared / np.maximum(areas + np.prod(one[2:4] - one[:2]) - shared, 1e-12))
