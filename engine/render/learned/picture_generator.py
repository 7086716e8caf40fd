"""The generator (VividTalk section 3.3): the warped portrait and the occlusion map in, the finished frame out.

It paints the square around the lips, half the picture's side (`engine.render.learned.mouth_patch`). The portrait is
seen twice: as the picture that geometry painted from it, warped by the residual motion, and as features that are warped
by the whole motion, so that detail that geometry squeezed or hid can be found again. Where the occlusion map trusts the
warped picture, it stays as it is, pixel for pixel; elsewhere the network paints.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.contracts import FloatArray
from engine.render.learned.eyesight import View
from engine.render.learned.learned_renderer import Known
from engine.render.learned.motion_vae import DenseMotion, MotionVAE, conv, split
from engine.render.learned.mouth_patch import FIELD, corner_of, cut, gaussian_maps, paste, warp

FEATURES = 24  # channels of the portrait's features, at a quarter of its side
SHOWN = 0.5  # of what the generator adds: all of it suits the people it learned from, half of it strangers
AROUND = 6.0  # cells of the field: how far from the lips' middle the portrait's light is read
MOST, LEAST = 2.0, 0.5  # limits of the gains that even out a portrait's light


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Generator(nn.Module):
    """A small U-Net between 64 and 16 pixels; the square enters and leaves by pixel shuffling, at 128."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.PixelUnshuffle(4), conv(48, 32), conv(32, FEATURES))  # the portrait, once
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), conv(4 * 7, width))
        self.down = nn.ModuleList([conv(width, 2 * width, 2), conv(2 * width + FEATURES, 3 * width, 2)])
        self.deep = nn.Sequential(Block(3 * width), Block(3 * width))
        self.up = nn.ModuleList([conv(5 * width + FEATURES, 2 * width), conv(3 * width, width)])
        self.leave = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)
        binomial = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("smoothing", torch.outer(binomial, binomial).expand(3, 1, 3, 3), persistent=False)

    smoothing: Tensor

    def features(self, portrait: Tensor) -> Tensor:
        """portrait [B, 3, 256, 256], its light evened out -> [B, 24, 64, 64]."""
        return self.look(portrait)

    def forward(self, warped: Tensor, texture: Tensor, occlusion: Tensor, features: Tensor) -> Tensor:
        """What to add [B, 3, 128, 128] to the ``warped`` square, where it is not to be believed.

        ``texture`` is PT_d, ``occlusion`` [B, 1, 32, 32], ``features`` [B, 24, 32, 32] warped to the frame.
        """
        unsure = 1 - F.interpolate(occlusion, scale_factor=4, mode="bilinear", align_corners=False)
        high = self._entered(torch.cat([warped, texture, unsure], 1))  # [B, w, 64, 64]
        middle = torch.cat([self.down[0](high), features], 1)
        x = self.deep(self.down[1](middle))  # [B, 3 w, 16, 16]
        for layer, skip in zip(self.up, (middle, high), strict=True):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), skip], 1))
        added = F.pixel_shuffle(self.leave(x), 2)
        smooth = F.conv2d(added, self.smoothing.to(added.dtype), padding=1, groups=3)  # no chequers of shuffled pixels
        return torch.tanh(smooth) * unsure

    def _entered(self, square: Tensor) -> Tensor:
        """``enter`` of the square, its shuffle and its convolution as one of twice the size: a runtime copies less."""
        first, rest = split(self.enter[1])
        kernel = first.weight.unflatten(1, (-1, 2, 2)).permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)
        entered: Tensor = rest(F.conv2d(square, kernel, first.bias, stride=2, padding=2))
        return entered


class Look(NamedTuple):
    """What is known of a portrait once and for all."""

    features: Tensor  # [B, 24, 64, 64]
    light: Tensor  # [B, 3, 1, 1] gains that take its colour from the skin around the mouth


