"""Pictures in which somebody is hard to recognise but does the same: what the visual encoder is pretrained on.

So do latent pose descriptors (Burkov 2020) keep identity out of what the pose encoder says: its picture is stretched,
lit and focused differently from the one to be drawn.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WIDER = 1.2  # how much wider or narrower, higher or lower
BRIGHTER = 0.2
GAMMA = 1.5


def disguised(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures [B, 3, P, P] in [0, 1], every row stretched along both axes, lit and focused anew."""
    rows = len(pictures)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (rows, *shape)).astype(np.float32)).to(pictures)

    limit = float(np.log(WIDER))
    theta = torch.zeros(rows, 2, 3).to(pictures)
    theta[:, 0, 0], theta[:, 1, 1] = torch.exp(draw(-limit, limit)), torch.exp(draw(-limit, limit))
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    seen = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
    soft = F.avg_pool2d(F.pad(seen, (1, 1, 1, 1), mode="replicate"), 3, 1)
    seen = torch.lerp(seen, soft, draw(-0.9, 0.9, 1, 1, 1)).clamp(0, 1)
    limit = float(np.log(GAMMA))
    seen = seen ** torch.exp(draw(-limit, limit, 1, 1, 1))
    return (seen * (1 + draw(-BRIGHTER, BRIGHTER, 3, 1, 1)) + draw(-BRIGHTER, BRIGHTER, 1, 1, 1) / 2).clamp(0, 1)
