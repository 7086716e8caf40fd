"""A picture network of one's own (`vivify enroll FILM --tune MINUTES`): tuned, judged, and kept or left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.contracts import ByteArray
from engine.enrolment.footage.film_enrolment import Taught
from engine.enrolment.footage.film_lessons import LEARN_AT
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import FilmMemory
from engine.face.kept.own_network import OwnNetwork
from engine.paths import assets
from engine.programs.program import Weights
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.own_programs import OwnPrograms
from engine.render.learned.picture_programs import PicturePrograms
from engine.render.renderer import Renderer
from engine.tuning.film_frames import Frames, frames_of, parts
from engine.tuning.lip_squares import ridge_for, squares, squares_in_turn, with_looks_of
from engine.tuning.verdict import Verdict, figures

if TYPE_CHECKING:
    from engine.tuning.generator_tuning import Plan

FEWEST = 200  # frames that are worth it
MOST_MINUTES = 240.0
LEFT = "Left out: a picture network of one's own"
SHARED = Path("weights") / "picture.safetensors"


def check(minutes: float) -> None:
    """Raises VivifyError where nothing can be tuned: too long, too short, or without torch."""
    if not 0 < minutes <= MOST_MINUTES:
        raise VivifyError(f"--tune takes up to {MOST_MINUTES:.0f} minutes, but {minutes:g} came: five do most of it.")
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise VivifyError(
            "Tuning a picture network needs torch, which is not installed: pip install 'vivify[tune]', or leave "
            "--tune out."
        ) from None


def tuned(minutes: float, taught: Taught, told: Callable[[str, float], None]) -> tuple[FilmMemory, list[str]]:
    """What the film taught, with a network beside it where that helps; and words of it."""
    if "mouth" not in taught.memory.looks:
        return taught.memory, [f"{LEFT} (the film shows too little of the mouth)."]
    told("looking at the mouth again", 0.0)
    frames = frames_of(taught.filmed)
    if len(frames) < FEWEST:
        return taught.memory, [f"{LEFT} ({len(frames)} frames show the mouth, at least {FEWEST} are needed)."]
    begun = time.monotonic()

    def over(step: int) -> bool:
        share = (time.monotonic() - begun) / (60 * minutes)
        told("tuning (Ctrl+C ends it)", min(share, 1.0))
        return share >= 1

    network, verdict = tuned_on(taught.filmed.renderer.avatar, taught.memory, frames, over)
    if network is None:
        return taught.memory, [f"{LEFT} (it did not learn to paint frames better that it was not shown)."]
    assert verdict is not None
    against = verdict.against()
    if against:
        return taught.memory, [f"{LEFT} ({'; '.join(against)}; on a part of the film not learned from)."]
    words = f"Tuned on the film: a picture network of one's own, for --quality learned ({verdict.told()}"
    return replace(taught.memory, network=network), [f"{words}; on a part of the film not learned from)."]


def tuned_on(
    avatar: Avatar, memory: FilmMemory, frames: Frames, over: Callable[[int], bool], plan: Plan | None = None
) -> tuple[OwnNetwork | None, Verdict | None]:
    """The network that ``frames`` teach, and what is to be said of it; nothing where nothing was learned."""
    from engine.render.learned.picture_weights import load_learned
    from engine.tuning.generator_tuning import tune

    shared = assets() / SHARED
    networks, weights = PicturePrograms(shared), Weights(shared)
    teach, choose, decide = (frames.part(rows) for rows in parts(len(frames)))
    ridge = ridge_for(teach)
    known = with_looks_of(avatar, memory, teach, ridge)
    seen = squares_in_turn(avatar, memory, networks, teach, ridge)
    reached = tune(load_learned(shared).generator, seen, squares(known, networks, choose), over, plan)
    if reached is None:
        return None, None
    tensors = {name: value.astype(np.float16) for name, value in reached.tensors.items()}
    own = OwnNetwork(tensors, np.frombuffer(weights.digest(), np.uint8))
    return own, judged(known, weights, own, decide)


def judged(avatar: Avatar, weights: Weights, own: OwnNetwork, frames: Frames) -> Verdict:
    """``own`` on ``frames``, as the avatar is shown with it and without."""
    plain, learned = Renderer(avatar, LEARN_AT), LearnedRenderer(avatar, OwnPrograms(weights, own), LEARN_AT)

    def by(renderer: Renderer) -> ByteArray:
        return np.stack([renderer.render(motion) for motion in frames.motions])

    return Verdict(*(figures(pictures, frames) for pictures in (by(plain), by(learned), frames.truth)))
