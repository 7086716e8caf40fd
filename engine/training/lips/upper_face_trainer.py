"""Train the branch for the face above the mouth (VividTalk eq. 2, i = other): films for how it moves, a prior for when.

In the films at hand brows, squint and cheeks cannot be told from the voice: regression on level and tone explains some
hundredths of how they move, for speakers not seen. What films do tell is how far and how fast they move, and what
together with what. So three things are learned:

unrest     how a face moves around what is expected of it: a vector autoregression, fitted to the films for training;
prosody    what is expected, and how far unrest may go: the branch, by maximum likelihood. Its corpus is all the speech,
           under a prior: brows go up with syllables that stand out, more where a phrase begins, as speakers' do (Cave
           et al. 1996, Flecha-Garcia 2010); the nose wrinkles with the upper lip, cheeks rise with wide lips; in
           silence everything calms down;
films      as they are, a fifth of the branch's crops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from torch import Tensor

from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.face.blendshapes import INDEX
from engine.motion.facial.articulators import STRETCH, UPPER_UP
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.upper_face import BROW, CHEEK, LIMIT, NOSE, ORDER, OUTER, SQUINT, UNIT, read_values
from engine.training.films.film_tracks import Track
from engine.training.lips.lip_dataset import Streams, draw
from engine.training.lips.lip_trainer import bundled_encoder, mask_features
from engine.training.pose.pose_prior import stresses

WIDTH = 48  # of the branch
RAISE = 1.5  # values: how far a brow goes up with a syllable that stands out
ACCENT = 1.3  # standard deviations of the level, above which a syllable stands out
STRAY = 0.36  # values: the unrest of a speaker
CALM = 0.5  # of it in silence
FILMED = 0.2  # of the crops
_BANDS = slice(6, 30)  # 300 Hz to 4 kHz
_BLINK = 0.3  # eyes this far shut pull the tracker's brows and squint along
_NUGGET = 0.0004  # of the variance: what the tracker adds to every frame on its own
_STEADY = 2.0  # frames over which tracks are smoothed: below, it is the tracker that moves


@dataclass(frozen=True)
class UpperFacePlan:
    """How long and how hard to train."""

    steps: int = 900
    rows: int = 24
    frames: int = 100
    peak_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True)
class FilmedFace:
    """One tracked shot: what was heard, and how the upper face moved."""

    samples: FloatArray  # [640 T]
    values: FloatArray  # [T, 5], of usual size


def measured(track: Track) -> FloatArray:
    """A shot's values [T, 5] as `to_shapes` reads them, in the person's own size, blinks bridged."""
    shapes = track.blendshapes

    def both(name: str) -> np.ndarray:
        return np.asarray(0.5 * (shapes[:, INDEX[f"{name}Left"]] + shapes[:, INDEX[f"{name}Right"]]))

    raw = np.stack(
        [
            shapes[:, INDEX["browInnerUp"]] - both("browDown"),
            both("browOuterUp"),
            both("eyeSquint"),
            both("cheekSquint"),
            both("noseSneer"),
        ],
        1,
    )
    open_eyes = np.flatnonzero(gaussian_filter1d((both("eyeBlink") > _BLINK).astype(float), 1.5) < 0.05)
    if len(open_eyes) > 1:
        raw = np.stack([np.interp(np.arange(len(raw)), open_eyes, curve[open_eyes]) for curve in raw.T], 1)
    rest = np.r_[np.median(raw[:, :SQUINT], 0), np.percentile(raw[:, SQUINT:], 20, 0)]
    return np.asarray(gaussian_filter1d(raw - rest, _STEADY, axis=0) / UNIT, np.float32)


def filmed_face(track: Track) -> FilmedFace:
    """A shot to learn from: its movement brought to the usual size, for people and trackers differ threefold."""
    values = measured(track)
    size = float(np.sqrt((values[:, :SQUINT] ** 2).mean()))
    return FilmedFace(track.samples, (values / np.clip(size, 0.6, 4)).clip(-LIMIT, LIMIT))


def fit_unrest(films: list[FilmedFace]) -> tuple[FloatArray, FloatArray]:
    """How unrest follows from its past [ORDER, 5, 5] and from chance [5, 5], at unit variance in the long run.

    Yule and Walker's equations over all films: their solution cannot run away.
    """
    size = len(UNIT)
    lags = np.zeros((ORDER + 1, size, size))  # how values now go with values k frames ago
    for film in films:
        centred = film.values.astype(np.float64) - film.values.mean(0)
        for k in range(ORDER + 1):
            lags[k] += centred[k:].T @ centred[: len(centred) - k]
    spread = np.sqrt(np.diag(lags[0]))
    lags /= spread[:, None] * spread
    lags[0] += _NUGGET * np.eye(size)
    row = [[lags[j - i] if j >= i else lags[i - j].T for j in range(ORDER)] for i in range(ORDER)]
    past = np.block(row).astype(np.float64)  # of (newest, ..., oldest) with itself
    now = np.concatenate([lags[k] for k in range(1, ORDER + 1)], 1)  # [5, 5 ORDER]
    follow = now @ np.linalg.inv(past)
    left = lags[0] - follow @ now.T
    values, vectors = np.linalg.eigh(0.5 * (left + left.T))
    kick = vectors * np.sqrt(values.clip(1e-6))  # [5, 5], chance @ kick.T
    by_lag = follow.reshape(size, ORDER, size).transpose(1, 2, 0)  # past @ by_lag
    return by_lag.astype(np.float32), kick.T.astype(np.float32)


def accents(level: FloatArray, speaking: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the syllables that stand out of the speech before them [n], and how far [n], 0 to 2."""
    peaks, _ = stresses(level, speaking)
    heard, weight = gaussian_filter1d(level.astype(float), 1.0), speaking.astype(float) + 1e-3
    usual = lfilter([0.04], [1, -0.96], heard * weight) / lfilter([0.04], [1, -0.96], weight)
    away = (heard - usual)[peaks] / max(0.1, float((heard - usual)[speaking].std()) if speaking.any() else 0.1)
    return peaks[away > ACCENT], np.clip(away[away > ACCENT] - ACCENT, 0, 2)


