"""Train the learned half of the picture (VividTalk section 3.4): a loop that goes on where it was cut."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from rich.progress import Progress, TextColumn
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.render.learned.mouth_patch import corner_of, cut
from engine.render.learned.picture_generator import LearnedHalf, Seen
from engine.training.picture.picture_losses import Discriminator, Edges, Plan, Vgg19, losses
from engine.training.picture.picture_pairs import Pairs, joined
from engine.training.picture.picture_views import seen_differently


class Trainer:
    """Networks, discriminator, optimisers and running average, saved together: a run that is cut goes on as it was.

    Where torch.distributed is running, every process draws other pairs and gradients are averaged: one model comes out.
    """

    def __init__(self, plan: Plan, folder: Path, vgg: Path | None = None, device: str = "cpu") -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.device = plan, torch.device(device)
        self.checkpoint = folder / "checkpoint.safetensors"
        self.model = LearnedHalf(plan.lips).to(self.device)
        self.judge = Discriminator().to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.perceive = (Vgg19(vgg) if vgg else Edges()).to(self.device)
        self._paint = torch.optim.AdamW(self.model.parameters(), plan.peak_rate, (0.5, 0.99), weight_decay=0.01)
        self._check = torch.optim.AdamW(self.judge.parameters(), plan.peak_rate, (0.5, 0.99), weight_decay=0.01)
        self.step = 0
        together = dist.is_available() and dist.is_initialized()
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        if self.checkpoint.exists():
            self._resume(load_file(str(self.checkpoint)))

    def rate(self) -> float:
        """Up over the first twentieth, then down along a cosine."""
        done, warm = self.step / self.plan.steps, 0.05
        if done < warm:
            return self.plan.peak_rate * (0.05 + 0.95 * done / warm)
        return self.plan.peak_rate * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * (done - warm) / (1 - warm))))

    def train_step(self, sources: list[Pairs]) -> dict[str, float]:
        """One step on pairs that depend on seed, step and process alone."""
        plan = self.plan
        rng = np.random.default_rng((plan.seed, self.step, self.rank))
        noise = torch.randn(plan.rows, 128, generator=torch.Generator().manual_seed(int(rng.integers(2**31))))
        seen, truth, mouth = self._draw(sources, rng)
        for optimiser in (self._paint, self._check):
            for group in optimiser.param_groups:
                group["lr"] = self.rate()
        with torch.autocast(self.device.type, torch.bfloat16):
            picture, dense = self.model(seen, noise.to(self.device))
        corner = corner_of(seen.lips)
        truth, mouth = cut(truth, corner), cut(mouth, corner)  # beyond the square nothing can be learned
        said = (cut(picture.float(), corner), dense)
        judge = self.judge if plan.matching > 0 else None
        terms = losses(plan, said, truth, mouth, self.perceive, judge)
        self._descend(self._paint, self.model, torch.stack(list(terms.values())).sum())
        if judge:
            real, made = judge(truth)[0], judge(said[0].detach())[0]
            terms["judge"] = F.relu(1 - real).mean() + F.relu(1 + made).mean()  # hinge
            self._descend(self._check, judge, terms["judge"])
        self.step += 1
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(
                    value.to(self.average[name].dtype), 1 - min(plan.ema, self.step / (self.step + 9))
                )
        return {name: float(value.detach()) for name, value in terms.items()}

    def _draw(self, sources: list[Pairs], rng: np.random.Generator) -> tuple[Seen, Tensor, Tensor]:
        """Rows from as many sources, made to look like other people's; longer films come more often, by the root."""
        kinds = [[s for s in sources if s.film], [s for s in sources if not s.film]]
        rows = []
        for _ in range(self.plan.rows):
            kind = kinds[int(rng.random() >= self.plan.films)] or sources
            often = np.sqrt([len(s) for s in kind])
            pairs = kind[int(rng.choice(len(kind), p=often / often.sum()))]
            rows.append(pairs.pick([int(rng.integers(len(pairs)))]))
        seen, truth, mouth = joined(rows)
        if self.plan.views:
            seen, truth, mouth = seen_differently(seen, truth, mouth, rng)
        moved = {f.name: getattr(seen, f.name).to(self.device) for f in fields(Seen)}
        return Seen(**moved), truth.to(self.device), mouth.to(self.device)

    def _descend(self, optimiser: torch.optim.Optimizer, model: nn.Module, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.world > 1:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= self.world
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    def averaged(self) -> LearnedHalf:
        """The running average of the networks: what is shipped."""
        model = LearnedHalf(self.plan.lips)
        model.load_state_dict({k: v.cpu() for k, v in self.average.items()})
        return model.eval()

    def save(self) -> None:
        """Write the checkpoint beside the old one, then put it in its place; the first process does."""
        if self.rank:
            return
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"judge.{k}": v for k, v in self.judge.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for kind, optimiser, model in self._optimised():
            for name, parameter in model.named_parameters():
                for key, value in optimiser.state.get(parameter, {}).items():
                    tensors[f"{kind}.{key}.{name}"] = value
        tensors["step"] = torch.tensor(self.step)
        part = self.checkpoint.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, str(part))
        part.replace(self.checkpoint)

    def _optimised(self) -> list[tuple[str, torch.optim.Optimizer, nn.Module]]:
        return [("paint", self._paint, self.model), ("check", self._check, self.judge)]

    def _resume(self, tensors: dict[str, Tensor]) -> None:
        def of(kind: str) -> dict[str, Tensor]:
            return {k.removeprefix(f"{kind}."): v for k, v in tensors.items() if k.startswith(f"{kind}.")}

        self.step = int(tensors["step"])
        self.model.load_state_dict(of("model"))
        self.judge.load_state_dict(of("judge"))
        self.average = {k: v.to(self.device) for k, v in of("average").items()}
        for kind, optimiser, model in self._optimised():
            kept = of(kind)
            for name, parameter in model.named_parameters():
                keys = ("step", "exp_avg", "exp_avg_sq")
                state = {key: kept[f"{key}.{name}"] for key in keys if f"{key}.{name}" in kept}
                if state:
                    where = {k: v if k == "step" else v.to(self.device) for k, v in state.items()}
                    optimiser.state[parameter] = where

    def run(self, sources: list[Pairs], every: int = 100) -> None:
        """Train to the end of the plan, with a progress line, saving every so often."""
        smooth: dict[str, float] = {}
        with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[loss]}"), disable=self.rank > 0) as bar:
            task = bar.add_task("Picture", total=self.plan.steps, completed=self.step, loss="")
            while self.step < self.plan.steps:
                for name, value in self.train_step(sources).items():
                    smooth[name] = 0.98 * smooth.get(name, value) + 0.02 * value
                text = " ".join(f"{name} {value:.3f}" for name, value in smooth.items())
                bar.update(task, completed=self.step, loss=text)
                if self.step % every == 0 or self.step == self.plan.steps:
                    self.save()
                    if not self.rank:
                        bar.console.print(f"step {self.step}: {text}", soft_wrap=True)
