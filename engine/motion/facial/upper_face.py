"""The face above the mouth (VividTalk eq. 2, i = other): brows, squint, cheeks and nose.

How far brows go up can be told from a voice to a small part only. So the branch says, from sound and from what it said
before, what is to be expected and how far a face strays from that; and how it strays is unrest: noise that moves like
filmed faces (a vector autoregression fitted to them), drawn by the row's seed and the number of its steps, never by
what other rows do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.face.blendshapes import INDEX, NAMES
from engine.motion.chance import APART
from engine.motion.facial.branch import MotionBranch
from engine.motion.head.head_pose import uniform
from engine.streaming import State, StreamingModule, keep

BROW, OUTER, SQUINT, CHEEK, NOSE = range(5)  # the values of a step
UNIT = (0.07, 0.045, 0.06, 0.02, 0.03)  # ARKit coefficients at a value of 1: how far each usually is from its rest
LIMIT = 3.5  # of the values
ORDER = 3  # frames of its past from which unrest follows
_SHAPES = {
    BROW: ("browInnerUp",),
    OUTER: ("browOuterUpLeft", "browOuterUpRight"),
    SQUINT: ("eyeSquintLeft", "eyeSquintRight"),
    CHEEK: ("cheekSquintLeft", "cheekSquintRight"),
    NOSE: ("noseSneerLeft", "noseSneerRight"),
}
_LOWERED = ("browDownLeft", "browDownRight")


def normal(seed: Tensor, count: Tensor, values: int) -> Tensor:
    """Numbers [B, values] that look normally distributed, by seed [B] and step [B] int64 (Box and Muller)."""
    drawn = count[:, None] * (2 * values) + torch.arange(2 * values, device=seed.device)
    u = uniform(seed[:, None] + APART, drawn)
    radius = (-2 * torch.log1p(-u[:, :values])).sqrt()
    return (radius * torch.cos(2 * torch.pi * u[:, values:])).float()


def spread_matrices() -> tuple[Tensor, Tensor]:
    """What values above and below rest do to ARKit's coefficients, [5, 52] each; only brows go below theirs."""
    up, down = torch.zeros(len(UNIT), len(NAMES)), torch.zeros(len(UNIT), len(NAMES))
    for value, names in _SHAPES.items():
        up[value, [INDEX[name] for name in names]] = UNIT[value]
    down[BROW, [INDEX[name] for name in _LOWERED]] = UNIT[BROW]
    return up, down


def to_shapes(values: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Values [..., 5] -> blendshapes [..., 52], by `spread_matrices`."""
    return values.clamp(min=0) @ up + (-values).clamp(min=0) @ down


def read_values(raw: Tensor) -> tuple[Tensor, Tensor]:
    """What is expected and how far it is strayed from, both [..., 5], from the branch's output [..., 10]."""
    expected, spread = raw.chunk(2, -1)
    return expected.clamp(-LIMIT, LIMIT), spread.clamp(-5, 1).exp()


@dataclass
class UpperFaceState(State):
    seed: Tensor  # [B]
    count: Tensor  # [B] steps so far
    unrest: Tensor  # [B, ORDER, 5], the newest first


class UpperFace(StreamingModule[UpperFaceState]):
    """features [B, k, F] -> values [B, k, 5]: what the branch expects, and unrest around it."""

    follow: Tensor
    kick: Tensor
    up: Tensor
    down: Tensor

    def __init__(self, branch: MotionBranch) -> None:
        super().__init__()
        self.branch = branch
        self.given_chance: Tensor | None = None  # [B, 5], drawn by somebody else instead of `normal`
        size = len(UNIT)
        self.register_buffer("follow", torch.zeros(ORDER, size, size))  # unrest follows from its own past ...
        self.register_buffer("kick", torch.eye(size))  # ... and from chance
        for name, matrix in zip(("up", "down"), spread_matrices(), strict=True):
            self.register_buffer(name, matrix, persistent=False)

    def fresh_state(self, batch_size: int) -> UpperFaceState:
        whole = torch.zeros(batch_size, dtype=torch.int64, device=self.kick.device)
        return UpperFaceState(batch_size, whole, whole.clone(), self.kick.new_zeros(batch_size, ORDER, len(UNIT)))

    def begin(self, mask: Tensor, seed: Tensor) -> None:
        """Start the rows of ``mask`` [B] anew with ``seed`` [B] int64; only when streaming."""
        self.reset(mask)
        state = self._require()
        state.seed = keep(seed, state.seed, mask)

    def _require(self) -> UpperFaceState:
        if self._state is None:
            raise RuntimeError("An upper face draws only inside `with module.streaming(...)`.")
        return self._state

    def forward(self, features: Tensor, look_ahead: Tensor, style: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """features [B, k, F], look_ahead [B], style [B, F] -> values [B, k, 5]; only when streaming."""
        steps = []
        for k in range(features.shape[1]):
            raw = self.branch(features[:, k : k + 1], self.branch.past(), look_ahead, style, exec_mask)
            expected, spread = read_values(raw)
            self.branch.remember(expected, exec_mask)
            steps.append((expected + spread * self._stray(exec_mask)).clamp(-LIMIT, LIMIT))
        return torch.cat(steps, 1)

    def to_shapes(self, values: Tensor) -> Tensor:
        """Values [..., 5] -> blendshapes [..., 52]."""
        return to_shapes(values, self.up, self.down)

    def _stray(self, exec_mask: Tensor | None) -> Tensor:
        """The next unrest [B, 1, 5], of unit variance in the long run."""
        state = self._require()
        chance = normal(state.seed, state.count, len(UNIT)) if self.given_chance is None else self.given_chance
        unrest = chance.to(self.kick.dtype) @ self.kick + torch.einsum("bpi,pij->bj", state.unrest, self.follow)
        state.unrest = keep(torch.cat([unrest[:, None], state.unrest[:, :-1]], 1), state.unrest, exec_mask)
        state.count = keep(state.count + 1, state.count, exec_mask)
        return unrest[:, None]
