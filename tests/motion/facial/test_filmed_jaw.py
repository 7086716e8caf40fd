"""The jaw as films show it: what the correction may do, what it must leave alone, and that films teach it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.motion.facial.articulators import ARTICULATORS, CLOSE, JAW
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.filmed_jaw import LIMIT, FilmedJaw
from engine.motion.facial.phones import INDEX, PHONES, SILENCE
from engine.paths import assets
from engine.training.lips.filmed_jaw_fit import Heard, fit
from engine.training.lips.lip_score import correlation, gap

pytestmark = pytest.mark.cpu


def mouth(jaw: float, close: float = 0.0) -> torch.Tensor:
    out = torch.zeros(1, 1, len(ARTICULATORS))
    out[..., JAW], out[..., CLOSE] = jaw, close
    return out


def heard(phone: str) -> torch.Tensor:
    return torch.eye(len(PHONES))[INDEX[phone]].view(1, 1, -1)


def jaw_after(corrector: FilmedJaw, jaw: float, phone: str) -> float:
    return float(corrector(mouth(jaw), heard(phone))[..., JAW])


def narrowing(by: float) -> FilmedJaw:
    """A correction that takes as much of every jaw, whatever is heard."""
    out = FilmedJaw()
    out.usual.fill_(1.0)
    out.share[len(ARTICULATORS) :] = by / (len(PHONES) - 1)  # all but one phone are absent: 1 less than usual
    return out


def test_unfitted_it_helps_open_vowels_alone() -> None:
    untaught = FilmedJaw()
    assert jaw_after(untaught, 0.2, "S") == pytest.approx(0.2)
    assert 0.2 < jaw_after(untaught, 0.2, "AA") < 0.5
    assert jaw_after(untaught, 0.8, "AA") == pytest.approx(0.8)


def test_an_open_vowel_and_silence_are_not_narrowed_and_open_lips_stay_open() -> None:
    taught = narrowing(0.2)
    assert jaw_after(taught, 0.6, "S") == pytest.approx(0.4, abs=1e-5)
    assert jaw_after(taught, 0.6, "AA") == pytest.approx(0.6, abs=1e-5)
    assert jaw_after(taught, 0.6, SILENCE) == pytest.approx(0.6, abs=1e-5)
    assert 0 < jaw_after(taught, 0.1, "S") < 0.1


def test_no_correction_is_larger_than_its_limit_and_only_the_jaw_is_touched() -> None:
    taught = narrowing(5.0)
    assert jaw_after(taught, 0.6, "S") == pytest.approx(0.6 - LIMIT, abs=1e-5)
    shown = taught(mouth(0.6, close=1.0), heard("S"))
    assert torch.equal(shown[..., CLOSE:], mouth(0.6, close=1.0)[..., CLOSE:])
    assert float(gap(shown.numpy()).max()) == 0.0, "closed lips were opened"


def films(rng: np.random.Generator, count: int) -> list[Heard]:
    """Speakers who open their jaw for an H more than they were said to, each on a scale of their own."""
    out = []
    for _ in range(count):
        phones = np.eye(len(PHONES), dtype=np.float32)[np.repeat(rng.integers(1, len(PHONES), 60), 3)]
        said = np.zeros((180, len(ARTICULATORS)), np.float32)
        said[:, JAW] = 0.3 + 0.15 * np.sin(np.arange(180) / 4)
        opening = gap(said) + 0.35 * phones[:, INDEX["HH"]] + 0.02 * rng.standard_normal(180)
        seen = (rng.uniform(0.1, 2) * opening).astype(np.float32)
        out.append(Heard(said, phones, seen, np.zeros((180, 0), np.float32), np.ones(180, bool)))
    return out


def test_films_teach_what_their_speakers_have_in_common() -> None:
    rng = np.random.default_rng(1)
    taught, (stranger,) = fit(films(rng, 8)), films(rng, 1)
    said, phones = torch.from_numpy(stranger.articulators), torch.from_numpy(stranger.phones)
    shown = gap(taught(said[None], phones[None])[0].numpy())
    before = correlation(gap(stranger.articulators), stranger.opening)
    assert correlation(shown, stranger.opening) > before + 0.02
    assert jaw_after(taught, 0.3, "HH") > jaw_after(taught, 0.3, "S") + 0.03


def test_thoughts_are_read_and_speech_keeps_the_jaw_to_what_is_heard() -> None:
    """Films open with a thought, speech does not: between them is what is learned, and silence stays as it is."""
    rng = np.random.default_rng(2)
    thinking = []
    for film in films(rng, 6):
        thought = 10 * rng.standard_normal((180, 1)).astype(np.float32)
        opening = gap(film.articulators) + 0.01 * thought[:, 0]
        thinking.append(replace(film, thought=thought, opening=opening))
    alone = fit(thinking)
    told = fit(thinking, [replace(film, opening=gap(film.articulators)) for film in thinking] * 20)
    assert float(alone.share[-1]) > 0.01
    assert 0 < float(told.share[-1]) < 0.9 * float(alone.share[-1]) / 0.7
    jaw, thinks = mouth(0.3), 20 * torch.ones(1, 1, 1)
    assert float(alone(jaw, heard("S"), thinks)[..., JAW]) > float(alone(jaw, heard("S"), 0 * thinks)[..., JAW])
    assert torch.equal(alone(jaw, heard(SILENCE), thinks), jaw)


def test_films_without_moving_lips_are_left_out_and_without_any_other_nothing_is_fitted() -> None:
    moving = films(np.random.default_rng(1), 3)
    still = replace(moving[0], opening=np.zeros_like(moving[0].opening))
    assert torch.equal(fit([*moving, still]).share, fit(moving).share)
    for none in ([], [still]):
        with pytest.raises(ValueError, match="none was given"):
            fit(none)


def test_the_shipped_jaw_is_a_fitted_one() -> None:
    jaw = FacialMotion.load(assets() / "weights" / "facial.safetensors").generator.filmed_jaw
    assert 0.05 < float(jaw.share.abs().max()) < 1.0
