"""The rubber sheet around the face: hair, ears, neck, torso and background as a mesh that hangs on the face's oval.

Built once at enrolment. What moves how much was found by trial: the head's turn fades down the neck and
away from the person's outline, so hair follows, shoulders stay and a distant background stands still; the face's
expression fades with distance from the oval; depth grows behind the chin, so that it hides the neck when it drops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.imaging.shapes import inside
from engine.imaging.smoothing import distance_from, grow

STEP = 9 / 512  # mesh spacing as a share of the portrait's side
MARGIN = 1 / 16  # how far the sheet reaches over the portrait's edge
OVAL = np.array(top.OVAL)


@dataclass(frozen=True)
class Surround:
    """See the fields ``around*`` of `engine.face.avatar.Avatar`."""

    points: FloatArray  # [G, 3]
    triangles: np.ndarray  # [T, 3] int32
    head: FloatArray  # [G]
    skin: FloatArray  # [G]
    near: np.ndarray  # [G, 6] int32
    share: FloatArray  # [G, 6]
    pivot: FloatArray  # [3]


def smoothstep(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def build_surround(face: FloatArray, face_area: FloatArray, matte: FloatArray) -> Surround:
    """The sheet for ``face`` [468, 3] in pixels, with its projected area and the person's matte, both [S, S]."""
    from scipy.spatial import cKDTree

    grid = _grid(face_area)
    height = float(np.linalg.norm(face[top.FOREHEAD] - face[top.CHIN]))
    width = float(np.linalg.norm(face[top.EAR_RIGHT] - face[top.EAR_LEFT]))
    distance, nearest = cKDTree(face[OVAL, :2]).query(grid, k=6)
    share = 1 / (distance + 2) ** 2
    share /= share.sum(1, keepdims=True)
    away = distance[:, 0]
    up = (face[top.FOREHEAD] - face[top.CHIN])[:2]
    up /= np.linalg.norm(up)
    from_chin = grid - face[top.CHIN, :2]
    below = from_chin @ -up  # pixels under the chin
    aside = np.abs(from_chin @ np.array([-up[1], up[0]]))

    behind = 0.5 * (face[top.EAR_RIGHT, 2] + face[top.EAR_LEFT, 2]) + 0.05 * width
    under_jaw = smoothstep((below + 0.12 * height) / (0.12 * height)) * smoothstep(1.15 - aside / (0.42 * width))
    slope = (0.45 * (1 - under_jaw) + 0.18 * under_jaw) * width
    edge = (face[OVAL][nearest][:, :, 2] * share).sum(1)
    z = edge + (np.maximum(behind, edge) - edge) * smoothstep(away / slope)

    reach = np.where(below > -0.30 * height, 0.16, 0.22) * width
    pivot = np.array(
        [
            0.5 * (face[top.EAR_RIGHT, 0] + face[top.EAR_LEFT, 0]),
            face[top.CHIN, 1] - 0.02 * height,
            behind + 0.12 * width,
        ]
    )
    return Surround(
        points=np.c_[grid, z].astype(np.float32),
        triangles=_stitch(face, grid),
        head=_head_weight(grid, below, height, width, matte),
        skin=np.exp(-((away / reach) ** 2)).astype(np.float32),
        near=OVAL[nearest].astype(np.int32),
        share=share.astype(np.float32),
        pivot=pivot.astype(np.float32),
    )


def _grid(face_area: FloatArray) -> np.ndarray:
    """Sheet vertices [G, 2]: a square grid over portrait and margin, except on the face."""
    size = face_area.shape[0]
    step, margin = STEP * size, MARGIN * size
    line = np.linspace(-margin, size - 1 + margin, round((size + 2 * margin) / step))
    line[0], line[-1] = line[0] - size / 4, line[-1] + size / 4  # slack: a strong turn uncovers nothing
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    taken = grow(face_area, max(1, size // 114)) > 0
    inside = ((grid >= 0) & (grid <= size - 1)).all(1)
    at = np.clip(grid, 0, size - 1).astype(int)
    return np.asarray(grid[~(inside & taken[at[:, 1], at[:, 0]])])


def _stitch(face: FloatArray, grid: np.ndarray) -> np.ndarray:
    """Triangles between grid and oval [T, 3]; those within the oval are the face's own business."""
    from scipy.spatial import Delaunay

    points = np.vstack([face[OVAL, :2], grid])
    triangles = Delaunay(points).simplices
    x, y = points[triangles].mean(1).T
    outside = ~inside(x, y, face[OVAL, :2])
    names = np.r_[OVAL, top.VERTICES + np.arange(len(grid))]
    return np.ascontiguousarray(names[triangles[outside]].astype(np.int32))


def _head_weight(grid: np.ndarray, below: np.ndarray, height: float, width: float, matte: FloatArray) -> FloatArray:
    size = matte.shape[0]
    neck = 1 - smoothstep((below + 0.02 * height) / (0.50 * height))
    outside = distance_from(matte >= 0.5)
    at = np.clip(grid, 0, size - 1).astype(int)
    beyond = outside[at[:, 1], at[:, 0]]
    follow = np.exp(-((beyond / (0.32 * width)) ** 2))
    # Background at the picture's border stands still, while a person who is cut by it still moves.
    inward = np.minimum(grid, size - 1 - grid).min(1) / (0.09 * size)
    follow *= 1 - (1 - smoothstep(inward)) * smoothstep(beyond / (0.15 * width))
    return np.asarray(neck * follow, np.float32)
