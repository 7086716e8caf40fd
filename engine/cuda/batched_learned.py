"""The learned half of the picture for a batch on the device: what `engine.render.learned` does for one picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.cuda.network_export import Core, Sight, WithTensorRT
from engine.cuda.rows import Rows
from engine.cuda.stage import Stage
from engine.face import topology as top
from engine.face.morphable_model import face_model
from engine.render.learned.eyesight import STILL, Eyesight
from engine.render.learned.lip_square import FIELD, LANDMARKS, PICTURE
from engine.render.learned.mouth_patch import corner_of, paste, warp
from engine.render.learned.picture_generator import FEATURES, LearnedHalf
from engine.render.projection import PORTRAIT, ncc
from engine.render.renderer import Renderer, still
from kernels import Painted, rasterize


class Finisher:
    """Knows every portrait as the networks see it, and lets them finish the pictures of a batch."""

    def __init__(
        self, model: LearnedHalf, stage: Stage, size: int, device: torch.device, tensorrt: bool = False
    ) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(stage.most, *shape, device=device)

        self._model = model.to(device).eval().requires_grad_(False)
        core = Core(self._model)
        self._core = WithTensorRT(core, device) if tensorrt else core
        self._stage, self._size = stage, size
        self._side = torch.ones(stage.most, device=device)  # pixels of the portrait's side
        self._portrait, self._texture = zeros(3, PICTURE, PICTURE), zeros(3, PICTURE, PICTURE)
        self._mesh, self._lips = zeros(top.VERTICES, 2), zeros(len(LANDMARKS), 2)
        self._features, self._light = zeros(FEATURES, FIELD, FIELD), zeros(3, 1, 1)
        self._triangles = torch.from_numpy(np.array(face_model().triangles)).to(device)
        self._ncc = torch.from_numpy(ncc()).to(device)
        self._landmarks = torch.tensor(LANDMARKS, device=device)
        at = (torch.arange(FIELD, device=device) + 0.5) * (2 / FIELD) - 1
        self._itself = torch.stack(torch.meshgrid(at, at, indexing="xy"))  # [2, 64, 64]

    @torch.inference_mode()
    def add(self, row: int, renderer: Renderer) -> None:
        """Look at the portrait that the stage knows by number ``row``."""
        posed = renderer.pose(replace(still(), blendshapes=renderer.own_expression))
        self._side[row] = renderer.avatar.size
        self._portrait[row] = torch.from_numpy(Eyesight(renderer).portrait[0])
        mesh = torch.from_numpy(posed.vertices[None, : top.VERTICES]).to(self._portrait.device)
        number = torch.tensor([row], device=mesh.device)
        self._mesh[row] = self._in_portrait(mesh, number)[0]
        self._lips[row] = self._lips_of(self._mesh[number], number)[0]
        look = self._model.look(self._portrait[number], self._lips[number])
        self._features[row], self._light[row] = look.features[0], look.light[0]
        self._texture[row] = self._projected(mesh, number)[0]

    def __call__(self, rgb: Tensor, painted: Painted, rows: Rows, share: Tensor) -> Tensor:
        """Geometry's pictures ``rgb`` [R, S, S, 3] finished, by ``share`` [R]."""
        sight = self.see(rgb, painted, rows, share)
        corner = corner_of(sight.lips)
        residual, added = self._core(*sight)
        warped = warp(_planes(rgb), residual, corner)
        if warped.shape != added.shape:
            added = F.interpolate(added, warped.shape[2:], mode="bilinear", align_corners=False)
        square = ((warped + added) * 255 + 0.5).clamp(0, 255).to(torch.uint8)
        picture = paste(rgb.permute(0, 3, 1, 2), square, corner).permute(0, 2, 3, 1)
        return torch.where(sight.gate.view(-1, 1, 1, 1) > 0, picture, rgb).contiguous()

    def see(self, rgb: Tensor, painted: Painted, rows: Rows, share: Tensor) -> Sight:
        """The networks' input for R pictures."""
        number = rows.scene // 2
        mesh = rows.places[:, : top.VERTICES]
        flat = self._in_portrait(mesh, number)
        far = (flat - self._mesh[number]).abs().amax((1, 2)) / self._side[number]
        return Sight(
            features=self._features[number],
            light=self._light[number],
            painted=_shrunk(_planes(rgb)),
            texture_reference=self._texture[number],
            texture=self._projected(mesh, number),
            lips_reference=self._lips[number],
            lips=self._lips_of(flat, number),
            flow=self._flow(painted, rows.scene),
            gate=share * (far / STILL).clamp(max=1.0),
        )

    def _in_portrait(self, mesh: Tensor, number: Tensor) -> Tensor:
        """Picture pixels [R, n, 3] as pixels of the portrait [R, n, 2]."""
        return (mesh[..., :2] + 0.5) * (self._side[number] / self._size).view(-1, 1, 1) - 0.5

    def _lips_of(self, flat: Tensor, number: Tensor) -> Tensor:
        """[R, 20, 2], the picture spanning [-1, 1]."""
        return (flat[:, self._landmarks] + 0.5) * (2 / self._side[number]).view(-1, 1, 1) - 1

    def _projected(self, mesh: Tensor, number: Tensor) -> Tensor:
        """PT (eq. 10) at 256 pixels [R, 3, 256, 256]."""
        factor = PICTURE / self._size
        flat = (mesh[..., :2] + 0.5) * factor - 0.5
        drawn = rasterize(torch.cat([flat, mesh[..., 2:]], 2), self._triangles, self._ncc, PICTURE, PICTURE)
        inner = drawn.attributes.permute(0, 3, 1, 2)
        return torch.where((drawn.triangle >= 0)[:, None], inner, self._portrait[number])

    def _flow(self, painted: Painted, scene: Tensor) -> Tensor:
        """Where geometry looked in the portrait [R, 2, 64, 64]; eyes and mouth look at themselves."""
        step = self._size // FIELD
        middle = slice(step // 2, None, step)
        places, which = painted.maps[:, middle, middle, :2], painted.triangle[:, middle, middle]
        named = which.flatten(1).clamp(min=0).long()
        layer = self._stage.tables.layers[scene].gather(1, named).view_as(which)
        flow = (places + 0.5) * (2 / self._side[scene // 2]).view(-1, 1, 1, 1) - 1
        skin = ((which >= 0) & (layer == PORTRAIT))[:, None]
        return torch.where(skin, flow.permute(0, 3, 1, 2), self._itself)


def _planes(rgb: Tensor) -> Tensor:
    """uint8 [R, S, S, 3] -> [R, 3, S, S] in [0, 1]."""
    return rgb.permute(0, 3, 1, 2).float() / 255


def _shrunk(picture: Tensor) -> Tensor:
    """[R, 3, H, W] -> [R, 3, 256, 256], as the networks see pictures."""
    if picture.shape[-1] == PICTURE:
        return picture
    if picture.shape[-1] % PICTURE == 0:
        return F.avg_pool2d(picture, picture.shape[-1] // PICTURE)
    return F.interpolate(picture, (PICTURE, PICTURE), mode="bilinear", antialias=True, align_corners=False)
