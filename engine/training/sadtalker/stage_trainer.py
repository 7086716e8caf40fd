"""One stage's training: a loop that a kill does not harm, on one process or several.

Step n draws its samples and its chance from (seed, n, rank) alone, and the checkpoint holds every number that the next
step depends on. So a run that was stopped at any moment and begun again ends bit-equal to one that was not.
Several processes (``torchrun --nproc-per-node N``) average their gradients and each draws samples of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as ddp
from rich.console import Console
from rich.progress import Progress, TextColumn
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.errors import VivifyError

Terms = dict[str, Tensor]  # weighted losses by name; their sum is minimised
Compute = Callable[[np.random.Generator], Terms]


@dataclass(frozen=True)
class Plan:
    """How long and how hard a stage trains."""

    steps: int
    rate: float
    seed: int = 0
    every: int = 200  # steps between checkpoints
    decay: bool = False  # the rate falls to a hundredth along a cosine; the paper's stays
    clip: float = 1.0  # of the gradients' norm


@dataclass
class Side:
    """One of the parties of a stage: what it trains, and what it is told to minimise."""

    name: str
    module: nn.Module
    compute: Compute


class StageTrainer:
    """The parties of a stage in turn (a network, perhaps its discriminator), step by step, from a folder and into it.

    Raises VivifyError where the folder holds a checkpoint of something else.
    """

    def __init__(self, what: str, plan: Plan, sides: list[Side], folder: Path) -> None:
        self.what, self.plan, self.sides = what, plan, sides
        self.step = 0
        self.rank, self.ranks = (ddp.get_rank(), ddp.get_world_size()) if ddp.is_initialized() else (0, 1)
        self._path = folder / f"{what}.safetensors"
        self._parameters = [[p for p in side.module.parameters() if p.requires_grad] for side in sides]
        self._optimisers = [torch.optim.Adam(own, plan.rate, (0.9, 0.999)) for own in self._parameters]
        if self._path.exists():
            self._resume()

    def _state(self) -> dict[str, Tensor]:
        tensors = {"step": torch.tensor(self.step)}
        for side, optimiser in zip(self.sides, self._optimisers, strict=True):
            tensors |= {f"{side.name}.model.{k}": v for k, v in side.module.state_dict().items()}
            for name, parameter in side.module.named_parameters():
                for key, value in optimiser.state.get(parameter, {}).items():
                    tensors[f"{side.name}.adam.{key}.{name}"] = value
        return {name: value.detach().clone().contiguous() for name, value in tensors.items()}

    def save(self) -> None:
        """The checkpoint, whole or not at all; only one of several processes writes it."""
        if self.rank:
            return
        part = self._path.with_suffix(".part")
        save_file(self._state(), str(part), {"stage": self.what, "seed": str(self.plan.seed)})
        part.replace(self._path)

    def _resume(self) -> None:
        try:
            with safe_open(str(self._path), framework="pt") as file:
                notes = file.metadata() or {}
            if notes.get("stage") != self.what:
                raise ValueError(f"it says {notes.get('stage', 'nothing')!r}")
            tensors = load_file(str(self._path))
            self.step = int(tensors["step"])
            for side, optimiser in zip(self.sides, self._optimisers, strict=True):
                own = f"{side.name}.model."
                side.module.load_state_dict({k[len(own) :]: v for k, v in tensors.items() if k.startswith(own)})
                for name, parameter in side.module.named_parameters():
                    keys = {key: f"{side.name}.adam.{key}.{name}" for key in ("step", "exp_avg", "exp_avg_sq")}
                    if keys["step"] in tensors:
                        optimiser.state[parameter] = {key: tensors[full] for key, full in keys.items()}
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".: ")
            raise VivifyError(
                f"{self._path} was expected to be a checkpoint of the {self.what} stage with these sizes, but is not "
                f"({reason}): train in another folder, or remove it."
            ) from error

    def _rate(self) -> float:
        if not self.plan.decay:
            return self.plan.rate
        warm = min(1.0, (self.step + 1) / max(1.0, 0.03 * self.plan.steps))
        return self.plan.rate * warm * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * self.step / self.plan.steps))))

    def train_step(self) -> dict[str, float]:
        """One step of every side, on samples that depend on the step's number alone."""
        told: dict[str, float] = {}
        for k, (side, optimiser) in enumerate(zip(self.sides, self._optimisers, strict=True)):
            rng = np.random.default_rng((self.plan.seed, self.step, self.rank, k))
            torch.manual_seed(int(rng.integers(1 << 62)))
            for group in optimiser.param_groups:
                group["lr"] = self._rate()
            for number, parameters in enumerate(self._parameters):
                for parameter in parameters:
                    parameter.requires_grad_(number == k)
            side.module.train()
            terms = side.compute(rng)
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            self._average(self._parameters[k], side.module)
            torch.nn.utils.clip_grad_norm_(self._parameters[k], self.plan.clip)
            optimiser.step()
            told |= {name: float(value.detach()) for name, value in terms.items()}
        self.step += 1
        return told

    def _average(self, parameters: list[nn.Parameter], module: nn.Module) -> None:
        """Gradients, and what batch norms have seen, become those of all processes together."""
        if self.ranks == 1:
            return
        seen = [b for b in module.buffers() if b.is_floating_point()]
        given = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([t.reshape(-1) for t in (*given, *seen)])
        ddp.all_reduce(flat)
        flat /= self.ranks
        parts = flat.split([t.numel() for t in (*given, *seen)])
        for parameter, part in zip(parameters, parts[: len(parameters)], strict=True):
            parameter.grad = part.view_as(parameter).clone()
        for buffer, part in zip(seen, parts[len(parameters) :], strict=True):
            buffer.copy_(part.view_as(buffer))

    def run(self, console: Console) -> None:
        """Train to the end of the plan, with a progress line, a checkpoint every so often and one at the end."""
        smooth: dict[str, float] = {}
        with Progress(
            *Progress.get_default_columns(), TextColumn("{task.fields[loss]}"), console=console, disable=self.rank > 0
        ) as bar:
            task = bar.add_task(self.what, total=self.plan.steps, completed=self.step, loss="")
            while self.step < self.plan.steps:
                for name, value in self.train_step().items():
                    smooth[name] = 0.98 * smooth.get(name, value) + 0.02 * value
                text = " ".join(f"{name} {value:.4f}" for name, value in smooth.items())
                bar.update(task, completed=self.step, loss=text)
                if self.step % self.plan.every == 0 or self.step == self.plan.steps:
                    self.save()
                    bar.console.print(f"step {self.step}: {text}", soft_wrap=True)


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun started, if it did; one process is alone and needs nobody."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    ddp.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        ddp.destroy_process_group()


def reached(module: nn.Module) -> dict[str, Any]:
    """Parameters of ``module`` that the last backward pass gave no gradient, or none but zeros, by name."""
    return {n: p for n, p in module.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
