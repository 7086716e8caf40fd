"""The dual-branch motion-VAE (VividTalk section 3.3, figure 5): what geometry cannot know about the dense motion.

Facial branch: the projected textures of the portrait and of the driven face, PT_ref and PT_d, are concatenated and
encoded; a variational code and an MLP turn them into a 2D facial motion map. Lip branch: the lips' landmarks as
Gaussian maps, the portrait's subtracted from the driven ones, through an hourglass into a 2D lip motion map. Both are
concatenated and decoded into a dense motion and an occlusion map.

The paper leaves sizes open. Ours: pictures of 256, maps of 64 pixels a side; 8 x 8 x 16 values before the MLP, a code
of 128; 16 channels for each motion map; 20 landmarks, every other vertex of the lips' two rims. The dense motion is a
residual to the geometric field, at most 0.06 % of the picture's side (more, with so few people to learn from, did harm
on a film of another kind), beside the inner lips' roll. It is composed with that field: the picture that geometry has
painted is sampled at x + motion(x). From where the two branches meet, only the square around the lips is computed
(`engine.render.learned.mouth_patch`): elsewhere the motion is 0 and the picture believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.render.learned.lip_square import LANDMARKS
from engine.render.learned.mouth_patch import confidence, corner_of, cut, gaussian_maps, window

UPPER_RIM, LOWER_RIM = slice(1, 5), slice(6, 10)  # of the landmarks: the inner rims without the corners
RIM_SIGMA = 1.4  # cells of the field: how much of the lip rolls along
LEARNS = 10.0  # times as fast as all other parameters: two numbers that every frame agrees on
SIGMA = 1.2  # of the Gaussian maps, in pixels of the field
FARTHEST = 0.0006  # of the picture's side: the largest residual motion
SHOWN, ROLLED = 0.25, 0.5  # of it and of the roll once trained: they fit those they were learned from, not strangers
BELIEVED = 0.93  # from here on the occlusion map leaves geometry's picture untouched, motion and all
DOUBTED = 0.1  # how far below full belief the residual motion is at its full size
TRUST = 1.0  # logit the occlusion map starts from: geometry is mostly believed until the data say otherwise


def conv(channels: int, out: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, group normalisation, GELU. Group statistics are one picture's own: a batch changes nothing."""
    groups = 8 if out % 8 == 0 else 4
    return nn.Sequential(nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.GroupNorm(groups, out), nn.GELU())


def split(layer: nn.Module) -> tuple[nn.Conv2d, nn.Sequential]:
    """A `conv`'s convolution, and what follows it."""
    assert isinstance(layer, nn.Sequential)
    first = layer[0]
    assert isinstance(first, nn.Conv2d)
    return first, nn.Sequential(*list(layer)[1:])


