"""How heads and upper faces move beside filmed ones (supplement I.5, table I): distances, spread, blinks, beats, seams.

Values are [T, 24] (`engine.motion.prior.nonlip`) from each clip's own rest, filmed and made ones alike, and counted in
the spread that filmed people have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, FloatArray
from engine.motion.prior.nonlip import PLACE, POSE
from engine.training.lips.upper_face_prior import accents
from engine.training.pose.pose_data import hear
from engine.training.pose.pose_evaluation import beats, diversity

LIDS = PLACE["eyeBlinkLeft"]
BROWS = [PLACE[name] for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
_SHUT, _BEGUN, _LONGEST = 0.35, 0.2, 15  # how far lids close in a blink, from where on, and for how many frames at most
_EARLY, _LATE = slice(-4, 1), slice(2, 8)  # frames from an accent in which brows rest, and in which they are up


@dataclass(frozen=True)
class Clip:
    """One voice, and what moved to it."""

    name: str
    samples: FloatArray  # [640 T]
    real: FloatArray  # [T, 24]
    made: list[FloatArray]  # [T, 24] for each seed


def frechet(a: FloatArray, b: FloatArray) -> float:
    """Frechet's distance between Gaussians fitted to rows [N, D] and [M, D] (the FID of features that are values)."""
    apart = a.mean(0) - b.mean(0)
    first, second = np.cov(a.T), np.cov(b.T)
    # The eigenvalues of a product of covariances are those of the symmetric form: real, none below zero.
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0))
    mixed = np.linalg.eigvalsh(root.T @ second @ root).clip(0)
    return float(apart @ apart + np.trace(first) + np.trace(second) - 2 * np.sqrt(mixed).sum())


def naturalness(real: list[FloatArray], made: list[FloatArray]) -> dict[str, float]:
    """FID_fm of values, FID_delta-fm of their differences between frames, and SND, their sum.

    Both in the spread of the real ones, each dimension in its own.
    """
    values, steps = np.concatenate(real), np.concatenate([np.diff(r, axis=0) for r in real])
    wide, fast = values.std(0) + 1e-6, steps.std(0) + 1e-6
    still = frechet(np.concatenate(made) / wide, values / wide)
    moving = frechet(np.concatenate([np.diff(m, axis=0) for m in made]) / fast, steps / fast)
    return {"fid_fm": still, "fid_delta_fm": moving, "snd": still + moving}


def spread(clips: list[Clip]) -> dict[str, float]:
    """Variance within clips, and between runs of one voice (multimodality), in the real clips' variance; medians."""
    real = np.mean([clip.real.var(0) for clip in clips], 0) + 1e-9
    made = np.mean([run.var(0) for clip in clips for run in clip.made], 0)
    between = np.mean(
        [np.stack(clip.made).var(0, ddof=1).mean(0) for clip in clips if len(clip.made) > 1] or [0 * real], 0
    )
    named = {"variance": made / real, "multimodality": between / real}
    out = {name: float(np.median(ratio)) for name, ratio in named.items()}
    return out | {f"{name}_head": float(np.median(ratio[: len(POSE)])) for name, ratio in named.items()}


def blinks(runs: list[FloatArray]) -> dict[str, float]:
    """How often lids close for a moment, a minute, and for how long, in seconds."""
    lengths, frames = [], 0
    for values in runs:
        lids = values[:, LIDS]
        frames += len(lids)
        edges = np.flatnonzero(np.diff(np.r_[False, lids > _BEGUN, False].astype(int)))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            if end - begin <= _LONGEST and lids[begin:end].max() > _SHUT:
                lengths.append(end - begin)
    rate = 60 * FRAMES_PER_SECOND * len(lengths) / max(frames, 1)
    return {"blinks_a_minute": rate, "blink_s": float(np.mean(lengths)) / FRAMES_PER_SECOND if lengths else 0.0}


