"""The eyes of a batch: what `engine.render.parts.eyes` does for one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from engine.cuda.posing.coefficients import Read, smoothstep
from engine.cuda.posing.portrait_table import LID, Known
from engine.face import topology as top
from engine.face.eye_panels import DISC
from engine.render.parts.eyes import BARE, FREED, UNFOLDS


class Looking(NamedTuple):
    """Both eyes of R rows."""

    points: Tensor  # [R, 182, 3] before the head turns
    irises: Tensor  # [R, 2, 29, 2] what the irises' vertices sample
    closing: Tensor  # [R, 2] how far the lids are closed beyond the portrait's own


class Eyes:
    """Places whites, irises, lashes and lids on driven faces."""

    def __init__(self, device: torch.device) -> None:
        right, left = top.EYE_RIGHT_UPPER, top.EYE_LEFT_UPPER
        creases = right[0], *top.EYE_RIGHT_RING, right[-1], left[0], *top.EYE_LEFT_RING, left[-1]
        self._rows = torch.tensor([*right, *left, *creases], device=device)  # both lids' rims, both creases
        self._outward = torch.tensor([-1.0, 1.0], device=device)

    def __call__(self, known: Known, read: Read, face: Tensor) -> Looking:
        """The eyes of driven faces [R, 468, 3]."""
        closing = ((read.blink - known.shut) / (1 - known.shut)).clamp(0, 1)
        irises, texture = self._look(known, read)
        rim, crease = face[:, self._rows].view(-1, 2, 2, LID, 3).unbind(1)
        lashes = self._fringe(known, closing[..., None, None], rim, crease)
        lid = torch.cat([lashes[:, :, -LID:], crease], 2)
        folded = (closing < UNFOLDS)[..., None, None]  # away: nothing is drawn
        lid = torch.where(folded, lid[:, :, :1], lid)
        points = torch.cat([known.whites, irises, lashes, lid], 2).flatten(1, 2)
        return Looking(points, texture, closing)

    def _look(self, known: Known, read: Read) -> tuple[Tensor, Tensor]:
        """Where irises go [R, 2, 29, 3], and what they sample."""
        move = (read.aside * self._outward)[..., None] * known.gaze[:, None, 0]
        move = (move + read.down[..., None] * known.gaze[:, None, 1])[:, :, None]  # [R, 2, 1, 2]
        size = 1 - smoothstep(move.norm(dim=-1, keepdim=True) / FREED) * (1 - BARE / DISC)
        centre = known.irises[:, :, :1, :2]
        texture = centre + size * (known.irises[..., :2] - centre)
        xy, plane = texture + move, known.plane[:, :, None]
        depth = (xy * plane[..., :2]).sum(-1, keepdim=True) + plane[..., 2:]
        return torch.cat([xy, depth], -1), texture

    @staticmethod
    def _fringe(known: Known, closing: Tensor, rim: Tensor, crease: Tensor) -> Tensor:
        """Where lashes go [R, 2, 27, 3] on ``rim`` and ``crease`` [R, 2, 9, 3]; at rest exactly where they were."""
        reach = (crease - rim)[..., :2].norm(dim=-1).clamp(min=1e-3)
        share = (known.tall / reach).clamp(max=1)[..., None]
        under = rim + (1 - closing) * known.under
        lashes = torch.cat([under, rim, rim + share * (crease - rim)], 2)
        still = (rim == known.lashes[:, :, LID : 2 * LID]).flatten(2).all(2)[..., None, None] & (closing <= 0)
        return torch.where(still, known.lashes, lashes)
