"""A person's manner out of a film: how far the lips open for what is said, how the head moves, how often lids close.

What the bundled networks say of the film's sound is laid beside what the film shows. A ridge regression tells how far
this mouth opens for it; the less of the film there is, the more of everybody is left in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray, Motion
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import HEARD, Manner
from engine.motion.manner import PARTS, heard, opened, opening
from engine.motion.rotation import euler_angles
from engine.programs.motion_programs import MotionPrograms
from engine.render.renderer import Renderer

LOOK_AHEAD = 2  # frames
LAGS = range(-6, 7)  # frames by which lips may seem late: sound recorded apart
SURELY = 0.05  # of r, by which another lag must be better than none
RIDGES = (0.1, 0.5, 2.0, 10.0, 100.0)
FOLDS = 4
SAME_VOICE = 0.1  # of r on stretches not fitted to, below which the sound is not this mouth's
LEAST_S = 4.0  # of speech, below which nothing is learned of it
EVERYBODY_S = 8.0  # how many seconds everybody's manner counts
MOST_GAIN = 3.0
VOICED = 0.05  # opening that is said in speech
BLINKS = 0.5  # eyeBlink from which a lid is closed
USUAL_GAP_S, USUAL_BLINKS = 3.2, 6  # seconds between blinks, and how many of the film they count as
HEAD_S = 20.0  # how many seconds everybody's head counts
BOUNDS = (0.5, 2.0)  # of factors


@dataclass(frozen=True)
class Said:
    """What the networks say of a film's sound, frame by frame."""

    shapes: FloatArray  # [T, 52]
    lips: FloatArray  # [T, 40, 3]
    heads: FloatArray  # [T, 6]


def say(samples: FloatArray) -> Said:
    """Of ``samples`` [640 T]."""
    networks = MotionPrograms(1)
    everyone, ahead = np.ones(1, np.bool_), np.full(1, LOOK_AHEAD)
    networks.begin(everyone, np.zeros(1, np.int64))
    pieces = np.append(samples, np.zeros(LOOK_AHEAD * SAMPLES_PER_FRAME)).astype(np.float32)
    said = []
    for k, piece in enumerate(pieces.reshape(-1, 1, SAMPLES_PER_FRAME)):
        moved = networks.step(piece, everyone, ahead, everyone, np.full(1, k >= LOOK_AHEAD))
        if k >= LOOK_AHEAD:
            said.append((moved.shapes[0].copy(), moved.lips[0].copy(), moved.heads[0].copy()))
    return Said(*(np.stack(column) for column in zip(*said, strict=True)))


def gaps(renderer: Renderer, shapes: FloatArray, lips: FloatArray) -> FloatArray:
    """How far the avatar's lips open [T] for blendshapes [T, 52] and offsets, in outer-eye-corner distances."""
    still, none = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    out = []
    for beta, offsets in zip(shapes, lips, strict=True):
        mesh = renderer.driven_mesh(Motion(0, beta, still, none, offsets))
        out.append(np.linalg.norm(mesh[13, :2] - mesh[14, :2]) / renderer.avatar.unit)
    return np.array(out, np.float32)


def agreement(one: FloatArray, other: FloatArray) -> float:
    """Pearson's r of two curves, 0 where one does not move."""
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 1e-6 and other.std() > 1e-6 else 0.0


def late_by(said: FloatArray, real: FloatArray, seen: np.ndarray) -> int:
    """Frames by which ``real`` [T] follows ``said`` [T], where it is ``seen`` [T]; 0 unless another is better."""
    found = [agreement(said[seen], np.roll(real, -lag)[seen]) for lag in LAGS]
    best = int(np.argmax(found))
    return LAGS[best] if found[best] > found[-LAGS[0]] + SURELY else 0


def fit_manner(
    renderer: Renderer, samples: FloatArray, frames: np.ndarray, motions: list[Motion], real: FloatArray
) -> tuple[Manner, list[str]]:
    """Manner of who moves by ``motions`` at ``frames`` [n] of a film with ``samples`` [640 T]; and words.

    ``real`` [n] is how far the lips are apart there, in outer-eye-corner distances.
    """
    head, gap, told = np.ones(3, np.float32), _blinks(motions), []
    opens = np.zeros(0, np.float32)
    if np.abs(samples).max(initial=0) < 1e-3:
        told.append("The film is silent, so how the mouth opens for what is said is everybody's.")
    else:
        said = say(samples)
        opens, words = _openings(renderer, said, frames, real)
        told.append(words)
        head = _head(said.heads[frames], motions)
    told.append(f"The head moves {', '.join(f'{x:.2f}' for x in head)} times as far (yaw, pitch, roll) as usual.")
    return Manner(opens, head, np.array([gap], np.float32)), told


