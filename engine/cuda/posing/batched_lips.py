"""Lips of many faces at once: what `engine.render.parts.lip_arch` and `engine.render.parts.lip_ring` do for one.

Each movement is a few numbers per column of the lips; constant matrices carry them to the vertices that follow, so that
nothing is scattered. Where the CPU leaves a step out, a factor of 0 does nothing here.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.cuda.posing.coefficients import Read, smoothstep
from engine.cuda.posing.portrait_table import FACES, Known
from engine.face import topology as top
from engine.render.parts.driven_face import LOWER as LOWER_INSIDE
from engine.render.parts.driven_face import UPPER as UPPER_INSIDE
from engine.render.parts.lip_arch import ARCH, BARED, BARELY, KEPT, LENS, LOWER, TEETH_SHOW, UPPER, WIDE, columns
from engine.render.parts.lip_ring import FLAT, FROM, FULL, GAPES, GAPING, NARROW, SINKS, TALL, skin


class Arch:
    """`LipArch` for R faces."""

    def __init__(self, device: torch.device) -> None:
        def on(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.array(array)).to(device)

        lips = columns()
        self._rims = on(np.r_[UPPER, LOWER])
        self._share = on(lips.share.astype(np.float32))  # [11]
        self._outline = on((1 - lips.place**2).astype(np.float32))  # [9]
        self._follow = on(np.hstack([-lips.up, lips.low]))  # [468, 18]: what goes up, what goes down
        apart = np.zeros((FACES, len(UPPER_INSIDE)), np.float32)
        apart[LOWER_INSIDE, range(9)], apart[UPPER_INSIDE, range(9)] = 1, -1
        self._apart = on(apart)

    def shape(self, known: Known, face: Tensor) -> Tensor:
        """Open lips of ``face`` [R, 468, 3] along an arch."""
        moved = self._downwards(known, (face - known.neutral)[:, self._rims]) / known.scale  # [R, 22] centimetres
        first, last = moved[:, 0:1], moved[:, 10:11]
        corners = first + self._share * (last - first)
        upper, lower = (corners - moved[:, :11])[:, 1:-1], (moved[:, 11:] - corners)[:, 1:-1]
        most = (upper + lower)[:, 2:-2].amax(1, keepdim=True)
        outline = self._outline ** (LENS + smoothstep(most / WIDE) * (ARCH - LENS))
        kept = KEPT * smoothstep(most / BARELY)
        rise, fall = kept * (upper[:, 4:5] * outline - upper), kept * (lower[:, 4:5] * outline - lower)
        return self._shifted(known, face, rise, fall)

    def tuck(self, known: Known, face: Tensor, amount: Tensor) -> Tensor:
        """The lower lip brought to the upper teeth's ends by ``amount`` [R, 1]."""
        want = amount * (TEETH_SHOW * self._outline - self._gap(known, face) / known.scale)
        bare = torch.minimum(want.clamp(min=-0.3), BARED * amount)
        return self._shifted(known, face, bare, want - bare)

    def part(self, known: Known, face: Tensor) -> Tensor:
        """Lips that have crossed meet in the middle."""
        lack = 0.5 * (known.seam - self._gap(known, face)).clamp(min=0)  # [R, 9] pixels
        return face + (lack @ self._apart.T)[..., None] * known.rotation[:, None, :, 1]

    def _gap(self, known: Known, face: Tensor) -> Tensor:
        """Between the lips' inner columns [R, 9], in pixels downwards."""
        rims = face[:, self._rims]
        return self._downwards(known, (rims[:, 11:] - rims[:, :11])[:, 1:-1])

    def _shifted(self, known: Known, face: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
        """The lips' columns [R, 9] moved up and down by centimetres, with the skin that follows them."""
        moved = torch.cat([rise, fall], 1) @ self._follow.T * known.scale  # [R, 468]
        return face + moved[..., None] * known.rotation[:, None, :, 1]

    @staticmethod
    def _downwards(known: Known, points: Tensor) -> Tensor:
        """How far [R, n] ``points`` [R, n, 3] reach along the head's own downwards."""
        return (points * known.rotation[:, None, :, 1]).sum(-1)


class Ring:
    """`LipRing` for R faces."""

    def __init__(self, device: torch.device) -> None:
        rows = np.array([(UPPER, *top.LIP_ROWS_UPPER), (LOWER, *top.LIP_ROWS_LOWER)])  # [2, 4, 11]
        # From the rows' places to the face [468, 88]: corners are in both rows, and the lower ones count.
        self._carry = torch.zeros(FACES, rows.size)
        at = {vertex: place for place, vertex in enumerate(rows.reshape(-1).tolist())}
        for vertex, place in at.items():
            self._carry[vertex, place] = 1
        lips = [at[vertex] for vertex in top.LIP_VERTICES]
        beyond, shares = skin()
        self._carry[beyond[:, None], lips] = torch.from_numpy(shares)
        self._carry = self._carry.to(device)
        self._rows = torch.from_numpy(rows.reshape(-1)).to(device)
        self._sign = torch.tensor([[-1.0], [1.0]], device=device)  # [2, 1] upwards and downwards

    def shape(self, known: Known, face: Tensor, read: Read) -> Tensor:
        """Open lips of ``face`` [R, 468, 3] as a ring, as far as they are rounded."""
        scale = known.scale[..., None]
        head = (face[:, self._rows] @ known.rotation / scale).view(-1, 2, 4, 11, 3)
        left, right = head[:, 0, 0, 0], head[:, 0, 0, 10]  # [R, 3]
        width = (right - left)[:, 0:1]
        up, low = self._away(head[:, :, 0, 3:-3], left, right)
        opening = (up + low).amax(1, keepdim=True)  # [R, 1] centimetres
        gape = smoothstep((opening - GAPES[0]) / (GAPES[1] - GAPES[0]))
        rounded = torch.maximum(read.rounded, GAPING * gape * (1 - read.widened))
        amount = smoothstep((opening - FROM) / (FULL - FROM)) * smoothstep(rounded / 0.6)
        wide = 0.5 * width * (1 - NARROW * rounded)
        tall = 0.5 * opening * (1 + TALL * rounded)
        place = self._places(known, wide[..., None], tall[..., None])  # [R, 2, 4, 11, 2] from the middle
        sunk = SINKS * 0.5 * (low.amax(1, keepdim=True) - up.amax(1, keepdim=True))
        slope = (right - left)[:, 1:2] / width.clamp(min=1e-3)
        middle = 0.5 * (left + right)
        x, y = place.unbind(-1)
        aside = x / _wide(wide.clamp(min=1e-3))
        depth = head[..., 2]
        front, back = depth[..., 5:6], 0.5 * (depth[..., 0:1] + depth[..., 10:11])
        tilt = 0.5 * (depth[..., 10:11] - depth[..., 0:1])
        goal = torch.stack(
            [
                _wide(middle[:, 0:1]) + x,
                _wide(middle[:, 1:2] + sunk) + y + _wide(slope) * x,
                front + FLAT * (back - front) * aside**2 + tilt * aside,
            ],
            -1,
        )
        moved = amount[..., None] * (goal - head).flatten(1, 3)  # [R, 88, 3]
        return face + self._carry @ (scale * moved @ known.rotation.transpose(1, 2))

    @staticmethod
    def _away(rims: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """How far middle columns of the ``rims`` [R, 2, 5, 3] are above and below the corners' line [R, 5] each."""
        across = (right - left)[:, None, None]  # [R, 1, 1, 3]
        share = (rims[..., 0] - left[:, None, 0:1]) / across[..., 0].clamp(min=1e-3)
        line = left[:, None, 1:2] + share.clamp(-0.2, 1.2) * across[..., 1]
        away = rims[..., 1] - line
        return -away[:, 0], away[:, 1]

    def _places(self, known: Known, wide: Tensor, tall: Tensor) -> Tensor:
        """Places on the ellipse and, row by row, beyond it [R, 2, 4, 11, 2], for its half axes [R, 1, 1]."""
        cos, sin = known.angle.cos(), self._sign * known.angle.sin()  # [R, 2, 11]
        rim = torch.stack([-wide * cos, tall * sin], -1)
        normal = torch.stack([-cos * tall, sin * wide], -1)
        normal = normal / normal.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        return rim[:, :, None] + known.thick[..., None] * normal[:, :, None]


def _wide(numbers: Tensor) -> Tensor:
    """[R, 1] beside [R, 2, 4, 11]."""
    return numbers[..., None, None]