def light_of(portrait: Tensor, lips_reference: Tensor) -> Tensor:
    """Gains [B, 3, 1, 1] that take the colour from skin around lips [B, 20, 2] in portraits [B, 3, 256, 256].

    As von Kries has it, colours are seen beside the light they stand in: a mouth painted for a face in daylight would
    be a grey one in an old master's brown. How dark a skin is says nothing of the teeth.
    """
    field = F.avg_pool2d(portrait, portrait.shape[-1] // FIELD)
    weight = gaussian_maps(lips_reference.mean(1, keepdim=True), AROUND)
    skin = (field * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True)
    return (skin.mean(1, keepdim=True) / skin.clamp(min=1e-3)).clamp(LEAST, MOST)


@dataclass(frozen=True)
class Seen:
    """One batch of frames as the learned half sees them. Pictures [B, 3, 256, 256] in [0, 1]."""

    portrait: Tensor
    painted: Tensor  # what geometry made of it
    texture_reference: Tensor  # PT_ref
    texture: Tensor  # PT_d
    lips_reference: Tensor  # [B, 20, 2] in [-1, 1]
    lips: Tensor
    flow: Tensor  # [B, 2, 64, 64] where geometry looked in the portrait, in [-1, 1]
    moved: Tensor  # [B] 0 when driven as the portrait is, 1 from a small motion on

    @classmethod
    def of(cls, view: View) -> Seen:
        """One frame as tensors."""
        return cls(**{item.name: torch.from_numpy(getattr(view, item.name)) for item in fields(cls)})


class LearnedHalf(nn.Module):
    """Motion-VAE and generator together: `Seen` -> finished pictures [B, 3, 256, 256] in [0, 1]."""

    def __init__(self, lips: bool = True) -> None:
        super().__init__()
        self.motion = MotionVAE(lips)
        self.generator = Generator()

    def forward(self, seen: Seen, noise: Tensor | None = None) -> tuple[Tensor, DenseMotion]:
        """Everything the residual does is scaled by ``moved``, so that the portrait's own pose stays the portrait."""
        dense = self.motion(seen.texture_reference, seen.texture, seen.lips_reference, seen.lips, noise)
        gate, corner = seen.moved.view(-1, 1, 1, 1), corner_of(seen.lips)
        residual = dense.motion * gate
        warped = warp(seen.painted, residual, corner)
        square = (warped + gate * self.paint(seen, dense, residual, warped)).clamp(0, 1)
        return paste(seen.painted, square, corner), dense

    def look(self, portrait: Tensor, lips_reference: Tensor) -> Look:
        """What is known of portraits [B, 3, 256, 256] with lips [B, 20, 2]; once for each avatar."""
        light = light_of(portrait, lips_reference)
        return Look(self.generator.features(portrait * light), light)

    @torch.inference_mode()
    def know(self, portrait: FloatArray, texture: FloatArray, lips: FloatArray) -> Known:
        """`look` for who holds arrays (`engine.render.learned.learned_renderer.PictureNetworks`)."""
        look = self.look(torch.from_numpy(portrait), torch.from_numpy(lips))
        met = self.motion.face.meet(torch.from_numpy(texture))
        return Known(look.features.numpy(), look.light.numpy(), met.numpy())

    @torch.inference_mode()
    def change(self, view: View, gate: float, known: Known) -> tuple[FloatArray, FloatArray]:
        """What is done to the square of one frame, for who holds arrays."""
        seen = Seen.of(view)
        look = Look(torch.from_numpy(known.features), torch.from_numpy(known.light))
        dense = self.motion.move(torch.from_numpy(known.met), seen.texture, seen.lips_reference, seen.lips)
        residual = dense.motion * gate
        warped = warp(seen.painted, residual, corner_of(seen.lips))
        added = gate * self.paint(seen, dense, residual, warped, look)
        return residual[0].numpy(), added[0].numpy()

    def paint(
        self, seen: Seen, dense: DenseMotion, residual: Tensor, warped: Tensor, look: Look | None = None
    ) -> Tensor:
        """What the generator adds [B, 3, 128, 128] to the square ``warped`` by ``residual`` [B, 2, 32, 32].

        It paints in even light; ``look``, the same for every frame, need not be computed for each. Once trained it is
        shown by half.
        """
        corner = corner_of(seen.lips)
        features, light = look or self.look(seen.portrait, seen.lips_reference)
        followed = follow(features, seen.flow, residual, corner)
        return self.add(warped, cut(seen.texture, corner), dense.occlusion, followed, light)

    def add(self, warped: Tensor, texture: Tensor, occlusion: Tensor, followed: Tensor, light: Tensor) -> Tensor:
        """`paint` where everything has been cut to the square and warped: [B, 3, 128, 128]."""
        added = self.generator(warped * light, texture, occlusion, followed)
        return added / light if self.training else SHOWN * added / light


def follow(features: Tensor, flow: Tensor, motion: Tensor, corner: Tensor | None = None) -> Tensor:
    """The portrait's features [B, C, 64, 64] where the whole motion takes them: geometry's at x + motion(x).

    With ``corner`` in the square alone, of which ``motion`` [B, 2, 32, 32] is.
    """
    places = warp(flow, motion, corner).permute(0, 2, 3, 1)  # [B, h, w, 2]
    return F.grid_sample(features, places, mode="bilinear", padding_mode="border", align_corners=False)
