"""What each stage asks of the networks it trains: formula IV, and the contrastive loss. All weights are 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from engine.a2v.disentanglement.disentangled import Disentangled
from engine.a2v.disentanglement.disentanglement_losses import believed, contrastive, looked_through, matched
from engine.a2v.disentanglement.disguises import disguised
from engine.a2v.disentanglement.memory_bank import MemoryBank, orthogonality
from engine.a2v.disentanglement.stage_plans import Plan
from engine.a2v.disentanglement.talking_samples import Batch

Terms = dict[str, Tensor]


def meeting_terms(net: Disentangled, batch: Batch) -> Terms:
    """Stage lips: sounds find their pictures among other moments of the same film."""
    with torch.no_grad():
        seen = net.seen(batch.pictures)
    return {"contrastive": contrastive(net.lips_seen(seen), net.heard(batch.mels), net.factor["log"])}


def pretrained_style(net: Disentangled, batch: Batch, rng: np.random.Generator) -> Tensor:
    """Stage pretrain: f_v whole in the place of non-lips and lips, seen in a disguise of the picture."""
    seen = net.seen(disguised(batch.pictures, rng))
    return torch.cat([net.appearance(batch.references), seen], 1)


def parted_style(
    net: Disentangled, batch: Batch, bank: MemoryBank, plan: Plan, rng: np.random.Generator
) -> tuple[Tensor, Terms]:
    """Stage nonlips: f_cat, its lips from sound in some rows and from the picture in others; and L_ol."""
    with torch.no_grad():
        appearance, seen = net.appearance(batch.references), net.seen(batch.pictures)
        met, heard = net.lips_seen(seen), net.heard(batch.mels)
    apart = net.apart(seen)
    of_sound = torch.from_numpy(rng.random(len(seen)) < plan.heard).to(seen.device)[:, None]
    lips = net.lips(torch.where(of_sound, heard, met))
    terms = {"ol": orthogonality(*bank.with_these(apart, met))}
    bank.remember(apart, met)
    return torch.cat([appearance, net.nonlips(apart), lips], 1), terms


def frozen_style(net: Disentangled, batch: Batch, plan: Plan, rng: np.random.Generator) -> Tensor:
    """Stage generator: the same f_cat, with nothing of it trained any more."""
    with torch.no_grad():
        seen = net.seen(batch.pictures)
        of_sound = torch.from_numpy(rng.random(len(seen)) < plan.heard).to(seen.device)[:, None]
        lips = net.lips(torch.where(of_sound, net.heard(batch.mels), net.lips_seen(seen)))
        return torch.cat([net.appearance(batch.references), net.nonlips(net.apart(seen)), lips], 1)


def picture_terms(net: Disentangled, made: Tensor, truth: Tensor, outside: Mapping[str, nn.Module]) -> Terms:
    """L_GAN, L_L1, and a term for each outside network there is ("vgg", "gaze")."""
    with torch.no_grad():
        wanted = net.judge(truth)
    verdicts = net.judge(made)
    terms = {"gan": believed(verdicts), "l1": matched(wanted, verdicts)}
    for name, network in outside.items():
        with torch.no_grad():
            true = network(truth)
        terms[name] = looked_through(true, network(made))
    return terms