def brows_to_stress(runs: list[FloatArray], sounds: list[FloatArray], ahead: int = 0) -> dict[str, float]:
    """How much higher brows are after syllables that stand out than before, in their own spread, and by chance.

    ``ahead`` as in `beats`; ``brow_sigma`` is how many standard deviations of chance lie between.
    """
    found, shifted, weights = [], [], []
    rng = np.random.default_rng(0)
    for values, samples in zip(runs, sounds, strict=True):
        _, level, speaking = hear(samples)
        brows = values[ahead:, BROWS].mean(1)
        n = min(len(brows), len(level) - ahead)
        at, _ = accents(level[:n], speaking[:n])
        at = at[(at > 5) & (at < n - 9)]
        if not len(at):
            continue
        found.append(_raise(brows[:n], at))
        shifted.append([_raise(np.roll(brows[:n], int(k)), at) for k in rng.integers(12, max(13, n - 12), 20)])
        weights.append(len(at))
    if not weights:
        return {"brow_raise": 0.0, "brow_sigma": 0.0}
    size = float(np.concatenate([values[:, BROWS].mean(1) for values in runs]).std()) + 1e-6
    chance = np.average(shifted, axis=0, weights=weights)
    raised = float(np.average(found, weights=weights))
    return {"brow_raise": raised / size, "brow_sigma": (raised - float(chance.mean())) / (float(chance.std()) + 1e-9)}


def _raise(brows: FloatArray, at: np.ndarray) -> float:
    before = np.mean([brows[at + k] for k in range(_EARLY.start, _EARLY.stop)], 0)
    after = np.mean([brows[at + k] for k in range(_LATE.start, _LATE.stop)], 0)
    return float((after - before).mean())


def pace(real: list[FloatArray], made: list[FloatArray], token: int) -> dict[str, float]:
    """Velocity and jerk beside the real ones', medians over dimensions; and seams: the jerk between tokens of ``token``
    frames beside that within them, 1 where nobody could tell."""

    def rms(runs: list[FloatArray], n: int) -> FloatArray:
        return np.asarray(np.sqrt(np.mean(np.concatenate([np.diff(r, n=n, axis=0) for r in runs]) ** 2, 0)))

    named = {f: float(np.median(rms(made, n) / (rms(real, n) + 1e-9))) for f, n in (("velocity", 1), ("jerk", 3))}
    fast = np.max([np.abs(np.diff(r, axis=0)).max(0) for r in made], 0)
    films = np.max([np.abs(np.diff(r, axis=0)).max(0) for r in real], 0) + 1e-9
    turns = [np.abs(np.diff(r, n=2, axis=0)).mean(1) for r in made]  # turn k is around frame k + 1
    places = [(np.arange(len(t)) + 1) % token for t in turns]
    at = [np.concatenate([t[p == k] for t, p in zip(turns, places, strict=True)]).mean() for k in range(token)]
    seam = float(np.mean([at[0], at[-1]]) / np.mean(at))
    return named | {"fastest": float(np.median(fast / films)), "seams": seam}


def figures(clips: list[Clip], ahead: int, token: int = 2) -> dict[str, float]:
    """All of them, of all seeds together."""
    real, made = [clip.real for clip in clips], [run for clip in clips for run in clip.made]
    sounds = [clip.samples for clip in clips for _ in clip.made]
    poses = [run[:, : len(POSE)] for run in made]
    nods, moved = beats(poses, sounds, ahead), diversity(poses)
    out = naturalness(real, made) | spread(clips) | blinks(made) | brows_to_stress(made, sounds, ahead)
    out |= pace(real, made, token)
    return out | {"hpd": moved["hpd"], "beat_drop": nods["drop"], "beat_sigma": nods["sigma"]}


def intervals(clips: list[Clip], names: tuple[str, ...], rounds: int = 200) -> dict[str, tuple[float, float]]:
    """Of `naturalness` and `spread`: where 95 % of resamplings of clips lie (percentile bootstrap)."""
    rng = np.random.default_rng(1)
    told: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        some = [clips[int(k)] for k in rng.integers(len(clips), size=len(clips))]
        made = naturalness([c.real for c in some], [run for c in some for run in c.made]) | spread(some)
        for name in names:
            told[name].append(made[name])
    return {name: (float(np.percentile(v, 2.5)), float(np.percentile(v, 97.5))) for name, v in told.items()}
