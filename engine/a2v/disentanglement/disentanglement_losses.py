"""The losses of I.3 but for L_ol, which has a file of its own: memory_bank.py.

Every distance between feature maps is a mean over their elements, summed over layers, mean over scales.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.a2v.disentanglement.scale_judge import Verdict

SHARPEST = 100.0  # the largest factor on similarities, as CLIP bounds it


def contrastive(seen: Tensor, heard: Tensor, log_factor: Tensor) -> Tensor:
    """CLIP's: which of the sounds [N, F] belongs to which picture [N, F], and which picture to which sound.

    Both of unit length; their similarities are multiplied by exp(log_factor). ln N when nothing is known.
    """
    logits = seen @ heard.T * log_factor.exp().clamp(max=SHARPEST)
    own = torch.arange(len(seen), device=seen.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def judged(true: list[Verdict], made: list[Verdict]) -> Tensor:
    """Formula I as the discriminator minimises it: -log D(true) - log(1 - D(made)); 2 ln 2 when it cannot tell."""
    each = [F.softplus(-a.logits).mean() + F.softplus(b.logits).mean() for a, b in zip(true, made, strict=True)]
    return torch.stack(each).mean()


def believed(made: list[Verdict]) -> Tensor:
    """Formula I as the generator minimises it, in the form that does not saturate: -log D(made)."""
    return torch.stack([F.softplus(-verdict.logits).mean() for verdict in made]).mean()


def matched(true: list[Verdict], made: list[Verdict]) -> Tensor:
    """Formula II, L_L1: how far apart the discriminator's features are; gradients reach what was made alone."""
    return torch.stack([_apart(a.features, b.features) for a, b in zip(true, made, strict=True)]).mean()


def looked_through(true: list[Tensor], made: list[Tensor]) -> Tensor:
    """Formula III, L_VGG, and L_gaze: how far apart what an outside network sees is."""
    return _apart(true, made)


def _apart(true: list[Tensor], made: list[Tensor]) -> Tensor:
    return torch.stack([(a.detach() - b).abs().mean() for a, b in zip(true, made, strict=True)]).sum()
