"""The generator tuned on one person's squares: shared weights to begin with, but at first nothing is added."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.render.learned.picture_generator import SHOWN, Generator
from engine.training.picture.picture_losses import Edges, unlike
from engine.tuning.lip_squares import Squares

FROZEN = "look."  # what sees the portrait stays as it is: it is asked once, by the shared program
AT_ONCE = 16  # squares that are judged together


@dataclass(frozen=True)
class Plan:
    """How hard to train, and when to stop."""

    rows: int = 8
    rate: float = 3e-3
    warm: int = 30  # steps until it is reached
    steps: int = 6000  # at most
    every: int = 50  # steps between looks at what chooses
    patience: int = 8  # of those looks without a gain
    ema: float = 0.99  # of the running average, which is what is kept
    window: float = 3.0  # how much more a pixel counts that may be changed
    pixels: float = 4.0
    perceptual: float = 2.0
    structure: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Tuned:
    """What was reached."""

    tensors: dict[str, np.ndarray]  # float32, by the shared weights' names
    before: float  # grey levels of error on what chose
    after: float
    steps: int


def beginning(shared: Generator) -> Generator:
    """A copy that adds nothing yet."""
    mine = copy.deepcopy(shared).eval()
    for name, parameter in mine.named_parameters():
        parameter.requires_grad_(not name.startswith(FROZEN))
    with torch.no_grad():
        mine.leave.weight.zero_()
        assert mine.leave.bias is not None
        mine.leave.bias.zero_()
    return mine


def tune(
    shared: Generator, teach: Squares, choose: Squares, over: Callable[[int], bool], plan: Plan | None = None
) -> Tuned | None:
    """The state that did best on ``choose``, or None where none did better than nothing.

    ``over`` is told each step's number and says whether time is up. An interruption by hand ends it just so.
    """
    plan = plan or Plan()
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    mine, edges = beginning(shared), Edges()
    learning = [p for p in mine.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, plan.rate, (0.9, 0.99), weight_decay=0.01)
    average = {name: p.detach().clone() for name, p in mine.named_parameters() if p.requires_grad}
    before = best = error(mine, choose)
    found: Tuned | None = None
    since = step = 0
    try:
        while step < plan.steps and since < plan.patience and not over(step):
            for group in optimiser.param_groups:
                group["lr"] = plan.rate * min(1.0, (step + 1) / plan.warm)
            loss = _loss(plan, mine, edges, teach, rng.integers(len(teach), size=plan.rows))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(learning, 1.0)
            optimiser.step()
            step += 1
            with torch.no_grad():
                for name, value in mine.named_parameters():
                    if name in average:
                        average[name].lerp_(value, 1 - min(plan.ema, step / (step + 9)))
            if step % plan.every == 0:
                with _averaged(mine, average):
                    now = error(mine, choose)
                since = 0 if now < best else since + 1
                if now < best:
                    best = now
                    kept = {f"generator.{name}": value.numpy().copy() for name, value in average.items()}
                    found = Tuned(kept, before, now, step)
    except KeyboardInterrupt:
        pass
    return found


@contextmanager
def _averaged(mine: Generator, average: dict[str, Tensor]) -> Iterator[None]:
    """With the running average in the place of the weights."""
    own = {name: p.detach().clone() for name, p in mine.named_parameters() if name in average}
    mine.load_state_dict(average, strict=False)
    yield
    mine.load_state_dict(own, strict=False)


def made(mine: Generator, seen: Squares, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Squares [n, 3, 128, 128] as they are shown, the true ones, and how much of each [n, 1, 128, 128] counts."""
    painted, texture, truth = (
        torch.from_numpy(x[rows]).float() / 255 for x in (seen.painted, seen.texture, seen.truth)
    )
    occlusion, followed = (torch.from_numpy(x[rows]).float() for x in (seen.occlusion, seen.followed))
    light, gate = torch.from_numpy(seen.light), torch.from_numpy(seen.moved[rows]).view(-1, 1, 1, 1)
    added = SHOWN * mine(painted * light, texture, occlusion, followed) / light
    window = F.interpolate(1 - occlusion, scale_factor=4, mode="bilinear", align_corners=False)
    return (painted + gate * added).clamp(0, 1), truth, window


def _loss(plan: Plan, mine: Generator, edges: Edges, teach: Squares, rows: np.ndarray) -> Tensor:
    shown, truth, window = made(mine, teach, rows)
    weight = 1 + 2 * plan.window * window
    unlikeness = [(a - b).abs().mean() for a, b in zip(edges(shown), edges(truth), strict=True)]
    return (
        plan.pixels * ((shown - truth).abs() * weight).mean()
        + plan.perceptual * torch.stack(unlikeness).mean()
        + plan.structure * unlike(shown, truth)
    )


@torch.no_grad()
def error(mine: Generator, seen: Squares) -> float:
    """Mean difference within the window, in grey levels."""
    total = weight = 0.0
    for rows in np.array_split(np.arange(len(seen)), -(-len(seen) // AT_ONCE)):
        shown, truth, window = made(mine, seen, rows)
        total += float(((shown - truth).abs() * window).sum())
        weight += 3 * float(window.sum())
    return 255 * total / max(weight, 1e-6)
