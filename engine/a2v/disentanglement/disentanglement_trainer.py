"""One stage's training: a step is a pure function of the checkpoint, the films and the seed, so a cut run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress, TextColumn
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.a2v.disentanglement.disentangled import STAGES, Disentangled
from engine.a2v.disentanglement.disentanglement_losses import judged
from engine.a2v.disentanglement.memory_bank import MemoryBank
from engine.a2v.disentanglement.network_sizes import Sizes
from engine.a2v.disentanglement.stage_losses import (
    Terms,
    frozen_style,
    meeting_terms,
    parted_style,
    picture_terms,
    pretrained_style,
)
from engine.a2v.disentanglement.stage_plans import TRAINED, Plan
from engine.a2v.disentanglement.talking_samples import Batch, Piece, across, of_one
from engine.errors import VivifyError

ADAM = ("step", "exp_avg", "exp_avg_sq")


def weights_of(work: Path, stage: str) -> Path:
    """Where a finished stage leaves its weights."""
    return work / f"{stage}.safetensors"


def begun(work: Path, stage: str, sizes: Sizes, seed: int) -> Disentangled:
    """The networks as a stage finds them: new ones for the first, else as the stage before left them.

    Raises VivifyError when the stage before is not finished, or had other sizes.
    """
    number = STAGES.index(stage)
    if number == 0:
        torch.manual_seed(seed)
        return Disentangled(sizes)
    before = STAGES[number - 1]
    if not weights_of(work, before).exists():
        raise VivifyError(
            f"The stage '{stage}' begins where '{before}' ends, but '{work}' has no finished one: run "
            f"scripts/train_a2v {before} first."
        )
    net = Disentangled.load(weights_of(work, before), before)
    if net.sizes != sizes:
        raise VivifyError(
            f"'{work}' was expected to hold networks of the sizes asked for, but has others: name another folder."
        )
    return net


class StageTrainer:
    """Trains the networks of one stage, the others held as they are."""

    def __init__(
        self,
        stage: str,
        plan: Plan,
        net: Disentangled,
        work: Path,
        outside: Mapping[str, nn.Module] | None = None,
        device: str = "cpu",
    ) -> None:
        self.stage, self.plan, self.work, self.device = stage, plan, work, torch.device(device)
        self.net = net.to(self.device)
        self.outside = {name: network.to(self.device) for name, network in (outside or {}).items()}
        self.bank = MemoryBank(plan.bank, plan.rows, net.sizes.features).to(self.device)
        self.checkpoint = work / f"{stage}-checkpoint.safetensors"
        self.step = 0
        self._makers = [name for name in TRAINED[stage] if name != "judge"]
        self._judges = [name for name in TRAINED[stage] if name == "judge"]
        for name, network in net.named_children():
            network.train(name in TRAINED[stage]).requires_grad_(name in TRAINED[stage])
        self._make, self._judge = self._adam(self._makers), self._adam(self._judges)
        if self.checkpoint.exists():
            self._resume()

    def _adam(self, names: list[str]) -> torch.optim.Adam | None:
        groups = [{"params": list(self.net.get_submodule(name).parameters()), "name": name} for name in names]
        return torch.optim.Adam(groups, betas=(0.5, 0.999)) if groups else None

    def train_step(self, pieces: list[Piece]) -> dict[str, float]:
        """One step on rows that depend on seed, stage and step alone; what each loss was."""
        rng = np.random.default_rng((self.plan.seed, STAGES.index(self.stage), self.step))
        draw = of_one if self.stage == "lips" else across
        batch = self._moved(draw(pieces, self.plan.rows, rng))
        if self.stage == "lips":
            terms = meeting_terms(self.net, batch)
            self._descend(self._make, terms)
        else:
            terms = self._draw_and_judge(batch, rng)
        self.step += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    def _draw_and_judge(self, batch: Batch, rng: np.random.Generator) -> Terms:
        terms: Terms = {}
        if self.stage == "pretrain":
            style = pretrained_style(self.net, batch, rng)
        elif self.stage == "nonlips":
            style, terms = parted_style(self.net, batch, self.bank, self.plan, rng)
        else:
            style = frozen_style(self.net, batch, self.plan, rng)
        made = self.net.generator(style)
        self.net.judge.requires_grad_(False)
        terms |= picture_terms(self.net, made, batch.pictures, self.outside)
        self._descend(self._make, terms)
        self.net.judge.requires_grad_(True)
        terms["judge"] = judged(self.net.judge(batch.pictures), self.net.judge(made.detach()))
        self._descend(self._judge, {"judge": terms["judge"]})
        return terms

    def _moved(self, batch: Batch) -> Batch:
        return Batch(*(t.to(self.device) for t in (batch.pictures, batch.references, batch.mels)))

    def _descend(self, optimiser: torch.optim.Adam | None, terms: Terms) -> None:
        assert optimiser is not None
        for group in optimiser.param_groups:
            group["lr"] = self.plan.rate(group["name"], self.step)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    def _optimised(self) -> list[tuple[torch.optim.Adam, str, nn.Parameter]]:
        """Every parameter that is trained, with its optimiser and its name."""
        pairs = [(self._make, self._makers), (self._judge, self._judges)]
        return [
            (adam, f"{name}.{key}", parameter)
            for adam, names in pairs
            if adam is not None
            for name in names
            for key, parameter in self.net.get_submodule(name).named_parameters()
        ]

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint holds."""
        tensors = {f"net.{key}": value for key, value in self.net.state_dict().items()}
        tensors |= {f"bank.{key}": value for key, value in self.bank.state_dict().items()}
        for adam, name, parameter in self._optimised():
            tensors |= {f"adam.{key}.{name}": value for key, value in adam.state.get(parameter, {}).items()}
        tensors["step"] = torch.tensor(self.step)
        return {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}

    def save(self) -> None:
        """Write the checkpoint beside the old one, then put it in its place."""
        self.work.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix(".part")
        save_file(self.tensors(), str(part), {"sizes": self.net.sizes.told()})
        part.replace(self.checkpoint)

    def _resume(self) -> None:
        with safe_open(str(self.checkpoint), "pt") as file:
            sizes = (file.metadata() or {}).get("sizes", "")
        kept = load_file(str(self.checkpoint))
        if sizes != self.net.sizes.told() or kept["bank.apart"].shape != self.bank.apart.shape:
            raise VivifyError(
                f"'{self.checkpoint}' was expected to be of this run, but was begun with other sizes or rows: begin in "
                "another --work folder."
            )

        def of(kind: str) -> dict[str, Tensor]:
            return {key.removeprefix(kind): value for key, value in kept.items() if key.startswith(kind)}

        self.net.load_state_dict(of("net."))
        self.bank.load_state_dict(of("bank."))
        self.step = int(kept["step"])
        for adam, name, parameter in self._optimised():
            state = {key: kept[f"adam.{key}.{name}"] for key in ADAM if f"adam.{key}.{name}" in kept}
            if state:
                adam.state[parameter] = {k: v if k == "step" else v.to(self.device) for k, v in state.items()}

    def run(self, pieces: list[Piece], every: int = 500, told: Callable[[str], None] = print) -> Path:
        """Train to the end of the plan, with a progress line, saving every so often; where the weights are."""
        length = self.plan.length(sum(piece.frames for piece in pieces))
        smooth: dict[str, float] = {}
        with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[loss]}"), transient=True) as bar:
            task = bar.add_task(self.stage, total=length, completed=self.step, loss="")
            while self.step < length:
                for name, value in self.train_step(pieces).items():
                    smooth[name] = 0.98 * smooth.get(name, value) + 0.02 * value
                text = " ".join(f"{name} {value:.3f}" for name, value in smooth.items())
                bar.update(task, completed=self.step, loss=text)
                if self.step % every == 0 or self.step == length:
                    self.save()
                    told(f"{self.stage} step {self.step} of {length}: {text}")
        self.net.save(weights_of(self.work, self.stage), self.stage, self.step)
        return weights_of(self.work, self.stage)
