"""Fit the better closure score (`engine.motion.facial.surer_closure`) by logistic regression: a minute a look-ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.motion.facial.articulators import CLOSE
from engine.motion.facial.closure import THRESHOLD
from engine.motion.facial.facial_generator import read_lips
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.surer_closure import said_of_closure
from engine.training.hurry.hurried_trainer import Thoughts

MET = 0.9  # of the teacher's closure: p, b and m reach it, f and v do not
EVERY = 5  # frames of which one is learned from: neighbours are alike
SPREAD_LEAST = 1e-3
RIDGE = 0.01  # of weights for inputs brought to one spread; chosen on development speech
STEPS = 40
# A probability above which a peak closes, by look-ahead; chosen on development speech. None: as the branch says.
SURE = (None, None, 0.053, 0.06)
BELIEVED = (0.0, 0.0, 0.5, 1.0)  # share of it beside the plain score; half keeps synthetic voices as they were


def reading_thoughts(model: FacialMotion) -> FacialMotion:
    """A copy of ``model`` that reads its thoughts, nothing of it fitted: it says what ``model`` says.

    One that reads them already stays as it is.
    """
    if model.config.reads_thoughts:
        return model
    grown = FacialMotion(replace(model.config, reads_thoughts=True), model.encoder)
    kept = {k: v for k, v in model.generator.state_dict().items() if not k.startswith("filmed_jaw.")}
    grown.generator.load_state_dict(kept, strict=False)
    for name in ("usual", "share"):
        old = getattr(model.generator.filmed_jaw, name)
        getattr(grown.generator.filmed_jaw, name)[: len(old)] = old
    return grown.eval()


def fit_surer_closure(model: FacialMotion, look_ahead: int, thoughts: list[Thoughts]) -> float:
    """Fit the score of one look-ahead of ``model`` in place, to ``thoughts`` that it had there. Returns the loss."""
    sure = SURE[look_ahead]
    if sure is None:
        raise ValueError(f"Nothing is fitted for a look-ahead of {look_ahead} frames.")
    x, met = (torch.cat(parts) for parts in zip(*(_examples(model, one, look_ahead) for one in thoughts), strict=True))
    usual, spread = x.mean(0), x.std(0) + SPREAD_LEAST
    weight, loss = _logistic((x - usual) / spread, met)
    surer = model.generator.surer_closure
    surer.weight[look_ahead] = weight[:-1] / spread
    shift = torch.logit(torch.tensor([THRESHOLD[look_ahead], sure])).diff().neg()[0]
    surer.bias[look_ahead] = weight[-1] - (usual / spread) @ weight[:-1] + shift
    surer.believed[look_ahead] = BELIEVED[look_ahead]
    return loss


def _examples(model: FacialMotion, heard: Thoughts, look_ahead: int) -> tuple[Tensor, Tensor]:
    """What is read [n, D + 4] in some frames that are sure and whose future was heard, and whether lips met [n]."""
    source, total = heard.source, len(heard.raw)
    told = source.trusted[:total].copy()
    for end in source.starts[1:]:
        told[max(0, end - look_ahead) : end] = False
    chosen = np.flatnonzero(told)[::EVERY]
    lips = read_lips(torch.from_numpy(heard.raw[chosen].astype(np.float32)))
    labial = torch.softmax(lips.phones, -1)[:, model.generator.bilabial].sum(-1)
    said = said_of_closure(lips.articulators[:, CLOSE], labial, lips.next_close, lips.next_labial)
    met = torch.from_numpy(source.motion[chosen, CLOSE].astype(np.float32) > MET).float()
    return torch.cat([torch.from_numpy(heard.thought[chosen].astype(np.float32)), said], -1), met


def _logistic(x: Tensor, met: Tensor) -> tuple[Tensor, float]:
    """Weights [n + 1], the constant last, and the loss of inputs [m, n] of one spread against [m] of 0 and 1."""
    weight = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss_now() -> Tensor:
        said = x @ weight[:-1] + weight[-1]
        return F.binary_cross_entropy_with_logits(said, met) + RIDGE * weight[:-1].square().sum()

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = loss_now()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weight.detach(), float(loss_now().detach())
