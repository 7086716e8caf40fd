"""The driven faces of a batch: what `engine.render.parts.driven_face` does for one, before the head turns."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.cuda.posing.batched_lips import Arch, Ring
from engine.cuda.posing.coefficients import Read
from engine.cuda.posing.portrait_table import FACES, LID, Known
from engine.face.lids import LID_REST, both_lids
from engine.face.topology import LIP_VERTICES
from engine.render.parts.lip_offsets import followers


class DrivenFaces:
    """Vertices of the face meshes in portrait pixels, for R rows at once."""

    def __init__(self, device: torch.device) -> None:
        self._arch, self._ring = Arch(device), Ring(device)
        spread, (rows, shares) = np.zeros((FACES, len(LIP_VERTICES)), np.float32), followers()
        spread[rows] = shares
        lids, close = both_lids(), np.zeros((FACES, 2, LID), np.float32)
        for eye, lid in enumerate(lids):  # of the gap between its rows, that a lid fully closed moves each vertex by
            close[lid.skin_above, eye] += LID_REST * lid.pull_above
            close[lid.skin_below, eye] -= (1 - LID_REST) * lid.pull_below
            close[lid.upper, eye, range(LID)] += LID_REST
            close[lid.lower[1:-1], eye, range(1, LID - 1)] -= 1 - LID_REST
        self._upper = torch.from_numpy(np.concatenate([lid.upper for lid in lids])).to(device)
        self._lower = torch.from_numpy(np.concatenate([lid.lower for lid in lids])).to(device)
        self._spread = torch.from_numpy(spread).to(device)
        self._close = torch.from_numpy(close.reshape(FACES, -1)).to(device)  # [468, 18]

    def __call__(self, known: Known, beta: Tensor, read: Read, offsets: Tensor, own: Tensor) -> Tensor:
        """Faces [R, 468, 3] for blendshapes [R, 52], lip offsets [R, 40, 3] and shares [R, 1] of the own expression."""
        face = known.neutral + torch.bmm(beta[:, None], known.basis).view(-1, FACES, 3)
        face = self._arch.shape(known, face)
        face = self._ring.shape(known, face, read)
        face = self._arch.tuck(known, face, read.tucked)
        axes = known.unit[..., None] * known.rotation.transpose(1, 2)
        face = face + self._spread @ (offsets @ axes)
        face = self._arch.part(known, face) + own[..., None] * known.unexplained
        gap = (face[:, self._lower] - face[:, self._upper]).view(-1, 2, LID, 3)
        shut = read.blink.clamp(0, 1)[..., None, None] * gap
        return face + known.free * (self._close @ shut.flatten(1, 2))