class FacialBranch(nn.Module):
    """PT_ref and PT_d [B, 3, 256, 256] each -> facial motion map, mean and log variance of the code.

    Of the map only the square at ``corner`` is made: [B, 16, 32, 32].
    """

    def __init__(self, out: int = 16, code: int = 128) -> None:
        super().__init__()
        widths = (6, 16, 24, 32, 48, 64)
        self.encoder = nn.Sequential(
            *(conv(a, b, 2, 5 if a == 6 else 3) for a, b in pairwise(widths)),
            nn.Conv2d(64, 16, 1),
        )
        self.code = nn.Linear(16 * 8 * 8, 2 * code)
        self.mlp = nn.Sequential(nn.Linear(code, 256), nn.GELU(), nn.Linear(256, 16 * 8 * 8), nn.GELU())
        self.spread = nn.ModuleList([conv(16, 24), conv(24, 24), conv(24, out)])

    def meet(self, reference: Tensor) -> Tensor:
        """What the first convolution makes of PT_ref alone [B, 16, 128, 128]; once for each portrait."""
        first, _ = split(self.encoder[0])
        return F.conv2d(reference, first.weight[:, :3], first.bias, first.stride, first.padding)

    def forward(
        self, met: Tensor, driven: Tensor, corner: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``met`` is `meet` of PT_ref: a convolution of both textures is the sum of their own."""
        first, rest = split(self.encoder[0])
        x = met + F.conv2d(driven, first.weight[:, 3:], None, first.stride, first.padding)
        encoded = self.encoder[1:](rest(x)).flatten(1)
        mean, log_variance = self.code(encoded).chunk(2, 1)  # [B, code]
        log_variance = log_variance.clamp(-12, 4)
        code = mean if noise is None else mean + noise * torch.exp(0.5 * log_variance)
        x = self.mlp(code).unflatten(1, (16, 8, 8))
        *coarse, last = self.spread
        for layer in coarse:
            x = layer(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return last(cut(x, corner)), mean, log_variance


class InnerLips(nn.Module):
    """How far the inner rims roll in as the lips part: lip landmarks [B, 20, 2] -> dense motion [B, 2, 64, 64].

    Lips that open show a moist inner side that no closed portrait has, so that the dark between them is narrower than
    their rims are apart. That is the lip branch's linear part: a share of the gap for each lip, learned, and the same
    for everybody; what differs from face to face is the hourglass's work.
    """

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.zeros(2))  # of the gap, upper and lower lip, over `LEARNS`

    def forward(self, reference: Tensor, lips: Tensor) -> Tensor:
        (upper, lower), (upper_then, lower_then) = _rims(lips), _rims(reference)  # [B, 4, 2] each
        opened = (lower - upper) - (lower_then - upper_then)
        opened = opened * (opened[..., 1:] > 0)  # lips that are nearer than the portrait's own hide nothing
        rims = torch.cat([upper, lower], 1)
        share = LEARNS * self.share
        moved = torch.cat([-opened * share[0], opened * share[1]], 1)  # where to look, not where to go
        near = gaussian_maps(rims, RIM_SIGMA)
        spread = near / near.sum(1, keepdim=True).clamp(min=1)
        return torch.einsum("bnhw,bnc->bchw", spread, moved)


def _mean(motion: Tensor, weight: Tensor) -> Tensor:
    """Of motion [B, 2, h, w] over the places of ``weight`` [B, 1, h, w]: [B, 2, 1, 1].

    That all of a mouth lies beside its landmarks could only be how one film was tracked, and nothing to be learned.
    """
    return (motion * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp(min=1e-3)


def _rims(lips: Tensor) -> tuple[Tensor, Tensor]:
    """The inner rims without the corners [B, 4, 2], upper and lower, in pairs."""
    return lips[:, UPPER_RIM], lips[:, LOWER_RIM].flip(1)


class Hourglass(nn.Module):
    """Down twice and up again with skips: x [B, C, 64, 64] -> [B, out, 64, 64]; so for any side that four divides."""

    def __init__(self, channels: int, out: int, width: int = 24) -> None:
        super().__init__()
        self.enter = conv(channels, width)
        self.down = nn.ModuleList([conv(width, 32, 2), conv(32, 40, 2)])
        self.deep = conv(40, 40)
        self.up = nn.ModuleList([conv(40 + 32, 32), conv(32 + width, out)])

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.enter(x)]
        for layer in self.down:
            skips.append(layer(skips[-1]))
        x = self.deep(skips.pop())
        for layer in self.up:
            wider = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = layer(torch.cat([wider, skips.pop()], 1))
        return x


@dataclass(frozen=True)
class DenseMotion:
    """What the motion-VAE says of B pictures, in the squares around their lips."""

    motion: Tensor  # [B, 2, 32, 32] where to look from each pixel, (x, y) in units in which the picture spans [-1, 1]
    occlusion: Tensor  # [B, 1, 32, 32] how far the picture is to be believed, 0 to 1; at 1 the motion is 0
    mean: Tensor  # [B, code]
    log_variance: Tensor  # [B, code]

    def kl(self) -> Tensor:
        """Kullback-Leibler divergence of the codes from a standard Gaussian, mean over batch and code."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).mean()


class MotionVAE(nn.Module):
    """Both branches and the decoder. ``lips=False`` leaves the lip branch out, for the ablation of figure 8."""

    def __init__(self, lips: bool = True) -> None:
        super().__init__()
        self.face = FacialBranch()
        self.lips = Hourglass(len(LANDMARKS), 16) if lips else None
        self.rolled = InnerLips() if lips else None
        self.decoder = nn.Sequential(conv(32 if lips else 16, 32), conv(32, 32), nn.Conv2d(32, 3, 3, padding=1))
        last = self.decoder[-1]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)  # no residual at first: the picture is geometry's before any training
        assert last.bias is not None
        with torch.no_grad():
            last.bias.copy_(torch.tensor([0.0, 0.0, TRUST]))

    def forward(
        self, reference: Tensor, driven: Tensor, lips_reference: Tensor, lips: Tensor, noise: Tensor | None = None
    ) -> DenseMotion:
        """Textures [B, 3, 256, 256] in [0, 1], lip landmarks [B, 20, 2] in [-1, 1].

        ``noise`` [B, 128] samples the code (training); without it the code is its mean, and the result certain.
        """
        return self.move(self.face.meet(reference), driven, lips_reference, lips, noise)

    def move(
        self, met: Tensor, driven: Tensor, lips_reference: Tensor, lips: Tensor, noise: Tensor | None = None
    ) -> DenseMotion:
        """`forward` where PT_ref has been met already."""
        corner = corner_of(lips)
        motion, mean, log_variance = self.face(met, driven, corner, noise)
        if self.lips is not None:
            maps = gaussian_maps(lips, SIGMA) - gaussian_maps(lips_reference, SIGMA)
            motion = torch.cat([motion, self.lips(cut(maps, corner))], 1)
        raw = self.decoder(motion)
        allowed = cut(window(lips, corner), corner) * confidence(lips_reference, lips)
        believed = (torch.sigmoid(raw[:, 2:]) / BELIEVED).clamp(max=1)
        residual = 2 * FARTHEST * torch.tanh(raw[:, :2]) * ((1 - believed) / DOUBTED).clamp(max=1)
        residual = (residual - _mean(residual, allowed)) * (1 if self.training else SHOWN)
        if self.rolled is not None:
            rolled = cut(self.rolled(lips_reference, lips), corner)
            residual = residual + (rolled if self.training else ROLLED * rolled)
        return DenseMotion(residual * allowed, 1 - (1 - believed) * allowed, mean, log_variance)