def _openings(renderer: Renderer, said: Said, frames: np.ndarray, real: FloatArray) -> tuple[FloatArray, str]:
    none = np.zeros(0, np.float32)
    plain = opening(said.shapes)
    usual = gaps(renderer, said.shapes, said.lips)
    curve = np.interp(np.arange(len(plain)), frames, real).astype(np.float32)
    seen = np.isin(np.arange(len(plain)), frames)
    if seen.sum() < LEAST_S * FRAMES_PER_SECOND or (plain[seen] > VOICED).mean() < 0.1:
        return none, "Too little is said in the film to learn how the mouth opens for it."
    curve = np.roll(curve, -late_by(usual, curve, seen))
    step = float(usual @ plain / max(float(plain @ plain), 1e-6))  # the avatar's opening for a jawOpen of 1
    wanted = np.maximum(curve - np.percentile(curve[seen], 5), 0) / max(step, 1e-3)
    rows, x = np.flatnonzero(seen), heard(said.shapes)[:, :-1]
    before, best = 0.0, (-1.0, RIDGES[-1])
    parts = np.array_split(rows, FOLDS)
    before = float(np.mean([agreement(plain[part], wanted[part]) for part in parts]))
    for ridge in RIDGES:
        found = []
        for part in parts:
            rest = np.setdiff1d(rows, part)
            found.append(
                agreement(np.maximum(heard(said.shapes[part]) @ _fitted(x[rest], wanted[rest], ridge), 0), wanted[part])
            )
        best = max(best, (float(np.mean(found)), ridge))
    if best[0] < SAME_VOICE:
        return none, f"What is heard is hardly what this mouth says (r {best[0]:.2f}), so how it opens is everybody's."
    if best[0] < before:
        return none, f"How the mouth opens follows the film no better when fitted to it (r {before:.2f}), so it is not."
    own = _fitted(x[rows], wanted[rows], best[1])
    share = len(rows) / (len(rows) + EVERYBODY_S * FRAMES_PER_SECOND)
    out = (share * own + (1 - share) * np.append(_EVERYBODY, 0)).astype(np.float32)
    manner = Manner(opening=out)
    spread = opening(opened(said.shapes[rows], manner)).std() / max(float(wanted[rows].std()), 1e-6)
    return out, (
        f"How far the mouth opens was fitted to {len(rows) / FRAMES_PER_SECOND:.0f} s of speech "
        f"(r {before:.2f} to {best[0]:.2f}; its spread is {spread:.2f} of the film's)."
    )


_EVERYBODY = np.array(
    [{"jawOpen": 1.0, "mouthClose": -1.0}.get(n, PARTS if "LowerDown" in n or "UpperUp" in n else 0.0) for n in HEARD]
)


def _fitted(x: FloatArray, wanted: FloatArray, ridge: float) -> np.ndarray:
    """Weights [11] from what is heard [n, 10] to openings [n]: everybody's, widened to this person's, and corrected."""
    middle, spread = x.mean(0), x.std(0) + 0.02
    usual = (x - middle) @ _EVERYBODY
    weights = _EVERYBODY * wanted.std() / max(float(usual.std()), 1e-6)
    z = (x - middle) / spread
    left = wanted - wanted.mean() - (x - middle) @ weights
    weights = weights + np.linalg.solve(z.T @ z + ridge * len(z) * np.eye(len(HEARD)), z.T @ left) / spread
    grow = np.clip(wanted.std() / max(float(((x - middle) @ weights).std()), 1e-6), 1 / MOST_GAIN, MOST_GAIN)
    weights = weights * grow  # what is explained in part moves too little
    return np.append(weights, wanted.mean() - middle @ weights)


def _head(heads: FloatArray, motions: list[Motion]) -> FloatArray:
    """Factors [3] of the networks' angles [n, 3 of 6], shrunk to 1 the shorter the film is."""
    own = euler_angles(np.stack([motion.rotation for motion in motions])).std(0)
    ratio = np.log(np.clip(own / np.maximum(heads[:, :3].std(0), 1e-3), *BOUNDS))
    seconds = len(motions) / FRAMES_PER_SECOND
    return np.exp(ratio * seconds / (seconds + HEAD_S)).astype(np.float32)


def _blinks(motions: list[Motion]) -> float:
    """Factor of the pauses between blinks."""
    both = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]
    shut = np.array([motion.blendshapes[both].min() for motion in motions]) > BLINKS
    count = int((np.diff(shut.astype(int)) == 1).sum())
    seconds = len(motions) / FRAMES_PER_SECOND
    gap = (seconds + USUAL_BLINKS * USUAL_GAP_S) / (count + USUAL_BLINKS)
    return float(np.clip(gap / USUAL_GAP_S, *BOUNDS))
