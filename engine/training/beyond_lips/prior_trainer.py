"""Train the audio-to-visual prior: a loop that goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.a2v.prior_network import PriorConfig, PriorNetwork
from engine.contracts import FloatArray
from engine.training.beyond_lips.nonlip_data import Movements
from engine.training.beyond_lips.prior_rows import PriorRows, draw_rows

SPEED = 3.0  # weight of the difference between frames, beside the values themselves
_KEEP = 0.999  # of the averaged weights stays at each step
_EVERY = 100  # steps from one kept state to the next


@dataclass(frozen=True)
class PriorPlan:
    """How long and how hard to train."""

    steps: int = 9000
    rows: int = 96
    rate: float = 1.5e-3
    filmed: float = 0.5  # of the rows are of films
    seed: int = 0


def usual_values(sources: list[tuple[Movements, float]]) -> tuple[FloatArray, FloatArray]:
    """Mean and spread [24] of the values of sources, by their shares."""
    means = sum(share * movements.values.mean(0) for movements, share in sources)
    squares = sum(share * ((movements.values - means) ** 2).mean(0) for movements, share in sources)
    return np.asarray(means, np.float32), np.asarray(np.maximum(np.sqrt(squares), 0.01), np.float32)


def losses(model: PriorNetwork, rows: PriorRows) -> dict[str, Tensor]:
    """The supplement's squared error where values are to be found, and that of their speed, which we add."""
    said = model(
        *(getattr(rows, name) for name in ("values", "given", "level", "sound", "heard", "present", "style", "causal"))
    )
    missed = (said - rows.clean) * rows.counts
    f = model.config.frames
    by_frame = missed.unflatten(-1, (f, -1)).flatten(1, 2)
    counts = rows.counts.unflatten(-1, (f, -1)).flatten(1, 2)
    weight = rows.counts.sum().clamp(min=1)
    speed = by_frame.diff(dim=1).square() * counts[:, 1:]
    return {"values": missed.square().sum() / weight, "speed": SPEED * speed.sum() / weight}


class PriorTrainer:
    """The network in training, its average, and all that is needed to go on."""

    def __init__(
        self, config: PriorConfig, plan: PriorPlan, sources: list[tuple[Movements, float]], work: Path
    ) -> None:
        """``sources`` with the shares of rows they give. Goes on from ``work``/prior.pt where there is one."""
        torch.manual_seed(plan.seed)
        self.plan, self.sources, self._kept = plan, sources, work / "prior.pt"
        self.model, self.average = PriorNetwork(config), PriorNetwork(config)
        self.usual = usual_values(sources)
        for buffer, values in zip((self.model.mean, self.model.std), self.usual, strict=True):
            buffer.copy_(torch.from_numpy(values))
        self.average.load_state_dict(self.model.state_dict())
        self.optimiser = torch.optim.AdamW(self.model.parameters(), plan.rate, weight_decay=0.01)
        self.smooth: dict[str, float] = {}
        if self._kept.exists():
            kept = torch.load(self._kept, weights_only=True)
            self.model.load_state_dict(kept["model"])
            self.average.load_state_dict(kept["average"])
            self.optimiser.load_state_dict(kept["optimiser"])

    @property
    def step(self) -> int:
        return int(self.model.trained)

    def train(self, say: Callable[[str], None], every: int = 250) -> PriorNetwork:
        """Train to the end of the plan; the averaged network."""
        while self.step < self.plan.steps:
            self.advance()
            if self.step % every == 0:
                say(f"step {self.step} " + " ".join(f"{key} {value:.4f}" for key, value in self.smooth.items()))
            if self.step % _EVERY == 0 or self.step == self.plan.steps:
                self.keep()
        return self.average.eval()

    def advance(self) -> None:
        """One step."""
        done = self.step / self.plan.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate * min(1.0, (self.step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + cos(pi * done)))
        rng = np.random.default_rng((self.plan.seed, self.step))
        terms = losses(self.model.train(), draw_rows(rng, self.sources, self.plan.rows, self.model.config, self.usual))
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.model.trained += 1
        self._follow(min(_KEEP, (1 + self.step) / (10 + self.step)))
        for key, value in terms.items():
            self.smooth[key] = 0.98 * self.smooth.get(key, float(value.detach())) + 0.02 * float(value.detach())

    @torch.no_grad()
    def _follow(self, keep: float) -> None:
        for own, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            own.lerp_(new, 1 - keep)
        self.average.trained.copy_(self.model.trained)

    def keep(self) -> None:
        """Put down what is needed to go on."""
        kept = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        part = self._kept.with_suffix(".part")
        torch.save(kept, part)
        part.replace(self._kept)
