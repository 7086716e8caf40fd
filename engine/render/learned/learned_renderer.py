"""A renderer whose pictures go through the networks of VividTalk 3.3 after geometry has painted them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.contracts import ByteArray, FloatArray, Motion
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.face.morphable_model import face_model
from engine.render.learned.motion_vae import LANDMARKS, PICTURE
from engine.render.learned.mouth_patch import CELLS, FIELD, corner_of, warp
from engine.render.learned.picture_generator import LearnedHalf, Seen
from engine.render.projection import PORTRAIT, ncc
from engine.render.renderer import Renderer, still
from kernels.cpu import numba_kernels

FORMAT = "vivify-picture-1"
FADE = 0.25  # a change of quality takes four frames
STILL = 0.004  # of the picture's side: a mesh that moved less has not moved


def load_learned(path: Path) -> LearnedHalf:
    """The networks of a weights file, ready for inference. Raises VivifyError for a missing or unfit file."""
    if not path.is_file():
        raise VivifyError(
            f"Learned pictures need weights at {path}, but there are none: train them with scripts/train_picture, or "
            "use --quality geometry."
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            notes = file.metadata() or {}
        if notes.get("format") != FORMAT:
            raise ValueError(f"its format is {notes.get('format', 'not told')}")
        model = LearnedHalf(**json.loads(notes["config"]))
        model.load_state_dict(load_file(str(path)))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".: ")
        raise VivifyError(
            f"{path} should hold weights of the learned picture, but cannot be used ({reason}): train them anew with "
            "scripts/train_picture."
        ) from error
    for parameter in model.parameters():
        if parameter.dim() == 4:  # channels last: convolutions are a quarter faster
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model.eval().requires_grad_(False)


def save_learned(model: LearnedHalf, path: Path, notes: dict[str, str] | None = None) -> None:
    """Write weights and config as safetensors. ``notes`` are kept beside them as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = json.dumps({"lips": model.motion.lips is not None})
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, str(path), (notes or {}) | {"format": FORMAT, "config": config})


