"""Train the lip branch on a phone-driven teacher: losses, parallel scheduled sampling, a resumable loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import Progress, TextColumn
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.audio.encoder import AudioEncoder
from engine.motion.facial.articulators import CLOSE, aperture, width
from engine.motion.facial.facial_generator import FacialConfig, LipEstimate, fed_back, read_lips
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.phones import BILABIAL, INDEX
from engine.training.lips.lip_dataset import Batch, Streams, draw

NO_PAST = 0.2  # of the rows are trained without any past

# jaw, pucker, funnel, stretch, lower_down, upper_up, roll, tongue: weight of the squared distance, 0 for the absolute
_SELDOM = torch.tensor([0.0, 4.0, 3.0, 0.0, 0.0, 0.0, 4.0, 2.0])


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train."""

    steps: int = 6000
    rows: int = 24
    frames: int = 150  # 6 s: more than both layers look back over
    peak_rate: float = 2e-3
    seed: int = 0
    own_past: float = 0.0  # share of rows that see the model's own past from the first step on; it grows to .85
    dropout: float = 0.1  # against learning by heart: half an hour of human speech is little
    past: bool = True  # without, no row ever sees a past: what autoregression is compared with


def _distance(said: Tensor, want: Tensor) -> Tensor:
    """Between articulators without the closure [..., 8], elementwise.

    Absolute for what moves all the time. Squared for what moves seldom and then much (pucker, funnel, roll, tongue):
    the least absolute error of a movement that is probably absent is none at all, and lips would hardly ever round.
    """
    fine = F.smooth_l1_loss(said, want, beta=0.05, reduction="none")
    rare = F.smooth_l1_loss(said, want, beta=0.5, reduction="none")
    return torch.where(_SELDOM > 0, _SELDOM * rare, fine)


def losses(said: LipEstimate, batch: Batch) -> dict[str, Tensor]:
    """Weighted terms; their sum is minimised. Articulators (closure apart), lip gap, its speed, width."""
    want, valid = batch.motion[:, :-1], batch.valid
    following = batch.motion[:, 1:, CLOSE]
    labial = torch.isin(batch.phones[:, 1:], torch.tensor([INDEX[p] for p in BILABIAL])).float()

    def mean(x: Tensor) -> Tensor:
        mask = valid.view(*valid.shape, *[1] * (x.dim() - 2)).expand_as(x)
        return (x * mask).sum() / mask.sum().clamp(min=1)

    open_said = torch.cat([said.articulators[..., :CLOSE], said.articulators[..., CLOSE + 1 :]], -1)
    open_want = torch.cat([want[..., :CLOSE], want[..., CLOSE + 1 :]], -1)
    close = said.articulators[..., CLOSE].clamp(1e-5, 1 - 1e-5)
    bce = -(2 * want[..., CLOSE] * close.log() + (1 - want[..., CLOSE]) * (1 - close).log())
    gap, gap_want = aperture(said.articulators), aperture(want)
    jump, jump_want = gap.diff(dim=1), gap_want.diff(dim=1)
    two = torch.tensor(2.0)
    return {
        "shape": 10 * mean(_distance(open_said, open_want)),
        "close": 1.5 * mean(bce),
        "gap": 4 * mean((gap - gap_want).abs()),
        "speed": 4 * ((jump - jump_want).abs() * valid[:, 1:]).sum() / valid[:, 1:].sum().clamp(min=1),
        "width": 6 * mean(F.smooth_l1_loss(width(said.articulators), width(want), beta=0.2, reduction="none")),
        "phones": 0.4 * mean(F.cross_entropy(said.phones.transpose(1, 2), batch.phones[:, :-1], reduction="none")),
        "next": 0.75
        * mean(
            F.binary_cross_entropy_with_logits(said.next_close, following, pos_weight=two, reduction="none")
            + 0.5 * F.binary_cross_entropy_with_logits(said.next_labial, labial, reduction="none")
        ),
    }


def _shift(motion: Tensor) -> Tensor:
    """What each step's past is when the steps say ``motion`` [B, T, 9]: one step later, zeros first."""
    return F.pad(motion[:, :-1], (0, 0, 1, 0))


def own_past(model: FacialMotion, features: Tensor, batch: Batch, share: float, rng: np.random.Generator) -> Tensor:
    """The past to train a step on: noisy truth in some rows, in a ``share`` of them what the model itself says.

    Running freely step by step is slow to train. A few parallel passes come close to it: say everything, mostly from no
    past at all, then say everything again from that. Some rows have no past, so that the sound alone must do.
    """
    rows = len(features)
    truth = batch.motion[:, :-1]
    noisy = truth + 0.08 * torch.randn(truth.shape) * torch.rand(rows, 1, 1)
    delay = torch.from_numpy(rng.integers(0, 2, rows) * (rng.random(rows) < 0.3))  # a past that lags, at times
    noisy = torch.where(delay.view(-1, 1, 1).bool(), _shift(noisy), noisy)
    kind = torch.from_numpy(rng.random(rows)).view(-1, 1, 1)
    past = fed_back(_shift(noisy)) * (kind > NO_PAST)
    if share > 0:
        style = features.new_zeros(rows, features.shape[2])
        with torch.no_grad():
            said = past * (torch.rand(rows, 1, 1) > 0.8)
            for _ in range(2 + int(rng.random() < 0.3)):
                lips = read_lips(model.generator.lips(features, said, batch.look_ahead, style)).articulators
                said = fed_back(_shift(lips))
        past = torch.where((kind > NO_PAST) & (kind < NO_PAST + (1 - NO_PAST) * share), said, past)
    return past


