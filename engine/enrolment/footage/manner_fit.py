"""A person's manner out of a film: how far the lips open for what is said, how the head moves, how often lids close.

What the bundled networks say of the film's sound is laid beside what the film shows. A ridge regression from it, phones
and all, tells how far this mouth opens; the less of the film there is, the more of everybody is left in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray, Motion
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import Manner
from engine.motion.manner import CORNERS, SILENCE, Mouth, heard, opening
from engine.motion.rotation import euler_angles
from engine.programs.motion_programs import MotionPrograms
from engine.render.renderer import Renderer

LOOK_AHEAD = 2  # frames
MIDDLES, ENDS = (13, 14), (61, 291)  # vertices and landmarks: of the inner lips, and the mouth's corners
LAGS = range(-6, 7)  # frames by which lips may seem late: sound recorded apart
SURELY = 0.05  # of r, by which another lag must be better than none
RIDGE = 400.0  # frames that everybody's way of opening counts for
CALM = 200.0  # frames that it counts for, where a film's lips are calmer than the networks'
RARE = 0.6  # of what an articulator may correct, a phone may
LEAST_R = 0.3  # of everybody's opening that is kept in any case, of full agreement
FOLDS = 5
SAME_VOICE = 0.1  # of r on stretches not fitted to, below which the sound is not this mouth's
SLACK = 0.12  # of r: how much worse on such stretches a map may seem, for they are short
LEAST_S = 2.0  # of film, below which nothing is learned of it
EVERYBODY_S = 3.0  # how many seconds everybody's spread counts
MOST_GAIN = 3.0
VOICED = 0.05  # opening that is said in speech
BLINKS = 0.5  # eyeBlink from which a lid is closed
USUAL_GAP_S, USUAL_BLINKS = 3.2, 6  # seconds between blinks, and how many of the film they count as
HEAD_S = 20.0  # how many seconds everybody's head counts
BOUNDS = (0.5, 2.0)  # of factors
MOST_HELD, GLANCE = 2.0, 3  # factor of what corners lack; of so many frames, one is measured for it
_ARTICULATORS = 9
_OTHER_SIDE = [0, 2, 1, 4, 3]  # of `CORNERS`


@dataclass(frozen=True)
class Said:
    """What the networks say of a film's sound, frame by frame."""

    shapes: FloatArray  # [T, 52]
    lips: FloatArray  # [T, 40, 3]
    heads: FloatArray  # [T, 6]
    told: FloatArray  # [T, 49] articulators and probabilities of phones

    def own(self, manner: Manner) -> FloatArray:
        """Blendshapes [T, 52] of who speaks by ``manner``."""
        mouth = Mouth()
        return np.stack([mouth.step(*frame, manner) for frame in zip(self.shapes, self.told, strict=True)])


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
            assert moved.said is not None, "the bundled lips tell what they say"
            said.append(tuple(x[0].copy() for x in (moved.shapes, moved.lips, moved.heads, moved.said)))
    return Said(*(np.stack(column) for column in zip(*said, strict=True)))


def gaps(renderer: Renderer, shapes: FloatArray, lips: FloatArray, ends: tuple[int, int] = MIDDLES) -> FloatArray:
    """How far the avatar's lips open [T] for blendshapes [T, 52] and offsets, in outer-eye-corner distances.

    Or how far two other vertices are apart, as the ``ends`` of the mouth.
    """
    still, none = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    out = []
    for beta, offsets in zip(shapes, lips, strict=True):
        mesh = renderer.driven_mesh(Motion(0, beta, still, none, offsets))
        out.append(np.linalg.norm(mesh[ends[0], :2] - mesh[ends[1], :2]) / renderer.avatar.unit)
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
    opens = corners = np.zeros(0, np.float32)
    if np.abs(samples).max(initial=0) < 1e-3:
        told.append("The film is silent, so how the mouth opens for what is said is everybody's.")
    else:
        said = say(samples)
        opens, words = _openings(renderer, said, frames, real)
        told.append(words)
        if len(opens):
            corners = _corners(renderer, said, frames, motions, opens)
        head = _head(said.heads[frames], motions)
    told.append(f"The head moves {', '.join(f'{x:.2f}' for x in head)} times as far (yaw, pitch, roll) as usual.")
    return Manner(opens, head, np.array([gap], np.float32), corners), told


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
    rows, x = np.flatnonzero(seen), heard(said.shapes, said.told)
    parts = np.array_split(rows, FOLDS)
    before = float(np.mean([agreement(plain[part], wanted[part]) for part in parts]))
    after = float(np.mean([_left_out(x, wanted, rows, part) for part in parts]))
    if after < SAME_VOICE:
        return none, f"What is heard is hardly what this mouth says (r {after:.2f}), so how it opens is everybody's."
    if after < before - SLACK:
        return none, f"How the mouth opens follows the film no better when fitted to it (r {before:.2f}), so it is not."
    out = _fitted(x[rows], wanted[rows])
    spread, speed = _beside(said, out, wanted, rows)
    out = _calmed(out, x[rows], spread * speed)
    spread, speed = _beside(said, out, wanted, rows)
    return out, (
        f"How far the mouth opens was fitted to {len(rows) / FRAMES_PER_SECOND:.0f} s of speech (r {before:.2f} to "
        f"{after:.2f} on parts left out; its spread is {spread:.2f} of the film's, its speed {speed:.2f})."
    )