class LearnedRenderer(Renderer):
    """Geometry first; then the residual motion, the occlusion map and the generator, at 256 pixels whatever the size.

    In a larger picture the residual motion warps the picture at its own size, and what the generator adds is enlarged:
    the portrait's detail stays.
    """

    def __init__(self, avatar: Avatar, model: LearnedHalf, size: int = 512) -> None:
        super().__init__(avatar, size)
        self._model = model
        self._eye = Eyesight(self)
        self.share = 1.0  # of the networks in the picture; without any, they rest
        with torch.inference_mode():
            self._look = model.look(self._eye.portrait, self._eye.lips)

    def fade(self, learned: bool) -> None:
        """Let the networks' share of the next picture grow or shrink by one step, towards all or nothing."""
        self.share = min(max(self.share + (FADE if learned else -FADE), 0.0), 1.0)

    def render(self, motion: Motion, out: ByteArray | None = None, alpha: bool = False) -> ByteArray:
        """As `Renderer.render`."""
        out = super().render(motion, out, alpha)
        if self.share > 0:
            with torch.inference_mode():
                self._finish(motion, out)
        return out

    def _finish(self, motion: Motion, out: ByteArray) -> None:
        """Let the networks work on the picture [S, S, 3 or 4] that geometry has painted into ``out``."""
        seen = self._eye.see(motion, out[..., :3])
        gate = self.share * float(seen.moved)
        if gate == 0:
            return
        dense = self._model.motion(seen.texture_reference, seen.texture, seen.lips_reference, seen.lips)
        corner = corner_of(seen.lips)
        residual = dense.motion * gate
        warped = warp(seen.painted, residual, corner)
        added = gate * self._model.paint(seen, dense, residual, warped, self._look)
        scale = self.size // FIELD
        x, y = (corner[0] * scale).tolist()
        if self.size != PICTURE:
            warped = _warp_around(out[..., :3], residual, x, y)
            added = F.interpolate(added, warped.shape[2:], mode="bilinear", align_corners=False)
        square = warped.add_(added).mul_(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
        out[y : y + CELLS * scale, x : x + CELLS * scale, :3] = square[0].permute(1, 2, 0).numpy()


def _warp_around(picture: ByteArray, residual: Tensor, x: int, y: int) -> Tensor:
    """`warp` of the square at (x, y) of ``picture`` [S, S, 3], touching no more of it than the motion can reach."""
    size = len(picture)
    side, reach = size * CELLS // FIELD, int(float(residual.abs().max()) * 0.5 * size) + 2
    left, top = max(x - reach, 0), max(y - reach, 0)
    near = _tensor(picture[top : y + side + reach, left : x + side + reach])
    motion = F.interpolate(residual, (side, side), mode="bilinear", align_corners=False)[0] * (0.5 * size)  # pixels
    at = torch.arange(side, dtype=torch.float32)
    columns, rows = at[None, :] + motion[0] + (x - left), at[:, None] + motion[1] + (y - top)
    grid = torch.stack([(columns + 0.5) * (2 / near.shape[3]) - 1, (rows + 0.5) * (2 / near.shape[2]) - 1], -1)
    return F.grid_sample(near, grid[None], mode="bilinear", padding_mode="border", align_corners=False)


class Eyesight:
    """What the networks see of one avatar: the things that never change, and those of one motion."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        avatar = renderer.avatar
        self._scale = PICTURE / avatar.size
        self._ncc = ncc()
        self.portrait = shrunk(_tensor(avatar.portrait))  # [1, 3, 256, 256]
        self._outside = np.ascontiguousarray(self.portrait[0].permute(1, 2, 0).numpy())
        own = still()
        own = Motion(0, renderer.own_expression, own.rotation, own.translation)
        self._mesh = renderer.driven_mesh(own)
        self._texture = self._projected(self._mesh)
        self.lips = self._landmarks(self._mesh)  # [1, 20, 2]

    def see(self, motion: Motion, painted: ByteArray) -> Seen:
        """The networks' input for ``motion``, whose picture [S, S, 3] the renderer has just painted."""
        mesh = self._renderer.driven_mesh(motion)
        far = float(np.abs(mesh[:, :2] - self._mesh[:, :2]).max()) / self._renderer.avatar.size
        return Seen(
            portrait=self.portrait,
            painted=_reduced(painted),
            texture_reference=self._texture,
            texture=self._projected(mesh),
            lips_reference=self.lips,
            lips=self._landmarks(mesh),
            flow=self._flow(),
            moved=torch.tensor([min(1.0, far / STILL)]),
        )

    def _landmarks(self, mesh: FloatArray) -> Tensor:
        """[1, 20, 2], the picture spanning [-1, 1]."""
        size = self._renderer.avatar.size
        return torch.from_numpy((mesh[list(LANDMARKS), :2] + 0.5) * (2 / size) - 1)[None].float()

    def _projected(self, mesh: FloatArray) -> Tensor:
        """PT (eq. 10) at 256 pixels: NCC on the face, the portrait around it [1, 3, 256, 256]."""
        vertices = mesh.copy()
        vertices[:, :2] = (vertices[:, :2] + 0.5) * self._scale - 0.5
        depth, which = np.empty((PICTURE, PICTURE), np.float32), np.empty((PICTURE, PICTURE), np.int32)
        inner = np.empty((PICTURE, PICTURE, 3), np.float32)
        triangles = np.ascontiguousarray(face_model().triangles)
        numba_kernels.rasterize(np.ascontiguousarray(vertices, np.float32), triangles, self._ncc, depth, which, inner)
        texture = np.where((which >= 0)[..., None], inner, self._outside)
        return torch.from_numpy(texture).permute(2, 0, 1)[None]

    def _flow(self) -> Tensor:
        """Where geometry looked in the portrait [1, 2, 64, 64], of the picture just painted, in [-1, 1].

        Eyes and mouth were painted from elsewhere: there it is the place itself.
        """
        painter = self._renderer.painter
        step = painter.size // FIELD
        middle = slice(step // 2, None, step)
        places, which = painter.maps[middle, middle, :2], painter.which[middle, middle]
        layer = np.where(which >= 0, painter.layers[which], -1)
        flow = (places + 0.5) * (2 / self._renderer.avatar.size) - 1
        at = (np.arange(FIELD, dtype=np.float32) + 0.5) * (2 / FIELD) - 1
        itself = np.stack(np.meshgrid(at, at), -1)
        flow = np.where((layer == PORTRAIT)[..., None], flow, itself).astype(np.float32)
        return torch.from_numpy(flow).permute(2, 0, 1)[None]


def _tensor(picture: ByteArray) -> Tensor:
    """RGB uint8 [H, W, 3] -> [1, 3, H, W] in [0, 1]."""
    return torch.tensor(picture).permute(2, 0, 1)[None].float().div_(255).contiguous()


def _reduced(picture: ByteArray) -> Tensor:
    """RGB [S, S, 3] -> [1, 3, 256, 256] in [0, 1]; where 256 divides S, without a large picture of floats."""
    factor, rest = divmod(len(picture), PICTURE)
    if factor == 1 or rest:
        return shrunk(_tensor(picture))
    total = np.zeros((PICTURE, PICTURE, 3), np.uint16)
    for row in range(factor):
        for column in range(factor):
            total += picture[row::factor, column::factor]
    return torch.from_numpy(total.astype(np.float32)).permute(2, 0, 1)[None].div_(255 * factor**2).contiguous()


def shrunk(picture: Tensor) -> Tensor:
    """[B, 3, H, W] -> [B, 3, 256, 256], as the networks see pictures."""
    if picture.shape[-1] == PICTURE:
        return picture
    if picture.shape[-1] % PICTURE == 0:
        return F.avg_pool2d(picture, picture.shape[-1] // PICTURE)
    return F.interpolate(picture, (PICTURE, PICTURE), mode="bilinear", antialias=True, align_corners=False)
