"""Train what corrects the lips without look-ahead (`engine.motion.facial.hurried`), the rest of the network frozen.

The branch speaks freely over the training streams once, without look-ahead, and its thoughts are kept: what is trained
is not fed back, so they stay what they are. It learns from the teacher, as the branch did, but for the gap: there it is
the squared error of what is shown in the end. Who hears nothing ahead cannot know when lips will part, and the least
absolute error of what cannot be known is a guess; the least squared error is its average, which follows the sound
better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from engine.audio.encoder import MELS_PER_FRAME
from engine.motion.facial.articulators import aperture, coupled
from engine.motion.facial.facial_generator import fed_back, read_lips
from engine.motion.facial.facial_motion import FacialMotion
from engine.training.lips.lip_dataset import Batch, Streams
from engine.training.lips.lip_trainer import bundled_encoder, losses

WIDTH = 96
STREAMS = 64  # of each source that are listened to
_TOGETHER = 32
_GAP = 40.0  # weight of the squared error of the gap


@dataclass(frozen=True)
class HurriedPlan:
    """How long and how hard to train."""

    steps: int = 1500
    rows: int = 24
    frames: int = 150
    peak_rate: float = 1e-3
    dropout: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Thoughts:
    """What the frozen branch makes of the frames of streams, beside what it should have said."""

    thought: np.ndarray  # [n, D] float16
    raw: np.ndarray  # [n, O] float16, what it says itself
    source: Streams


def with_hurried(model: FacialMotion, width: int = WIDTH) -> FacialMotion:
    """A copy of ``model`` with an untrained correction, which changes nothing."""
    grown = FacialMotion(replace(model.config, hurried_dim=width), model.encoder)
    others = {k: v for k, v in model.generator.state_dict().items() if not k.startswith("hurried.")}
    grown.generator.load_state_dict(others, strict=False)
    return grown.eval()


@torch.inference_mode()
def think(model: FacialMotion, source: Streams, most: int = STREAMS, look_ahead: int = 0) -> Thoughts:
    """The branch's thoughts about the frames of the first ``most`` streams of ``source``, running freely.

    With a ``look_ahead`` of some frames, the thoughts about a stream's last ones are of what follows it: nothing.
    """
    starts = source.starts[: most + 1]
    lips, total = model.generator.lips, int(starts[-1])
    thought = np.zeros((total, lips.hidden.in_features), np.float16)
    raw = np.zeros((total, lips.out.out_features), np.float16)
    for group in np.array_split(np.argsort(np.diff(starts)), -(-(len(starts) - 1) // _TOGETHER)):
        frames = int(np.diff(starts)[group].max()) + look_ahead
        mel = np.zeros((len(group), MELS_PER_FRAME * frames, source.mel.shape[1]), np.float32)
        for row, k in enumerate(group):
            heard = source.mel[MELS_PER_FRAME * starts[k] : MELS_PER_FRAME * starts[k + 1]]
            mel[row, : len(heard)] = heard
        features = bundled_encoder(model).from_mel(torch.from_numpy(mel))
        ahead, style = torch.full((len(group),), look_ahead), features.new_zeros(len(group), features.shape[2])
        made, said = [], []
        with model.streaming(len(group)):
            for frame in range(frames):
                made.append(lips.think(features[:, frame : frame + 1], lips.past(), ahead, style))
                said.append(lips.say(made[-1]))
                lips.remember(fed_back(read_lips(said[-1]).articulators))
        for kept, new in ((thought, torch.cat(made, 1)), (raw, torch.cat(said, 1))):
            for row, k in enumerate(group):
                length = int(starts[k + 1] - starts[k])
                kept[starts[k] : starts[k + 1]] = new[row, look_ahead : look_ahead + length].numpy()
    return Thoughts(thought, raw, source)


def _crops(
    rng: np.random.Generator, sources: list[Thoughts], shares: list[float], plan: HurriedPlan
) -> tuple[Batch, Tensor, Tensor]:
    """Random crops: the teacher's side of a `Batch`, thoughts [B, T, D] and what the branch says [B, T, O]."""
    rows, frames = plan.rows, plan.frames
    motion = np.zeros((rows, frames + 1, sources[0].source.motion.shape[1]), np.float32)
    phones, valid = np.zeros((rows, frames + 1), np.int64), np.zeros((rows, frames), bool)
    thought = np.zeros((rows, frames, sources[0].thought.shape[1]), np.float32)
    raw = np.zeros((rows, frames, sources[0].raw.shape[1]), np.float32)
    for row in range(rows):
        one = sources[int(rng.choice(len(sources), p=shares))]
        starts = one.source.starts[: int(np.searchsorted(one.source.starts, len(one.raw))) + 1]
        stream = int(rng.integers(len(starts) - 1))
        begin, end = int(starts[stream]), int(starts[stream + 1])
        first = int(rng.integers(begin, max(begin + 1, end - frames)))
        known = min(frames, end - first - 1)  # one frame more is told of each
        motion[row, : known + 1] = one.source.motion[first : first + known + 1]
        phones[row, : known + 1] = one.source.phones[first : first + known + 1]
        valid[row, :known] = one.source.trusted[first : first + known]
        thought[row, :known], raw[row, :known] = one.thought[first : first + known], one.raw[first : first + known]
    tensor = torch.from_numpy
    nothing = torch.zeros(rows, 0, 0)
    batch = Batch(nothing, tensor(motion), tensor(phones), torch.zeros(rows, dtype=torch.int64), tensor(valid))
    return batch, tensor(thought), tensor(raw)


def hurried_loss(raw: Tensor, batch: Batch, gain: Tensor) -> Tensor:
    """What is minimised for what is said in the end, raw [B, T, O]."""
    said = read_lips(raw)
    terms = losses(said, batch)
    shown = aperture(coupled(said.articulators * gain))
    wrong = (shown - aperture(batch.motion[:, :-1])) ** 2
    gap = (wrong * batch.valid).sum() / batch.valid.sum().clamp(min=1)
    others = [term for name, term in terms.items() if name not in ("gap", "speed")]
    return torch.stack(others).sum() + _GAP * gap


def train_hurried(model: FacialMotion, sources: list[Thoughts], shares: list[float], plan: HurriedPlan) -> float:
    """Train the correction of ``model`` (from `with_hurried`) in place; nothing else changes. Returns the last loss."""
    torch.manual_seed(plan.seed)
    model.eval().requires_grad_(False)
    hurried = model.generator.hurried.requires_grad_(True)
    optimiser = torch.optim.AdamW(hurried.parameters(), plan.peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.peak_rate, plan.steps, pct_start=0.05)
    smooth = 0.0
    for step in track(range(plan.steps), "Without look-ahead"):
        batch, thought, raw = _crops(np.random.default_rng((plan.seed, step)), sources, shares, plan)
        said = raw + hurried(F.dropout(thought, plan.dropout), batch.look_ahead)
        loss = hurried_loss(said, batch, model.generator.gain)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(hurried.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        smooth = float(loss.detach()) if step == 0 else 0.98 * smooth + 0.02 * float(loss.detach())
    model.requires_grad_(False)
    return smooth
