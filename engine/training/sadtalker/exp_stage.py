"""`scripts/train_sadtalker exp`: ExpNet, trained on clips of voices and lips."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from engine.sadtalker.voice.exp_net import ExpNet
from engine.training.sadtalker.coefficient_space import CoefficientSpace
from engine.training.sadtalker.exp_losses import ExpWeights, LipReader, exp_losses
from engine.training.sadtalker.expression_clips import CLIP, ExpressionClips, draw
from engine.training.sadtalker.stage_trainer import Plan, Side, StageTrainer, Terms

FORMAT = "vivify-expnet-1"


@dataclass(frozen=True)
class ExpPlan(Plan):
    """The paper's rate and length of clips; it gives no number of steps or rows."""

    steps: int = 20_000
    rate: float = 2e-5
    rows: int = 32
    frames: int = CLIP
    bfloat16: bool = False  # the networks' sums in half precision, losses in full: half the time on some processors


class ExpStage(StageTrainer):
    """ExpNet and its losses over ``sources``, in ``folder``."""

    def __init__(
        self,
        plan: ExpPlan,
        space: CoefficientSpace,
        sources: list[ExpressionClips],
        folder: Path,
        width: int = 32,
        weights: ExpWeights | None = None,
        reader: LipReader | None = None,
    ) -> None:
        torch.manual_seed(plan.seed)
        self.net, self._space, self._sources = ExpNet(space.expression, width), space, sources
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter less work on a CPU
        self._half = plan.bfloat16
        self._weights, self._reader, self._width = weights or ExpWeights(), reader, width
        self._rows, self._frames = plan.rows, plan.frames
        super().__init__("exp", plan, [Side("net", self.net, self._losses)], folder)

    def _losses(self, rng: np.random.Generator) -> Terms:
        batch = draw(rng, self._sources, self._space, self._rows, self._frames)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            said = self.net(batch.windows, batch.reference, batch.blink)
        return exp_losses(said.float(), batch, self._space, self._weights, self._reader)

    def export(self, path: Path) -> None:
        """The trained network alone, as what loads it expects it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        config = {"expression": self._space.expression, "width": self._width}
        notes = {"format": FORMAT, "config": json.dumps(config), "space": self._space.name}
        notes["plan"] = json.dumps(asdict(self.plan))
        save_file({k: v.contiguous() for k, v in self.net.state_dict().items()}, str(path), notes)
