"""The trainer's parts: texts, speech with phone times, augmentation, crops aligned with look-ahead, resuming."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("scipy", reason="training needs the train extra")

from engine.motion.facial.articulators import CLOSE
from engine.motion.facial.phones import INDEX, normalise
from engine.training.lips import lip_dataset as dataset
from engine.training.lips.lip_trainer import Plan, Trainer, losses
from engine.training.speech import augment
from engine.training.speech import flite as speech
from engine.training.speech.speech_recording import load_recording, save_recording
from engine.training.speech.texts import short_words, texts

pytestmark = pytest.mark.cpu

PHONES = [("pau", 0.0, 0.4), ("b", 0.4, 0.5), ("aa", 0.5, 0.8), ("m", 0.8, 0.9), ("uw", 0.9, 1.2), ("pau", 1.2, 1.6)]


def spoken(seed: int = 0) -> dataset.Recording:
    """A buzz where the phones are, at 16 kHz."""
    rng = np.random.default_rng(seed)
    samples = (0.01 * rng.normal(0, 1, 16_000 * 8 // 5)).astype(np.float32)
    for name, start, end in PHONES:
        if name != "pau":
            n = int(16_000 * (end - start))
            samples[int(16_000 * start) :][:n] += 0.2 * np.sin(np.arange(n) * (0.05 + 0.01 * INDEX[normalise(name)]))
    return samples, PHONES


def streams(seed: int) -> dataset.Streams:
    return dataset.speech_streams([spoken(k) for k in range(6)], seed)


def test_music_after_speech_is_taught_as_silence_and_speech_keeps_its_times() -> None:
    made = dataset.interrupted_streams([spoken(k) for k in range(3)], 4, seed=1)
    again = dataset.interrupted_streams([spoken(k) for k in range(3)], 4, seed=1)
    assert np.array_equal(made.mel, again.mel)
    assert made.trusted.all()
    for begin, end in pairwise(made.starts):
        said = np.flatnonzero(made.phones[begin:end] != INDEX["SIL"])
        assert 0.1 < len(said) / 25 < 2, "one recording is spoken"
        after = slice(begin + said[-1] + 25, end)
        assert end - begin - said[-1] > 3 * 25, "and something else for three seconds after it"
        assert not made.motion[after, :CLOSE].any(), "through which the jaw rests"
        assert made.mel[4 * after.start : 4 * after.stop].std() > 0.01, "though there is a sound"


def test_texts_are_the_same_for_the_same_seed_and_plain_words() -> None:
    assert texts(20, 1) == texts(20, 1)
    assert texts(20, 1) != texts(20, 2)
    assert all(3 <= len(text.split()) <= 26 for text in texts(200))
    assert short_words(20, 1) == short_words(20, 1) != short_words(20, 2)
    assert all(4 <= len(text.split()) <= 10 and text.islower() for text in short_words(200))


def test_recordings_survive_the_disk(tmp_path: Path) -> None:
    samples, phones = spoken()
    save_recording(tmp_path / "a", samples, phones, {"voice": "buzz"})
    again, times = load_recording(tmp_path / "a")
    assert np.abs(again - samples).max() < 1e-4
    assert times == phones


@pytest.mark.skipif(shutil.which("flite") is None, reason="the synthesiser flite is not installed")
def test_flite_prints_times_of_what_it_says() -> None:
    samples, phones = speech.speak("A big map.", "slt")
    assert [normalise(p) for p, _, _ in phones if normalise(p) != "SIL"] == ["AH", "B", "IH", "G", "M", "AE", "P"]
    assert all(a[2] == b[1] for a, b in pairwise(phones))
    assert abs(phones[-1][2] - len(samples) / 16_000) < 0.15
    vowel = next((s, e) for p, s, e in phones if p == "ae")
    level = [np.abs(samples[int(16_000 * s) : int(16_000 * e)]).mean() for s, e in (vowel, (0.0, phones[0][2]))]
    assert level[0] > 5 * level[1]


def test_degraded_speech_keeps_its_timing_and_its_range() -> None:
    samples, _ = spoken()
    for seed in range(12):
        out = augment.degrade(np.random.default_rng(seed), samples, [samples])
        assert out.shape == samples.shape
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= 1


def test_speed_moves_phones_with_the_sound() -> None:
    samples, phones = spoken()
    for seed in range(5):
        out, times = augment.change_speed(np.random.default_rng(seed), samples, phones)
        assert len(out) / len(samples) == pytest.approx(times[-1][2] / phones[-1][2], rel=0.01)


def test_what_is_not_speech_is_of_many_kinds() -> None:
    levels = [np.abs(augment.not_speech(np.random.default_rng(k), 2.0)).max() for k in range(40)]
    assert min(levels) < 0.02
    assert 0.1 < max(levels) <= 1


def test_streams_pair_sound_with_the_teacher() -> None:
    made = streams(0)
    frames = len(made.motion)
    assert made.mel.shape == (4 * frames, 40)
    assert made.starts[0] == 0
    assert made.starts[-1] == frames
    loud = made.mel.reshape(frames, -1).astype(np.float32).mean(1)
    assert loud[made.phones == INDEX["AA"]].mean() > loud[made.phones == 0].mean()
    assert made.trusted.all()


def test_doubtful_phones_are_not_learned_from() -> None:
    samples, phones = spoken()
    doubted = [("?" + p if p == "aa" else p, s, e) for p, s, e in phones]
    made = dataset.speech_streams([(samples, doubted)] * 3, 0)
    known = dataset.speech_streams([(samples, phones)] * 3, 0)
    assert np.array_equal(made.motion, known.motion), "a doubt leaves the teacher's motion as it was"
    assert 0.1 < (~made.trusted).mean() < 0.4
    assert (made.phones[~made.trusted] == INDEX["AA"]).mean() > 0.6


@pytest.mark.parametrize("look_ahead", [0, 1, 2, 3])
def test_targets_lag_behind_the_sound_by_the_look_ahead(look_ahead: int) -> None:
    source = streams(1)
    numbered = replace(source, motion=np.repeat(np.arange(len(source.motion), dtype=np.float32)[:, None], 9, 1))
    numbered = replace(numbered, mel=np.repeat(np.arange(len(source.mel), dtype=np.float32)[:, None], 40, 1))
    batch = dataset.draw(np.random.default_rng(0), [numbered], [1.0], 64, 20)
    for row in (batch.look_ahead == look_ahead).nonzero()[:, 0].tolist():
        heard, said = batch.mel[row, ::4, 0] / 4, batch.motion[row, :-1, 0]
        inside = (said > 0) & batch.valid[row]
        assert torch.equal(heard[inside] - said[inside], torch.full((int(inside.sum()),), float(look_ahead)))


def test_losses_are_least_for_the_truth() -> None:
    batch = dataset.draw(np.random.default_rng(0), [streams(2)], [1.0], 4, 30)
    want = batch.motion[:, :-1].clone()
    want[..., CLOSE] = want[..., CLOSE].clamp(0.001, 0.999)
    from engine.motion.facial.facial_generator import LipEstimate

    guess = torch.zeros(4, 30)
    truth = LipEstimate(want, guess, guess, torch.zeros(4, 30, 40))
    other = LipEstimate(want + 0.2, guess, guess, torch.zeros(4, 30, 40))
    for name in ("shape", "gap", "width"):
        assert losses(truth, batch)[name] < 0.02 < losses(other, batch)[name]


def test_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plan = Plan(steps=12, rows=4, frames=24)
    sources = [streams(3)]
    trainer = Trainer(plan, tmp_path)
    first = [sum(trainer.train_step(sources, [1.0]).values()) for _ in range(6)]
    trainer.save()
    resumed = Trainer(plan, tmp_path)
    assert resumed.step == 6
    torch.manual_seed(1)
    a = [sum(trainer.train_step(sources, [1.0]).values()) for _ in range(3)]
    torch.manual_seed(1)
    b = [sum(resumed.train_step(sources, [1.0]).values()) for _ in range(3)]
    assert a == pytest.approx(b, rel=1e-3)
    assert a[-1] < first[0]