def _raised(level: FloatArray, speaking: np.ndarray) -> np.ndarray:
    """How far prosody raises the brows [T], highest 160 ms after an accent, higher where a phrase begins."""
    starts = np.flatnonzero(speaking & ~np.r_[False, speaking[:-1]])
    times, raised = np.arange(len(level)), np.zeros(len(level))
    for peak, strong in zip(*accents(level, speaking), strict=True):
        first = bool(((starts <= peak) & (starts > peak - 15)).any())
        height = RAISE * (0.5 + 0.7 * strong) * (1.4 if first else 1.0)
        t = times - peak - 4
        raised = np.maximum(raised, height * np.exp(-((t / np.where(t < 0, 4.0, 7.0)) ** 2)))
    return raised


def prior(level: FloatArray, speaking: np.ndarray, lips: FloatArray, stray: FloatArray) -> FloatArray:
    """Values [T, 5] for a voice: its ``level`` [T], whether it speaks [T], its articulators [T, 9], unrest [T, 5]."""
    lively = CALM + (1 - CALM) * gaussian_filter1d(speaking.astype(float), 6)
    out = STRAY * lively[:, None] * stray
    raised = _raised(level, speaking)
    out[:, BROW] += raised
    out[:, OUTER] += 0.8 * raised
    out[:, SQUINT] += 0.5
    out[:, NOSE] += 0.3 + 1.2 * gaussian_filter1d(lips[:, UPPER_UP].astype(float), 2.0)
    out[:, CHEEK] += 0.3 + 1.0 * gaussian_filter1d(lips[:, STRETCH].astype(float), 3.0)
    return np.asarray(gaussian_filter1d(out, 0.8, axis=0).clip(-LIMIT, LIMIT), np.float32)


def draw_unrest(rng: np.random.Generator, frames: int, follow: FloatArray, kick: FloatArray) -> FloatArray:
    """Unrest [frames, 5] as the engine will draw it, long after its beginning."""
    warm = 60
    chance = rng.normal(0, 1, (frames + warm, len(UNIT))) @ kick
    out = np.zeros((frames + warm + ORDER, len(UNIT)))
    for k in range(frames + warm):
        out[k + ORDER] = chance[k] + sum(out[k + ORDER - 1 - j] @ follow[j] for j in range(ORDER))
    return np.asarray(out[-frames:], np.float32)


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
