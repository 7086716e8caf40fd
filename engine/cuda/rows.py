"""From posed scenes to the rows of one batch: what the host hands to the device for a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.cuda.graphs import filled_up
from engine.cuda.stage import VERTICES
from engine.render.projection import Shown
from engine.render.renderer import Posed

CHANNELS = (3, 6)  # of the maps: without a mirrored cheek among the pictures, and with one
NEVER = 2**30  # no triangle has so high a number


class Rows(NamedTuple):
    """R scenes to paint: one for each picture, and a second for those in which the portrait's own expression shows."""

    values: Tensor  # [R, VERTICES, 3 + 3 or 6] places in the picture, and maps; the dense meshes' rows are empty
    scene: Tensor  # [R] int64 rows of the stage
    shown: Tensor  # [R, 4] int32
    second: Tensor  # [R] int64: the row that is painted over this one
    share: Tensor  # [R] float32, by how much


class Job(NamedTuple):
    """One picture to be made."""

    portrait: int  # its number on the stage
    posed: Posed
    whole: Shown  # what is drawn for the portrait's own expression


class Loader:
    """Writes posed scenes into pinned memory and sends them off; two buffers, so that writing waits for no copy."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: dict[tuple[int, int, int], Rows] = {}
        self._gone: list[torch.cuda.Event | None] = [None, None]  # when the last copy out of each was done
        self._turn = 0

    def load(self, jobs: Sequence[Job], least: int = 1, channels: int = CHANNELS[0]) -> Rows:
        """Rows on the device, ``least`` or more: one for each picture, in order, the second ones, then empty ones.

        Their maps have as many channels as some picture needs, ``channels`` at least.
        """
        doubled = [i for i, job in enumerate(jobs) if 0 < job.posed.own < 1]
        size = filled_up(max(len(jobs) + len(doubled), least))
        self._turn ^= 1
        if (gone := self._gone[self._turn]) is not None:
            gone.synchronize()
        rows = self._buffer(size, max([channels, *(job.posed.maps.shape[1] for job in jobs)]))
        rows.shown.zero_()
        torch.arange(size, out=rows.second)
        rows.share.zero_()
        for i, job in enumerate(jobs):
            self._put(rows, i, job, plain=job.posed.own == 1)
        for row, i in enumerate(doubled, start=len(jobs)):
            self._put(rows, row, jobs[i], plain=True)
            rows.second[i], rows.share[i] = row, jobs[i].posed.own
        sent = Rows(*(t.to(self._device, non_blocking=True) for t in rows))
        if self._device.type == "cuda":
            self._gone[self._turn] = gone = torch.cuda.Event()
            gone.record()
        return sent

    def _buffer(self, size: int, channels: int) -> Rows:
        key = size, channels, self._turn
        if key not in self._buffers:
            pinned = self._device.type == "cuda"
            self._buffers[key] = Rows(
                torch.zeros(size, VERTICES, 3 + channels, pin_memory=pinned),
                torch.zeros(size, dtype=torch.int64, pin_memory=pinned),
                torch.zeros(size, 4, dtype=torch.int32, pin_memory=pinned),
                torch.zeros(size, dtype=torch.int64, pin_memory=pinned),
                torch.zeros(size, pin_memory=pinned),
            )
        return self._buffers[key]

    def _put(self, rows: Rows, row: int, job: Job, plain: bool) -> None:
        posed = job.posed
        maps = posed.plain if plain else posed.maps
        values = rows.values[row]
        values[: len(maps), :3] = torch.from_numpy(posed.vertices)
        values[: len(maps), 3 : 3 + maps.shape[1]] = torch.from_numpy(maps)
        values[: len(maps), 3 + maps.shape[1] :] = 0  # nothing is mirrored
        rows.scene[row] = 2 * job.portrait + plain
        rows.shown[row] = torch.tensor(numbers(job.whole if plain else posed.shown), dtype=torch.int32)


def numbers(shown: Shown) -> tuple[int, int, int, int]:
    """``shown`` as `kernels.paint_scenes` takes it."""
    return (shown.before, *(shown.opening or (0, 0)), shown.behind if shown.opening else NEVER)
