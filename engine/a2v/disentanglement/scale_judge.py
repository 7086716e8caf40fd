"""The multi-scale discriminator (pix2pixHD's, as PC-AVS has it): the same judge of patches at each of several sizes."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Verdict(NamedTuple):
    """Of one scale."""

    logits: Tensor  # [N, 1, h, w] above 0: taken for true
    features: list[Tensor]  # what every layer but the last made of the picture


class PatchJudge(nn.Module):
    """Pictures [N, 3, P, P] -> Verdict: 4 x 4 convolutions, the first three halving the side."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        before, after = 3, width
        for k in range(layers):
            norm = [nn.InstanceNorm2d(after)] if k else []
            stride = 2 if k < 3 else 1
            self.layers.append(
                nn.Sequential(nn.Conv2d(before, after, 4, stride, 2, bias=not norm), *norm, nn.LeakyReLU(0.2))
            )
            before, after = after, min(2 * after, 8 * width)
        self.last = nn.Conv2d(before, 1, 4, 1, 2)

    def forward(self, picture: Tensor) -> Verdict:
        features, x = [], picture
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return Verdict(self.last(x), features)


class ScaleJudge(nn.Module):
    """Pictures [N, 3, P, P] -> a Verdict for each scale, the first at full size, each further one at half of it."""

    def __init__(self, width: int, layers: int, scales: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchJudge(width, layers) for _ in range(scales))

    def forward(self, picture: Tensor) -> list[Verdict]:
        out = []
        for judge in self.scales:
            out.append(judge(picture))
            picture = F.avg_pool2d(picture, 3, 2, 1, count_include_pad=False)
        return out
