"""From motions to the rows of one batch: what the host hands to the device for a frame, in one copy.

How many rows a batch has must be known before anything runs on the device: a picture in which the portrait's own
expression shows by halves is two rows and a mixture. So how much of it shows is worked out here, for all rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.contracts import FloatArray, Motion
from engine.cuda.cuda_graphs import filled_up
from engine.cuda.posing.batched_posing import DRIVEN, PLAIN, Motions
from engine.face.blendshapes import NAMES
from engine.face.topology import LIP_VERTICES
from engine.render.parts.driven_face import own_shares
from engine.render.parts.lip_offsets import MOST
from engine.render.renderer import BOUNDS, check

SIZES = (1, 1, 1, 1, len(NAMES), 3 * len(LIP_VERTICES), 9, 3)
PORTRAIT, KIND, SECOND, OWN, SHAPES, OFFSETS, ROTATION, TRANSLATION = (
    slice(sum(SIZES[:k]), sum(SIZES[: k + 1])) for k in range(len(SIZES))
)
NUMBERS = sum(SIZES)  # of one row


class Rows(NamedTuple):
    """R scenes to paint: one for each picture, and a second for those in which the portrait's own expression shows."""

    places: Tensor  # [R, VERTICES, 3] in the picture; these three as `engine.cuda.posing.batched_posing.Posed`
    maps: Tensor  # [R, VERTICES, 3 or 6]
    shown: Tensor  # [R, 4] int32
    scene: Tensor  # [R] int64 rows of the stage
    second: Tensor  # [R] int64: the row that is painted over this one; itself where there is none
    share: Tensor  # [R] float32, by how much


class Loader:
    """Writes motions into pinned memory and sends them off; two buffers, so that writing waits for no copy."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: dict[tuple[int, int], Tensor] = {}
        self._gone: list[torch.cuda.Event | None] = [None, None]  # when the last copy out of each was done
        self._turn = 0

    def load(self, jobs: Sequence[tuple[int, Motion]], own_lips: FloatArray, least: int = 1) -> Tensor:
        """Rows [R, NUMBERS] on the device, ``least`` or more: one for each picture, in order, second ones, empty ones.

        Jobs are portraits' numbers and motions; ``own_lips`` [P, 52] are the portraits' `DrivenFace.own_lips`.
        """
        rows = laid_out(written(jobs), own_lips, least)
        self._turn ^= 1
        if (gone := self._gone[self._turn]) is not None:
            gone.synchronize()
        buffer = self._buffer(len(rows))
        buffer.numpy()[:] = rows
        sent = buffer.to(self._device, non_blocking=True)
        if self._device.type == "cuda":
            self._gone[self._turn] = gone = torch.cuda.Event()
            gone.record()
        return sent

    def _buffer(self, size: int) -> Tensor:
        key = size, self._turn
        if key not in self._buffers:
            self._buffers[key] = torch.zeros(size, NUMBERS, pin_memory=self._device.type == "cuda")
        return self._buffers[key]


def written(jobs: Sequence[tuple[int, Motion]]) -> FloatArray:
    """Portraits' numbers and motions [R, NUMBERS], finite and within bounds. Raises ValueError for a wrong shape."""
    out = np.zeros((len(jobs), NUMBERS), np.float32)
    for row, (number, motion) in zip(out, jobs, strict=True):
        beta, offsets = motion.blendshapes, motion.lip_offsets
        if beta.shape != (len(NAMES),) or (offsets.size and offsets.shape != (len(LIP_VERTICES), 3)):
            check(motion)  # says what is wrong
        row[PORTRAIT], row[SHAPES] = number, beta
        row[OFFSETS] = offsets.reshape(-1) if offsets.size else 0
        row[ROTATION], row[TRANSLATION] = motion.rotation.reshape(-1), motion.translation
    for columns, (least, most) in ((SHAPES, BOUNDS), (OFFSETS, (-MOST, MOST))):
        out[:, columns] = np.nan_to_num(out[:, columns]).clip(least, most)
    return out


def laid_out(given: FloatArray, own_lips: FloatArray, least: int) -> FloatArray:
    """The batch [R, NUMBERS] that shows the pictures ``given`` [n, NUMBERS]; arguments as of `Loader.load`."""
    own = own_shares(given[:, SHAPES], given[:, OFFSETS], own_lips[given[:, PORTRAIT][:, 0].astype(int)])
    both = np.flatnonzero((own > 0) & (own < 1))
    count, used = len(given), len(given) + len(both)
    out = np.zeros((filled_up(max(used, least)), NUMBERS), np.float32)
    out[:count] = given
    out[:count, OWN], out[:count, KIND] = own[:, None], np.where(own == 1, PLAIN, DRIVEN)[:, None]
    out[count:used] = out[both]
    out[count:used, KIND] = PLAIN
    out[:, SECOND] = np.arange(len(out))[:, None]
    out[both, SECOND] = out[count:used, SECOND]
    return out


def motions(rows: Tensor) -> Motions:
    """What is written in ``rows`` [R, NUMBERS]."""
    return Motions(
        portrait=rows[:, PORTRAIT][:, 0].long(),
        kind=rows[:, KIND][:, 0].long(),
        second=rows[:, SECOND][:, 0].long(),
        own=rows[:, OWN][:, 0],
        blendshapes=rows[:, SHAPES],
        offsets=rows[:, OFFSETS].view(-1, len(LIP_VERTICES), 3),
        rotation=rows[:, ROTATION].view(-1, 3, 3),
        translation=rows[:, TRANSLATION],
    )
