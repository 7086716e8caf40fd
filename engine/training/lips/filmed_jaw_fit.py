"""Fit the jaw's correction (`engine.motion.facial.filmed_jaw`) to tracked films: ridge regression, seconds of work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray
from engine.motion.facial.articulators import CLOSE
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.filmed_jaw import FilmedJaw
from engine.training.films.film_tracks import Track
from engine.training.lips.lip_score import gap

LOOK_AHEAD = 2
SPREAD = 0.31  # standard deviation of the opening that the films are brought to, so that movements stay as large
RIDGE = 10.0  # chosen by leaving out one film for training after the other
SHARE = 0.7  # of it that is believed, with one minute of films
STILL = 1e-4  # spread of an opening that does not move
USUAL_S = 3.0  # a film of this length weighs as much as its frames; longer ones less for each, by the fourth root


@dataclass(frozen=True)
class Heard:
    """One film: what the model says of its voice, and how far the lips are apart."""

    articulators: FloatArray  # [T, 9] as shown, uncorrected
    phones: FloatArray  # [T, P] probabilities
    opening: FloatArray  # [T] outer-eye-corner distances


def heard_in(model: FacialMotion, track: Track) -> Heard:
    """The film of ``track`` as ``model`` hears it, its jaw uncorrected."""
    frames = min(len(track.aperture), len(track.samples) // SAMPLES_PER_FRAME)
    padded = np.concatenate([track.samples[: frames * SAMPLES_PER_FRAME], np.zeros(LOOK_AHEAD * SAMPLES_PER_FRAME)])
    ahead, generator = torch.tensor([LOOK_AHEAD]), model.generator
    with torch.inference_mode(), model.streaming(1):
        features = model.encode(torch.from_numpy(padded.astype(np.float32))[None])
        estimate = generator.estimate(features, ahead)
        shown = generator.moved(estimate, ahead).clamp(0, 1)
    phones = torch.softmax(estimate.phones, -1)
    return Heard(shown[0, LOOK_AHEAD:].numpy(), phones[0, LOOK_AHEAD:].numpy(), track.aperture[:frames])


def fit(films: list[Heard]) -> FilmedJaw:
    """The correction that brings ``films`` nearest to how they open, whatever each speaker's own scale.

    Closed lips stay closed, and so teach nothing. Raises ValueError without a film in which lips move.
    """
    films = [film for film in films if film.opening.std() > STILL]
    if not films:
        raise ValueError("A jaw is fitted to films of moving lips, but none was given.")
    apart = [1 - film.articulators[:, CLOSE : CLOSE + 1] for film in films]
    heard = [np.hstack([film.articulators, film.phones]) for film in films]
    usual = (np.vstack(heard) * np.vstack(apart)).sum(0) / np.vstack(apart).sum()
    inputs, wanted = [], []
    for film, seen, open_share in zip(films, heard, apart, strict=True):
        said = gap(film.articulators)
        real = SPREAD * (film.opening - film.opening.mean()) / film.opening.std()
        change = (seen - usual) * open_share
        weight = (USUAL_S * FRAMES_PER_SECOND / len(said)) ** 0.25
        inputs.append(weight * (change - change.mean(0)))
        wanted.append(weight * (real - (said - said.mean())))
    x, y = np.vstack(inputs), np.concatenate(wanted)
    out = FilmedJaw()
    out.usual.copy_(torch.from_numpy(usual))
    out.share.copy_(SHARE * torch.from_numpy(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)))
    return out
