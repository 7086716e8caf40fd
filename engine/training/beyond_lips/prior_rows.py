"""Rows to train the prior on: crops of movement, of which each shows the network one of its tasks.

*streaming*  the past is given, noise grows with distance into the future, sound ends a little after now;
*whole*      one noise level for all, a tenth of the frames given (supplement I.3, I.4), sound to the end or a place;
*causal*     each token sees those before it, and says its own (the autoregressive prior).

In the first two, sound is sometimes hidden altogether, for guidance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.a2v.prior_network import VALUES, PriorConfig
from engine.contracts import FloatArray
from engine.motion.prior.noise import STEPS, ladder, shares
from engine.motion.prior.window import HEARD
from engine.training.beyond_lips.nonlip_data import Movements
from engine.training.pose.pose_data import as_detected

_KINDS = (0.55, 0.25, 0.20)  # of the rows: streaming, whole, causal
_HIDDEN = 0.12  # of the rows hear nothing
_GIVEN = 0.10  # of the frames of whole rows
_PINNED = 0.3  # of the streaming rows have keys ahead
_YOUNG = 0.2  # of the streaming rows began a moment ago
_EXACT = 0.7  # of the streaming rows stand on the rungs on which the stream does
_BLUR = 0.06  # standard deviation of what is wrong about a past: it is the network's own, later
_FLOOR = -1.878  # of the log-mel features


@dataclass(frozen=True)
class PriorRows:
    """One training step's; the fields of `PriorNetwork.forward`, what is to come out, and where it counts."""

    values: Tensor
    given: Tensor
    level: Tensor
    sound: Tensor
    heard: Tensor
    present: Tensor
    style: Tensor
    causal: Tensor
    clean: Tensor  # [B, T, f 24]
    counts: Tensor  # [B, T, f 24]


def draw_rows(
    rng: np.random.Generator,
    sources: list[tuple[Movements, float]],
    rows: int,
    config: PriorConfig,
    usual: tuple[FloatArray, FloatArray],
) -> PriorRows:
    """``rows`` rows from sources with their shares; ``usual`` are the mean and spread [24] of values."""
    tokens, f = config.past + config.window, config.frames
    frames = tokens * f
    which = rng.choice(len(sources), rows, p=[share for _, share in sources])
    crops = [_crop(rng, sources[k][0], frames) for k in which]
    clean = (np.stack([c[1] for c in crops])[:, :frames] - usual[0]) / usual[1]  # [B, F, 24]
    sound = np.stack([c[0] for c in crops])  # [B, F + 3, 33]
    style = np.stack([c[2] for c in crops])
    noise = rng.standard_normal(clean.shape, np.float32)
    parts = [_row(rng, config, clean[b], sound[b], noise[b]) for b in range(rows)]
    made = {key: torch.from_numpy(np.stack([part[key] for part in parts])) for key in parts[0]}
    made = {
        key: value.float().reshape(rows, tokens, -1) if value.dim() > 2 else value.float()
        for key, value in made.items()
    }
    return PriorRows(
        **made, style=torch.from_numpy(style), clean=torch.from_numpy(clean.reshape(rows, tokens, -1)).float()
    )


def _crop(rng: np.random.Generator, source: Movements, frames: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sound [frames + 3, 33], values [frames, 24] and style of some stream; short ones are held at their end."""
    stream = int(rng.choice(len(source.shares), p=source.shares / source.shares.sum()))
    begin, end = (int(k) for k in source.begins[stream : stream + 2])
    at = begin + int(rng.integers(max(1, end - begin - frames + 1)))
    where = np.minimum(np.arange(at, at + frames + 3), end - 1)
    sound = source.sound[where].copy()
    sound[:, :-1] = np.maximum(sound[:, :-1] + rng.uniform(-0.5, 0.3), _FLOOR)
    sound[:, -1] = as_detected(rng, sound[:, -1] > 0.5)
    return sound, source.values[where[:frames]], source.styles[stream]


def _row(
    rng: np.random.Generator, config: PriorConfig, clean: FloatArray, sound: FloatArray, noise: FloatArray
) -> dict[str, np.ndarray]:
    """One row's fields of `PriorRows`, frame by frame where the network wants tokens."""
    kind = rng.choice(3, p=_KINDS)
    frames, f, past = len(clean), config.frames, config.past
    ahead = int(rng.integers(4))  # frames of look-ahead
    tokens = frames // f
    given, level, present = np.zeros((frames, VALUES)), np.zeros(tokens), np.ones(tokens)
    heard = np.ones(frames)
    hears = sound[:frames]
    told = clean
    if kind == 2:
        shown = np.concatenate([np.zeros((f, VALUES)), clean[:-f]])
        told = shown + _BLUR * 2 * noise * (rng.random() < 0.7)
        given[f:] = 1
        back = f - 1 - ahead  # token j hears frames up to f j + ahead: of a stream's, the newest
        where = np.arange(frames) - back
        hears, heard = sound[where.clip(0)], (where >= 0).astype(float)
    elif kind == 1:
        level[:] = rng.uniform(1, STEPS)
        given[rng.random(frames) < _GIVEN] = 1
        if rng.random() < 0.5:
            given[:f] = 1
        if rng.random() < 0.5:
            heard[int(rng.integers(frames)) :] = 0
    else:
        given[: past * f] = 1
        up = 1.0 if rng.random() < _EXACT else rng.random()
        rungs = np.arange(config.window + 1)
        level[past:] = np.interp(rungs[:-1] + up, rungs, ladder(config.window))
        heard[past * f + ahead + 1 :] = 0
        if rng.random() < _YOUNG:
            young = int(rng.integers(1, past + 1))
            present[:young], heard[: young * f] = 0, 0
        if rng.random() < 0.5:
            told = clean + _BLUR * noise
    if kind < 2:
        if kind == 0 and rng.random() < _PINNED:
            _pin(rng, given, past * f)
        if rng.random() < _HIDDEN:
            heard[:] = 0
        signal, left = (share.repeat(f)[:, None] for share in shares(level))
        told = np.where(
            given > 0, np.where(np.arange(frames)[:, None] < past * f, told, clean), signal * clean + left * noise
        )
    counts = np.ones_like(given) if kind == 2 else 1 - given
    there = present.repeat(f)[:, None]
    return {
        "values": (told * there).astype(np.float32),
        "given": (given * there).astype(np.float32),
        "level": level.astype(np.float32),
        "sound": hears.reshape(tokens, f * HEARD),
        "heard": heard.reshape(tokens, f).astype(np.float32),
        "present": present.astype(np.float32),
        "causal": np.array(kind == 2, np.float32),
        "counts": (counts * there).astype(np.float32),
    }  # fmt: skip


def _pin(rng: np.random.Generator, given: np.ndarray, now: int) -> None:
    """Give some values of one or two frames ahead, or all of them."""
    for _ in range(int(rng.integers(1, 3))):
        frame = int(rng.integers(now, len(given)))
        some = np.arange(VALUES) if rng.random() < 0.3 else rng.choice(VALUES, int(rng.integers(1, 7)), replace=False)
        given[frame : frame + int(rng.integers(1, 4)), some] = 1
