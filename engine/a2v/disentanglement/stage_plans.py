"""How long and how fast each stage is trained, and which networks it trains."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

TRAINED = {
    "pretrain": ("identity", "visual", "generator", "judge"),
    "lips": ("audio", "mlp_cl", "factor"),
    "nonlips": ("mlp_ol", "mlp_nl", "mlp_a2l", "generator", "judge"),
    "generator": ("generator", "judge"),
}


@dataclass(frozen=True)
class Plan:
    """Of one stage. Rates are Adam's, at the first step."""

    rows: int = 16
    steps: int = 0  # or else by `epochs`
    epochs: float = 0.0  # of all frames
    encoders: float = 1e-5
    mlps: float = 1e-5
    generator: float = 2e-5
    judge: float = 3.5e-6
    decay: float = 0.5
    decay_every: int = 80_000
    before: int = 0  # steps of an earlier stage that the decay counts
    bank: int = 32  # batches that the memory bank holds: K
    heard: float = 0.5  # of the rows whose lips come from sound
    seed: int = 0

    def length(self, frames: int) -> int:
        """Steps in all, with so many frames to learn from."""
        return self.steps or ceil(self.epochs * frames / self.rows)

    def rate(self, network: str, step: int) -> float:
        """A network's at a step."""
        named = {"generator": self.generator, "judge": self.judge}
        encoders = dict.fromkeys(("identity", "visual", "audio"), self.encoders)
        first = (named | encoders).get(network, self.mlps)
        return first * self.decay ** ((self.before + step) // self.decay_every)


PAPER = {
    "pretrain": Plan(steps=200_000, encoders=2e-5),
    "lips": Plan(rows=288, epochs=30, decay=0.93, decay_every=200_000),
    "nonlips": Plan(steps=40_000),
    "generator": Plan(epochs=5, before=40_000),
}
SMALL = {
    "pretrain": Plan(rows=8, steps=20_000, encoders=2e-4, generator=1e-3, judge=2e-4, decay_every=10_000),
    "lips": Plan(rows=48, steps=6_000, encoders=3e-4, mlps=3e-4, decay_every=3_000),
    "nonlips": Plan(rows=8, steps=8_000, mlps=3e-4, generator=3e-4, judge=1e-4, decay_every=4_000),
    "generator": Plan(rows=8, steps=8_000, generator=3e-4, judge=1e-4, decay_every=4_000),
}
PLANS = {"paper": PAPER, "small": SMALL}