def _beside(said: Said, weights: FloatArray, wanted: FloatArray, rows: np.ndarray) -> tuple[float, float]:
    """Spread and speed of the lips that ``weights`` open, beside those of ``wanted`` [T] in the frames ``rows``."""
    own = opening(said.own(Manner(opening=weights)))
    after = rows[1:][np.diff(rows) == 1]  # another frame of the same shot
    paces = [max(float(np.abs(np.diff(curve))[after - 1].mean()), 1e-6) for curve in (own, wanted)]
    return float(own[rows].std()) / max(float(wanted[rows].std()), 1e-6), paces[0] / paces[1]


def _calmed(weights: FloatArray, x: FloatArray, too_much: float) -> FloatArray:
    """``weights`` [51] that open less far from their mean on ``x`` [n, 51], where ``too_much`` is above 1.

    It is the product of spread and speed beside the film's: lips that the networks close more often than the person
    does are faster than the person's at the same spread, and one number cannot mend both.
    """
    keep = max(too_much, 1.0) ** (-0.5 * len(x) / (len(x) + CALM))
    out = weights * np.float32(keep)
    out[-1] += (1 - keep) * float((x @ weights).mean())
    return out


def _left_out(x: FloatArray, wanted: FloatArray, rows: np.ndarray, part: np.ndarray) -> float:
    """Agreement on the frames ``part`` of a map fitted to the other ``rows``."""
    rest = np.setdiff1d(rows, part)
    return agreement(np.maximum(x[part] @ _fitted(x[rest], wanted[rest]), 0), wanted[part])


def _fitted(x: FloatArray, wanted: FloatArray) -> FloatArray:
    """Weights [51] from what is heard [n, 51] to openings [n]: everybody's, corrected, and widened to this person's.

    Only what everybody's opening leaves unexplained is regressed, and a phone may correct less of it than an
    articulator: a short film has few of each.
    """
    told, plain = x[:, :-2], x[:, -2]
    middle, often = told.mean(0), told[:, _ARTICULATORS:].mean(0)
    scale = 1 / np.append(told[:, :_ARTICULATORS].std(0) + 0.02, (np.sqrt(often * (1 - often)) + 0.05) / RARE)
    kept = max(agreement(plain, wanted), LEAST_R) * float(wanted.std()) / max(float(plain.std()), 1e-6)
    z = (told - middle) * scale
    left = wanted - wanted.mean() - kept * (plain - plain.mean())
    weights = np.append(np.linalg.solve(z.T @ z + RIDGE * np.eye(len(scale)), z.T @ left) * scale, kept)
    share = len(x) / (len(x) + EVERYBODY_S * FRAMES_PER_SECOND)
    spread = max(float(wanted.std()), 1e-6) ** share * max(float(plain.std()), 1e-6) ** (1 - share)
    grow = spread / max(float((x[:, :-1] @ weights).std()), 1e-6)  # what is explained in part moves too little
    weights *= np.clip(grow, 1 / MOST_GAIN, MOST_GAIN)
    return np.append(weights, wanted.mean() - np.append(middle, plain.mean()) @ weights).astype(np.float32)


def _corners(
    renderer: Renderer, said: Said, frames: np.ndarray, motions: list[Motion], opens: FloatArray
) -> FloatArray:
    """What speech as the networks' lacks [5] of where the film's person holds the corners; shrunk to nothing.

    As much of it as makes the mouth as wide as in the film: there lips' vertices widen it as well.
    """
    speaks = np.flatnonzero(said.told[frames, SILENCE] < 0.5)
    if len(speaks) < LEAST_S * FRAMES_PER_SECOND:
        return np.zeros(0, np.float32)
    film = np.stack([motions[k].blendshapes for k in speaks])
    lacks = (film - said.shapes[frames[speaks]])[:, CORNERS].mean(0)
    lacks = np.asarray((lacks + lacks[_OTHER_SIDE]) / 2, np.float32)  # a head that is turned seems to pull one side
    offsets = np.stack([motions[k].lip_offsets for k in speaks])
    some = slice(None, None, GLANCE)
    wide = gaps(renderer, film[some], offsets[some], ENDS).mean()
    ways = [said.own(Manner(opens, corners=held))[frames[speaks]] for held in (0 * lacks, lacks)]
    plain, held = (gaps(renderer, x[some], said.lips[frames[speaks]][some], ENDS).mean() for x in ways)
    enough = np.clip((wide - plain) / ((held - plain) or 1e-6), 1, MOST_HELD)
    share = len(speaks) / (len(speaks) + EVERYBODY_S * FRAMES_PER_SECOND)
    return np.asarray(lacks * (enough * share), np.float32)


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
