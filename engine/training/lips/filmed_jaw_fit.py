"""Fit the jaw's correction (`engine.motion.facial.filmed_jaw`) to tracked films: ridge regression, seconds of work.

Films say how people open; speech with phone times keeps the mouth saying what is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray
from engine.motion.facial.articulators import CLOSE
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.filmed_jaw import HEARD, THOUGHT, FilmedJaw
from engine.motion.facial.phones import INDEX, SILENCE
from engine.training.films.film_tracks import Track
from engine.training.lips.lip_dataset import Recording, trusted_frames
from engine.training.lips.lip_score import gap
from engine.training.lips.teacher import lip_opening
from engine.training.speech.speech_recording import DOUBT

LOOK_AHEADS = (1, 2, 3)  # all that hear ahead teach alike
SPREAD = 0.31  # standard deviation of the opening that the films are brought to, so that movements stay as large
RIDGE, THOUGHT_RIDGE = 30.0, 90.0  # of what is said, and of thoughts; chosen by leaving out one speaker after the other
SHARE = 0.7  # of it that is believed where films alone teach, with one minute of them
TOLD = 0.02  # weight of a frame of speech beside one of film; chosen likewise, with test clips in sight (the card)
STILL = 1e-4  # spread of an opening that does not move
USUAL_S = 3.0  # a film of this length weighs as much as its frames; longer ones less for each, by the fourth root


@dataclass(frozen=True)
class Heard:
    """One film or recording: what the model makes of its voice, and how far the lips are apart."""

    articulators: FloatArray  # [T, 9] as shown, uncorrected
    phones: FloatArray  # [T, P] probabilities
    opening: FloatArray  # [T] outer-eye-corner distances of a film; of speech the teacher's gap
    thought: FloatArray  # [T, D] of the branch, D = 0 for a model that does not read them
    sure: np.ndarray  # [T] bool, whether the opening is known

    def seen(self) -> FloatArray:
        return np.hstack([self.articulators, self.phones, THOUGHT * self.thought])


def heard_in(model: FacialMotion, track: Track, look_ahead: int) -> Heard:
    """The film of ``track`` as ``model`` hears it, its jaw uncorrected."""
    return _heard(model, track.samples, track.aperture, np.ones(len(track.aperture), bool), look_ahead)


def told_in(model: FacialMotion, recording: Recording, look_ahead: int) -> Heard:
    """A recording with phone times as ``model`` hears it, its jaw uncorrected, beside the teacher."""
    samples, phones = recording
    frames = len(samples) // SAMPLES_PER_FRAME
    known = [(name.removeprefix(DOUBT), start, end) for name, start, end in phones]
    return _heard(model, samples, lip_opening(known, frames), trusted_frames(phones, frames), look_ahead)


def _heard(model: FacialMotion, samples: FloatArray, opening: FloatArray, sure: np.ndarray, look_ahead: int) -> Heard:
    frames = min(len(opening), len(samples) // SAMPLES_PER_FRAME)
    padded = np.concatenate([samples[: frames * SAMPLES_PER_FRAME], np.zeros(look_ahead * SAMPLES_PER_FRAME)])
    ahead, generator = torch.tensor([look_ahead]), model.generator
    with torch.inference_mode(), model.streaming(1):
        features = model.encode(torch.from_numpy(padded.astype(np.float32))[None])
        estimate = generator.estimate(features, ahead)
        shown = generator.moved(estimate, ahead).clamp(0, 1)
    phones = torch.softmax(estimate.phones, -1)
    thought = phones[..., :0] if estimate.thought is None else estimate.thought
    rows = (row[0, look_ahead:].numpy() for row in (shown, phones, thought))
    articulators, told, thoughts = rows
    return Heard(articulators, told, opening[:frames], thoughts, sure[:frames])


def fit(films: Sequence[Heard], speech: Sequence[Heard] = ()) -> FilmedJaw:
    """The correction that brings ``films`` nearest to how they open, whatever each speaker's own scale.

    Closed lips stay closed and silence is spared, so neither teaches anything; ``speech`` teaches how far the lips are
    apart. Raises ValueError without a film in which lips move.
    """
    films = [film for film in films if film.opening.std() > STILL]
    if not films:
        raise ValueError("A jaw is fitted to films of moving lips, but none was given.")
    apart = [1 - film.articulators[:, CLOSE : CLOSE + 1] for film in films]
    usual = sum((film.seen() * open_share).sum(0) for film, open_share in zip(films, apart, strict=True))
    usual = usual / sum(float(open_share.sum()) for open_share in apart)
    thought = len(usual) - HEARD
    squares = np.diag(np.r_[np.full(HEARD, RIDGE), np.full(thought, THOUGHT_RIDGE)])
    wanted = np.zeros(len(usual))
    for film in films:
        said = gap(film.articulators)
        real = SPREAD * (film.opening - film.opening.mean()) / film.opening.std()
        change, missing = _spoken(film, usual, real - (said - said.mean()))
        if not len(change):
            continue
        change, missing = change - change.mean(0), missing - missing.mean()
        weight = (USUAL_S * FRAMES_PER_SECOND / len(said)) ** 0.5
        squares, wanted = squares + weight * change.T @ change, wanted + weight * change.T @ missing
    for one in speech:
        change, missing = _spoken(one, usual, one.opening - gap(one.articulators), film=False)
        squares, wanted = squares + TOLD * change.T @ change, wanted + TOLD * change.T @ missing
    out = FilmedJaw(thought)
    out.usual.copy_(torch.from_numpy(usual))
    out.share.copy_((1.0 if speech else SHARE) * torch.from_numpy(np.linalg.solve(squares, wanted)))
    return out


def _spoken(heard: Heard, usual: FloatArray, missing: FloatArray, film: bool = True) -> tuple[FloatArray, FloatArray]:
    """What a correction can move with [n, .] and what is ``missing`` [n] in frames that are sure, silence left out."""
    silence = heard.phones[:, INDEX[SILENCE]]
    free = (1 - heard.articulators[:, CLOSE]) * (1 - silence)
    kept = heard.sure & (silence < 0.5) if film else heard.sure
    return ((heard.seen() - usual) * free[:, None])[kept], missing[kept]
