"""Train the branch for the face above the mouth (VividTalk eq. 2, i = other): films for how it moves, a prior for when.

Three things are learned:

unrest     how a face moves around what is expected of it: a vector autoregression, fitted to the films for training;
prosody    what is expected, and how far unrest may go: the branch, by maximum likelihood. Its corpus is all the speech,
           under the prior of `engine.training.lips.upper_face_prior`;
films      as they are, a fifth of the branch's crops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.upper_face import UNIT, read_values
from engine.training.films.film_tracks import Track
from engine.training.lips.lip_dataset import Streams, draw
from engine.training.lips.lip_trainer import bundled_encoder, mask_features
from engine.training.lips.upper_face_prior import FilmedFace, draw_unrest, fit_unrest, measured, prior

WIDTH = 48  # of the branch
FILMED = 0.2  # of the crops
_BANDS = slice(6, 30)  # 300 Hz to 4 kHz


@dataclass(frozen=True)
class UpperFacePlan:
    """How long and how hard to train."""

    steps: int = 900
    rows: int = 24
    frames: int = 100
    peak_rate: float = 3e-3
    seed: int = 0


def with_upper_face(model: FacialMotion, films: list[FilmedFace]) -> FacialMotion:
    """A copy of ``model`` that has an untrained branch for the upper face, and unrest like that of the films."""
    grown = FacialMotion(replace(model.config, upper_dim=WIDTH), model.encoder)
    others = {k: v for k, v in model.generator.state_dict().items() if not k.startswith("upper_face.")}
    grown.generator.load_state_dict(others, strict=False)
    follow, kick = fit_unrest(films)
    grown.generator.upper_face.follow.copy_(torch.from_numpy(follow))
    grown.generator.upper_face.kick.copy_(torch.from_numpy(kick))
    return grown


@dataclass(frozen=True)
class _Crops:
    features: Tensor  # [B, T, F]
    values: Tensor  # [B, T, 5] of frame n - look_ahead
    look_ahead: Tensor  # [B]
    valid: Tensor  # [B, T]


def _early(values: np.ndarray, by: int) -> np.ndarray:
    """``values`` [T, ...] ``by`` frames earlier, the last repeated."""
    return np.concatenate([values[by:], np.repeat(values[-1:], by, 0)])


def _late(values: np.ndarray, by: int) -> np.ndarray:
    """``values`` [T, 5] ``by`` frames later, the first repeated: what is due when frame n has been heard."""
    return np.concatenate([np.repeat(values[:1], by, 0), values[: len(values) - by]]) if by else values


def _crops(
    model: FacialMotion,
    rng: np.random.Generator,
    sources: list[Streams],
    shares: list[float],
    films: list[FilmedFace],
    plan: UpperFacePlan,
) -> _Crops:
    """Crops of the corpus under the prior, some rows replaced by films."""
    batch = draw(rng, sources, shares, plan.rows, plan.frames)
    mel, ahead = batch.mel.clone(), batch.look_ahead.tolist()
    values = np.zeros((plan.rows, plan.frames, len(UNIT)), np.float32)
    valid = np.ones((plan.rows, plan.frames), bool)
    upper = model.generator.upper_face
    stray = [draw_unrest(rng, plan.frames, upper.follow.numpy(), upper.kick.numpy()) for _ in range(plan.rows)]
    for row in range(plan.rows):
        if rng.random() < FILMED:
            film = films[int(rng.integers(len(films)))]
            begin = int(rng.integers(max(1, len(film.values) - plan.frames)))
            told = film.values[begin : begin + plan.frames]
            sound = film.samples[begin * SAMPLES_PER_FRAME :][: len(told) * SAMPLES_PER_FRAME]
            with torch.no_grad():
                heard = bundled_encoder(model).mel(torch.from_numpy(np.ascontiguousarray(sound))[None])[0]
            mel[row] = heard[-1]
            mel[row, : len(heard)] = heard
            valid[row, len(told) :] = False
            values[row, : len(told)] = told
        else:
            level = mel[row].numpy().reshape(plan.frames, -1, mel.shape[2])[:, :, _BANDS].mean((1, 2))
            lips = _early(batch.motion[row, :-1].numpy(), ahead[row])
            spoken = _early(batch.phones[row, :-1].numpy() > 0, ahead[row])
            values[row] = prior(level, gaussian_filter1d(spoken.astype(float), 3.0) > 0.3, lips, stray[row])
        values[row] = _late(values[row], ahead[row])
    with torch.no_grad():
        features = bundled_encoder(model).from_mel(mask_features(mel, rng))
    tensor = torch.from_numpy
    return _Crops(features, tensor(values), batch.look_ahead, tensor(valid))


def _loss(said: Tensor, crops: _Crops) -> Tensor:
    """Negative logarithm of the likelihood of each value, averaged over values and frames."""
    expected, spread = read_values(said)
    each = 0.5 * ((crops.values - expected) / spread) ** 2 + spread.log()
    return (each.mean(-1) * crops.valid).sum() / crops.valid.sum()


def train_upper_face(
    model: FacialMotion,
    films: list[FilmedFace],
    sources: list[Streams],
    shares: list[float],
    plan: UpperFacePlan,
) -> float:
    """Train the branch of ``model`` (from `with_upper_face`) in place; nothing else changes. Returns the last loss.

    The past it is shown is what it says itself, in some rows nothing.
    """
    torch.manual_seed(plan.seed)
    model.eval().requires_grad_(False)
    branch = model.generator.upper_face.branch
    branch.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(branch.parameters(), plan.peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.peak_rate, plan.steps, pct_start=0.1)
    smooth = 0.0
    for step in track(range(plan.steps), "Upper face"):
        rng = np.random.default_rng((plan.seed, step))
        crops = _crops(model, rng, sources, shares, films, plan)
        style = crops.features.new_zeros(plan.rows, crops.features.shape[2])
        past = torch.zeros_like(crops.values)
        with torch.no_grad():
            for _ in range(2):
                expected, _ = read_values(branch(crops.features, past, crops.look_ahead, style))
                past = F.pad(expected[:, :-1], (0, 0, 1, 0)) * (torch.rand(plan.rows, 1, 1) > 0.1)
        loss = _loss(branch(crops.features, past, crops.look_ahead, style), crops)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(branch.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        smooth = float(loss.detach()) if step == 0 else 0.95 * smooth + 0.05 * float(loss.detach())
    model.eval()
    return smooth


def said_for(model: FacialMotion, samples: FloatArray, look_ahead: int = 2, seed: int = 0) -> FloatArray:
    """What the branch makes of a voice [640 T]: values [T, 5], moved to the frames they belong to."""
    padded = np.concatenate([samples, np.zeros(look_ahead * SAMPLES_PER_FRAME, np.float32)])
    generator = model.generator
    with torch.inference_mode(), model.streaming(1):
        model.begin(torch.tensor([True]), torch.tensor([seed]))
        features = model.encode(torch.from_numpy(padded)[None])
        style = generator.z_style(None, features)
        said = generator.upper_face(features, torch.tensor([look_ahead]), style)
    return np.asarray(said[0, look_ahead:].numpy(), np.float32)


def liveliness(model: FacialMotion, tracks: list[Track]) -> dict[str, float]:
    """How far and how fast the upper face moves beside filmed ones hearing the same voice: medians of ratios.

    Of all five values together; films are in their people's own size, of which there are great and small.
    """
    rows = []
    for one in tracks:
        real, said = measured(one), said_for(model, one.samples)
        rows.append([f(said) / max(f(real), 1e-6) for f in (_far, _fast)])
    far, fast = np.median(rows, 0)
    return {"spread": round(float(far), 2), "speed": round(float(fast), 2)}


def _far(values: FloatArray) -> float:
    return float(values.std(0).mean())


def _fast(values: FloatArray) -> float:
    return float(np.sqrt((np.diff(values, axis=0) ** 2).mean()))
