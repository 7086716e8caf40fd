"""The sheet around the face: how its vertices hang on the face's oval."""

from __future__ import annotations

import numpy as np

from engine.face.avatar import Avatar
from engine.face.topology import OVAL
from engine.render.parts.prepared_parts import PreparedSheet


def prepare_sheet(avatar: Avatar) -> PreparedSheet:
    """``avatar``'s sheet, its few shares for each vertex spread out to a matrix."""
    column = {vertex: i for i, vertex in enumerate(OVAL)}
    hang = np.zeros((len(avatar.around), len(OVAL)), np.float32)
    rows = np.arange(len(avatar.around))
    for k in range(avatar.around_near.shape[1]):
        columns = np.array([column.get(int(v), 0) for v in avatar.around_near[:, k]])
        np.add.at(hang, (rows, columns), avatar.around_share[:, k] * avatar.around_skin)
    moved = np.flatnonzero(hang.max(1) > 1e-4)
    return PreparedSheet(avatar.around, avatar.around_head[:, None], moved, np.ascontiguousarray(hang[moved]))
