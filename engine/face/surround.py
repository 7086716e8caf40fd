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
from engine.imaging.neighbours import distance_to
from engine.imaging.shapes import inside
from engine.imaging.smoothing import grow
from engine.imaging.triangulation import delaunay

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
    # Asked some thirty times a frame, mostly for one number: numpy's clip takes longer than all the rest.
    x = min(max(x, 0.0), 1.0) if isinstance(x, float) else np.minimum(np.maximum(x, 0), 1)
    return np.asarray(x * x * (3 - 2 * x))


def build_surround(face: FloatArray, face_area: FloatArray, matte: FloatArray) -> Surround:
    """The sheet for ``face`` [468, 3] in pixels, with its projected area and the person's matte, both [S, S]."""
    line, number, grid = _grid(face_area)
    height = float(np.linalg.norm(face[top.FOREHEAD] - face[top.CHIN]))
    width = float(np.linalg.norm(face[top.EAR_RIGHT] - face[top.EAR_LEFT]))
    apart = np.linalg.norm(grid[:, None] - face[OVAL, :2], axis=2)
    nearest = np.argsort(apart, axis=1)[:, :6]
    distance = np.take_along_axis(apart, nearest, axis=1)
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
        triangles=_stitch(face, line, number, grid),
        head=_head_weight(grid, below, height, width, matte),
        skin=np.exp(-((away / reach) ** 2)).astype(np.float32),
        near=OVAL[nearest].astype(np.int32),
        share=share.astype(np.float32),
        pivot=pivot.astype(np.float32),
    )


def _grid(face_area: FloatArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sheet vertices [G, 2]: a grid over portrait and margin, except on the face.

    Before them the line [n] whose places it crosses itself at, and each crossing's number [n, n], -1 on the face.
    """
    size = face_area.shape[0]
    step, margin = STEP * size, MARGIN * size
    line = np.linspace(-margin, size - 1 + margin, round((size + 2 * margin) / step))
    line[0], line[-1] = line[0] - size / 4, line[-1] + size / 4  # slack: a strong turn uncovers nothing
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    taken = grow(face_area, max(1, size // 114)) > 0
    within = ((grid >= 0) & (grid <= size - 1)).all(1)
    at = np.clip(grid, 0, size - 1).astype(int)
    kept = ~(within & taken[at[:, 1], at[:, 0]])
    number = np.where(kept, np.cumsum(kept) - 1, -1).reshape(len(line), len(line))
    return line, number, grid[kept]


def _stitch(face: FloatArray, line: np.ndarray, number: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Triangles between grid and oval [T, 3]; those within the oval are the face's own business.

    A cell of the grid that is whole and keeps clear of the oval is two triangles; only what is left between these cells
    and the oval must be triangulated.
    """
    oval = face[OVAL, :2]
    cells = np.stack([number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], -1)  # [n - 1, n - 1, 4]
    middle, half = (line[1:] + line[:-1]) / 2, (line[1:] - line[:-1]) / 2
    centre, reach = np.stack(np.meshgrid(middle, middle), -1), np.hypot(half, half[:, None])
    clear = np.linalg.norm(centre[:, :, None] - oval, axis=-1).min(-1) > reach
    whole = (cells >= 0).all(-1) & clear
    squares = cells[whole]
    around = np.unique(cells[grow(~whole, 1)])
    around = around[around >= 0]
    joined = delaunay(np.vstack([oval, grid[around]]))
    names = np.r_[np.arange(len(OVAL)), len(OVAL) + around]
    points = np.vstack([oval, grid])
    between = names[joined]
    x, y = points[between].mean(1).T
    column, row = (np.clip(np.searchsorted(line, v) - 1, 0, len(line) - 2) for v in (x, y))
    between = between[~whole[row, column]]
    triangles = np.vstack([len(OVAL) + squares[:, [0, 1, 2]], len(OVAL) + squares[:, [0, 2, 3]], between])
    x, y = points[triangles].mean(1).T
    names = np.r_[OVAL, top.VERTICES + np.arange(len(grid))]
    return np.ascontiguousarray(names[triangles[~inside(x, y, oval)]].astype(np.int32))


def _head_weight(grid: np.ndarray, below: np.ndarray, height: float, width: float, matte: FloatArray) -> FloatArray:
    size = matte.shape[0]
    neck = 1 - smoothstep((below + 0.02 * height) / (0.50 * height))
    beyond = distance_to(matte >= 0.5, np.clip(grid, 0, size - 1))
    follow = np.exp(-((beyond / (0.32 * width)) ** 2))
    # Background at the picture's border stands still, while a person who is cut by it still moves.
    inward = np.minimum(grid, size - 1 - grid).min(1) / (0.09 * size)
    follow *= 1 - (1 - smoothstep(inward)) * smoothstep(beyond / (0.15 * width))
    return np.asarray(neck * follow, np.float32)
