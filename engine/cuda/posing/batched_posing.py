"""Every scene of a batch put in place on the device: `engine.render.renderer.Renderer.pose` for R rows at once.

The renderer's is the definition of correct. Here nothing depends on a value but values: where it leaves a step out or
chooses, there are factors of 0 and `torch.where`, so that a CUDA graph holds the whole of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.cuda.posing.batched_driven import DrivenFaces
from engine.cuda.posing.batched_eyes import Eyes, Looking
from engine.cuda.posing.batched_mouths import Inside, Mouths
from engine.cuda.posing.coefficients import Read, Reader, smoothstep
from engine.cuda.posing.layout import DENSE, EXTRA, EYE, EYES, FACE, GIVEN, INSIDE, RIM
from engine.cuda.posing.portrait_table import FACES, LID, Known
from engine.face import topology as top
from engine.render.dense_mesh import DenseMesh
from engine.render.projection import skin_triangles
from engine.render.renderer import ALONG_RIM, CONTACT, CREASE, GATHERS, NOTHING, beside

CLOSED, OPEN, TONGUE_OUT, WHOLE = range(4)  # rows of what is shown of a portrait
NONE, DRIVEN, PLAIN = range(3)  # what a row of the batch is: empty, a driven face, the portrait's own expression


class Motions(NamedTuple):
    """What moves R rows; as in `engine.contracts.Motion`, finite and within bounds."""

    portrait: Tensor  # [R] int64, its number on the stage
    kind: Tensor  # [R] int64: NONE, DRIVEN or PLAIN
    second: Tensor  # [R] int64: the row that is painted over this one; itself where there is none
    own: Tensor  # [R] how much of the portrait's own expression it is
    blendshapes: Tensor  # [R, 52]
    offsets: Tensor  # [R, 40, 3]
    rotation: Tensor  # [R, 3, 3]
    translation: Tensor  # [R, 3]


class Posed(NamedTuple):
    """R scenes in place, dense meshes and all, rows in the order of `engine.cuda.posing.layout`."""

    places: Tensor  # [R, VERTICES, 3] pixels of the picture
    maps: Tensor  # [R, VERTICES, 3 or 6] as `Scene.maps`
    shown: Tensor  # [R, 4] int32 as `kernels.paint_scenes` takes it


class Posing:
    """Poses for pictures of ``size`` pixels, of portraits of ``side`` pixels."""

    def __init__(self, size: int, side: int, device: torch.device) -> None:
        def on(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        self._factor = size / side
        self._reader, self._faces = Reader(device), DrivenFaces(device)
        self._eyes, self._mouths = Eyes(device), Mouths(device)
        self._oval = torch.tensor(top.OVAL, device=device)
        self._upright = torch.eye(3, device=device)
        copies, nothing = np.arange(FACES, RIM.stop), np.zeros((0, 3), np.int32)
        which, weights = DenseMesh(skin_triangles(), nothing, copies, DENSE.start).combinations
        self._which, self._weights = on(which.reshape(-1)), on(weights[..., None])
        eyes = np.zeros((2, FACES), np.float32)
        for eye, row in enumerate((top.EYE_RIGHT_UPPER, top.EYE_LEFT_UPPER)):
            eyes[eye, list(row)] = 1
        self._lids = on(eyes)  # [2, 468]
        self._marks = Marks(device)

    def __call__(self, table: Tensor, shown: Tensor, motions: Motions, channels: int) -> Posed:
        """Rows of ``motions``, of portraits in ``table`` [P, WIDTH], whose scenes are ``shown`` [P, 4, 4] int32.

        Maps have 3 ``channels``, or 6 where a cheek may be mirrored.
        """
        known = Known(table.index_select(0, motions.portrait))
        read = self._reader(motions.blendshapes)
        face = self._faces(known, motions.blendshapes, read, motions.offsets, motions.own[:, None])
        looking, inside = self._eyes(known, read, face), self._mouths(known, read, face)
        driven = (motions.kind == DRIVEN).float()[:, None]
        places = self._places(known, motions, face, looking, inside)
        maps = self._maps(known, motions, read, face, looking, inside, driven)[..., :channels].contiguous()
        for values in (places, maps):
            given = values[:, GIVEN][:, self._which].view(len(values), EXTRA, -1, values.shape[2])
            values[:, DENSE] = (given * self._weights).sum(2)
        return Posed(places, maps, self._shown(shown, motions, face, inside))

    def _places(self, known: Known, motions: Motions, face: Tensor, looking: Looking, inside: Inside) -> Tensor:
        """Every vertex in the picture, all but the dense ones."""
        turn, shift = motions.rotation - self._upright, (motions.translation * known.unit)[:, None]

        def moved(points: Tensor) -> Tensor:  # by the head's turn: nothing at all where it does not turn
            return (points - known.pivot) @ turn.transpose(1, 2) + shift

        oval = face[:, self._oval]
        around = known.around + torch.bmm(known.hang, oval - known.reference[:, self._oval])
        around = around + moved(around) * known.around_head
        dense = face.new_zeros(len(face), EXTRA, 3)
        head = torch.cat([face, oval, dense, looking.points, inside.points], 1)
        places = torch.cat([head + moved(head), around], 1)
        places[..., 2] += known.back
        places[..., :2] = (places[..., :2] + 0.5) * self._factor - 0.5
        return places

    def _maps(
        self,
        known: Known,
        motions: Motions,
        read: Read,
        face: Tensor,
        looking: Looking,
        inside: Inside,
        driven: Tensor,
    ) -> Tensor:
        """What every vertex samples [R, VERTICES, 6], all but the dense ones; ``driven`` [R, 1] is 0 for plain rows."""
        maps = known.maps
        towards = -(known.normals @ motions.rotation[:, 2, :, None])[..., 0]  # the viewer
        gate = smoothstep((towards + known.normals[..., 2] - 0.02) / 0.10)  # [R, 468] how far it has turned there
        strain = (face - known.reference).abs().amax(2) / known.scale
        tucked = torch.maximum(gate, smoothstep((strain - 0.02) / 0.12))
        slid = looking.closing @ self._lids
        maps[:, FACE, :2] += slid[..., None] * known.slide + tucked[..., None] * known.tuck
        maps[:, FACE, :2] += self._marks.corners(known, face, driven)
        maps[:, FACE, 2] -= self._marks.seams(known, face, read, driven)
        maps[:, FACE, 5] = known.mirror * gate
        maps[:, RIM, :2] += gate[:, self._oval, None] * (known.rim_beyond - maps[:, RIM, :2])
        eyes = maps[:, EYES].view(len(maps), 2, sum(EYE), 6)
        eyes[:, :, EYE[0] : EYE[0] + EYE[1], :2] = looking.irises
        dark = (looking.closing**2)[..., None] * known.line
        lashes = eyes[:, :, EYE[0] + EYE[1] :, 2]
        lashes[:, :, :LID] -= dark
        lashes[:, :, LID : 2 * LID] -= dark
        maps[:, INSIDE, 2] = inside.light
        return maps

    def _shown(self, shown: Tensor, motions: Motions, face: Tensor, inside: Inside) -> Tensor:
        """What is drawn of each row [R, 4]."""
        gap = self._marks.rims(face).abs().amax((1, 2))
        what = torch.where(inside.out, TONGUE_OUT, OPEN)
        what = torch.where(gap <= NOTHING, CLOSED, what)
        what = torch.where(motions.kind == PLAIN, WHOLE, what)
        chosen = shown.index_select(0, motions.portrait).gather(1, what.view(-1, 1, 1).expand(-1, 1, 4))[:, 0]
        return chosen * (motions.kind != NONE)[:, None]


class Marks:
    """What driven lips change about the skin's texture, and the portrait's own expression does not."""

    def __init__(self, device: torch.device) -> None:
        count = len(top.LIP_INNER_UPPER)
        self._seam = torch.from_numpy(ALONG_RIM).float().to(device)
        lips = np.zeros((2 * count, FACES), np.float32)  # corners are in both rows, and the lower ones count
        lips[range(1, count - 1), top.LIP_INNER_UPPER[1:-1]] = 1
        lips[range(count, 2 * count), top.LIP_INNER_LOWER] = 1
        self._lips = torch.from_numpy(lips).to(device)
        ends = (top.LIP_OUTER_UPPER[0], top.LIP_OUTER_UPPER[-1])
        drawn = np.zeros((2, FACES), np.float32)
        for k, (end, outward) in enumerate(zip(ends, (-1, 1), strict=True)):
            rows, share = beside(end)
            drawn[k, rows] = outward * GATHERS * share[:, 0]
        self._beside = torch.from_numpy(drawn).to(device)
        self._ends, self._outward = torch.tensor(ends, device=device), torch.tensor([-1.0, 1.0], device=device)
        self._rims = torch.tensor((*top.LIP_INNER_UPPER, *top.LIP_INNER_LOWER), device=device)

    def rims(self, face: Tensor) -> Tensor:
        """From the upper lip's rim to the lower one's [R, 11, 3]."""
        upper, lower = face[:, self._rims].chunk(2, 1)
        return lower - upper

    def seams(self, known: Known, face: Tensor, read: Read, driven: Tensor) -> Tensor:
        """How much darker the rims are [R, 468]: lips closed over an open smile, a lower lip under the teeth."""
        gap = self.rims(face).norm(dim=-1) / known.scale
        closed = (CREASE * known.smiles * driven) * self._seam * (1 - gap / 0.3).clamp(0, 1)
        tuck = (CONTACT * read.tucked * driven) * self._seam
        return torch.cat([closed, torch.maximum(closed, tuck)], 1) @ self._lips

    def corners(self, known: Known, face: Tensor, driven: Tensor) -> Tensor:
        """Where texture places go [R, 468, 2] beside corners drawn in: the dark there is not dragged along."""
        across = known.rotation[:, :, 0]
        moved = ((face - known.neutral)[:, self._ends] * across[:, None]).sum(2) / known.scale  # [R, 2] to the right
        drawn_in = (-moved * self._outward).clamp(0, 1) * ((1 - known.smiles) * driven * known.scale)
        return (drawn_in @ self._beside)[..., None] * across[:, None, :2]
