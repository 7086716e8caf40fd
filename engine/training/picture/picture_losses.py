"""What the learned half of the picture is trained by: its losses, and what they ask (VividTalk section 3.4).

The paper's perceptual loss rests on VGG-19's weights, which are not ours to ship. Whoever has them names a safetensors
file with torchvision's names; without them, differences of brightness and of edges at four scales stand in: like
VGG's first layers they ask for the right edges in the right places, and they need no weights. Feature matching is done
on a small patch discriminator of our own, trained along.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.errors import VivifyError
from engine.render.learned.motion_vae import DenseMotion, conv

MOUTH = 4.0  # how much more a pixel of the mouth counts
EDGES = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))
VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512)  # VGG-19 to conv5_1; 0 is a pool
VGG_HEARD = (0, 2, 4, 8, 12)  # the convolutions whose outputs are compared


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train, and what each loss weighs."""

    steps: int = 4000
    rows: int = 8
    peak_rate: float = 5e-4
    seed: int = 0
    lips: bool = True
    pixels: float = 4.0
    perceptual: float = 2.0
    structure: float = 0.5
    matching: float = 0.05  # more paints what strangers do not have, with a dozen people to learn from
    kl: float = 1e-4
    regularity: float = 0.1
    unsure: float = 0.005  # what it costs to overpaint instead of warping: detail of the portrait is worth keeping
    ema: float = 0.998
    views: bool = True  # make every pair look like other people's pairs, each time it is drawn
    films: float = 0.75  # of the steps are on films where there are films and stills: stills know nothing of mouths


class Edges(nn.Module):
    """Brightness and Sobel edges at four scales, as features to compare."""

    def __init__(self) -> None:
        super().__init__()
        across = torch.tensor(EDGES) / 4
        self.register_buffer("kernel", torch.stack([across, across.T])[:, None], persistent=False)

    kernel: Tensor

    def forward(self, picture: Tensor) -> list[Tensor]:
        out, x = [], picture
        for _ in range(4):
            flat = x.reshape(-1, 1, *x.shape[-2:])
            out += [x, F.conv2d(flat, self.kernel, padding=1).view(x.shape[0], -1, *x.shape[-2:])]
            x = F.avg_pool2d(x, 2)
        return out


class Vgg19(nn.Module):
    """VGG-19's features from weights the user has: safetensors with torchvision's names (``features.0.weight``...)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in VGG:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
            channels = width or channels
        self.features = nn.Sequential(*layers)
        try:
            given = {k: v for k, v in load_file(str(path)).items() if k in self.state_dict()}
            self.load_state_dict(given)
        except Exception as problem:
            raise VivifyError(
                f"{path} was expected to hold VGG-19's weights as safetensors under torchvision's names, but does not: "
                "convert them, or leave --vgg out."
            ) from problem
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        x = (picture - mean.to(picture).view(1, 3, 1, 1)) / spread.to(picture).view(1, 3, 1, 1)
        out, count = [], -1
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.Conv2d):
                count += 1
            elif isinstance(layer, nn.ReLU) and count in VGG_HEARD:
                out.append(x)
        return out


def unlike(a: Tensor, b: Tensor) -> Tensor:
    """1 - SSIM (Wang 2004, square windows of 7 pixels) of pictures [B, 3, H, W] in [0, 1], mean of all."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 7, 2)

    one, other = mean(a), mean(b)
    spread = mean(a * a) + mean(b * b) - one * one - other * other
    shared = 2 * (mean(a * b) - one * other)
    same = (2 * one * other + 1e-4) * (shared + 9e-4) / ((one * one + other * other + 1e-4) * (spread + 9e-4))
    return 1 - same.mean()


class Discriminator(nn.Module):
    """Judges patches of pictures [B, 3, H, W]; also gives the features it judges by."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [conv(3, width, 2), conv(width, 2 * width, 2), conv(2 * width, 4 * width, 2), conv(4 * width, 4 * width)]
        )
        self.last = nn.Conv2d(4 * width, 1, 3, padding=1)

    def forward(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        features, x = [], picture
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return self.last(x), features


def losses(
    plan: Plan,
    said: tuple[Tensor, DenseMotion],
    truth: Tensor,
    mouth: Tensor,
    perceive: nn.Module,
    judge: Discriminator | None,
) -> dict[str, Tensor]:
    """Weighted terms whose sum the networks minimise."""
    picture, dense = said
    weight = 1 + (MOUTH - 1) * mouth
    pixels = ((picture - truth).abs() * weight).mean()
    features = [(a - b).abs().mean() for a, b in zip(perceive(picture), perceive(truth), strict=True)]
    motion = dense.motion
    bend = motion.diff(dim=2).abs().mean() + motion.diff(dim=3).abs().mean()
    terms = {
        "pixels": plan.pixels * pixels,
        "perceptual": plan.perceptual * torch.stack(features).mean(),
        "structure": plan.structure * unlike(picture, truth),
        "kl": plan.kl * dense.kl(),
        "regular": plan.regularity * (bend + motion.abs().mean()),
        "unsure": plan.unsure * (1 - dense.occlusion).mean(),
    }
    if judge is None:
        return terms
    with torch.no_grad():
        wanted = judge(truth)[1]
    verdict, seen = judge(picture)
    matching = torch.stack([(a - b).abs().mean() for a, b in zip(seen, wanted, strict=True)]).mean()
    return terms | {"matching": plan.matching * matching, "real": 0.05 * plan.matching * -verdict.mean()}