def mask_features(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """SpecAugment: hide short stretches of time and narrow bands, in about half of the rows."""
    mel = mel.clone()
    for row in range(len(mel)):
        if rng.random() < 0.4:
            for _ in range(int(rng.integers(1, 4))):
                start, length = int(rng.integers(mel.shape[1])), int(rng.integers(2, 12))
                mel[row, start : start + length] = mel[row].mean()
        if rng.random() < 0.4:
            start, length = int(rng.integers(mel.shape[2])), int(rng.integers(1, 8))
            mel[row, :, start : start + length] = mel[row].mean()
    return mel


def bundled_encoder(model: FacialMotion) -> AudioEncoder:
    """The model's encoder, which must be the one that starts from log-mel. Raises ValueError for another."""
    if not isinstance(model.encoder, AudioEncoder):
        raise ValueError(f"Training starts from log-mel features, which {type(model.encoder).__name__} does not take.")
    return model.encoder


class Trainer:
    """Model, optimiser and schedule, saved together now and then so that a stopped run goes on where it was."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.checkpoint = plan, folder / "checkpoint.safetensors"
        self.model = FacialMotion(FacialConfig(dropout=plan.dropout))
        self.optimiser = torch.optim.AdamW(self.model.parameters(), plan.peak_rate, weight_decay=0.02)
        self.step = 0
        if self.checkpoint.exists():
            self._resume(load_file(str(self.checkpoint)))

    def _parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        return list(self.model.named_parameters())

    def save(self) -> None:
        tensors = {f"model.{k}": v.clone() for k, v in self.model.state_dict().items()}
        for name, parameter in self._parameters():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{key}.{name}"] = value.clone()
        tensors["step"] = torch.tensor(self.step)
        part = self.checkpoint.with_suffix(".part")
        save_file(tensors, str(part))
        part.replace(self.checkpoint)  # a run stopped while writing keeps the checkpoint before

    def _resume(self, tensors: dict[str, Tensor]) -> None:
        self.step = int(tensors["step"])
        self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        for name, parameter in self._parameters():
            keys = ("step", "exp_avg", "exp_avg_sq")
            state = {key: tensors[f"optimiser.{key}.{name}"] for key in keys if f"optimiser.{key}.{name}" in tensors}
            if state:
                self.optimiser.state[parameter] = state

    def rate(self) -> float:
        """Up over the first twentieth, then down along a cosine."""
        done, warm = self.step / self.plan.steps, 0.05
        if done < warm:
            return self.plan.peak_rate * (0.05 + 0.95 * done / warm)
        return self.plan.peak_rate * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * (done - warm) / (1 - warm))))

    def train_step(self, sources: list[Streams], shares: list[float]) -> dict[str, float]:
        """One step on fresh crops; the crops of step n are the same in every run."""
        plan, model = self.plan, self.model
        rng = np.random.default_rng((plan.seed, self.step))
        batch = draw(rng, sources, shares, plan.rows, plan.frames)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        model.train()
        share = max(plan.own_past, min(0.85, 1.5 * self.step / plan.steps))
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast on one core; the losses stay in full precision
            features = bundled_encoder(model).from_mel(mask_features(batch.mel, rng))
            if plan.past:
                past = own_past(model, features.detach(), batch, share, rng)
            else:
                past = torch.zeros_like(batch.motion[:, :-1])
            style = features.new_zeros(len(features), features.shape[2])
            raw = model.generator.lips(features, past, batch.look_ahead, style)
        terms = losses(read_lips(raw.float()), batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    def run(self, sources: list[Streams], shares: list[float], every: int = 100) -> None:
        """Train to the end of the plan, with a progress line, saving every so often."""
        smooth: dict[str, float] = {}
        with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[loss]}")) as bar:
            task = bar.add_task("Lips", total=self.plan.steps, completed=self.step, loss="")
            while self.step < self.plan.steps:
                for name, value in self.train_step(sources, shares).items():
                    smooth[name] = 0.98 * smooth.get(name, value) + 0.02 * value
                text = " ".join(f"{name} {value:.3f}" for name, value in smooth.items())
                bar.update(task, completed=self.step, loss=text)
                if self.step % every == 0 or self.step == self.plan.steps:
                    self.save()
                    bar.console.print(f"step {self.step}: {text}", soft_wrap=True)
