"""The shipped weights on the bundled sentence, and over a long time: what the network says, streaming, free-running."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
import torch

from engine.audio.sound_files import read_speech
from engine.face.blendshapes import NAMES
from engine.motion.facial.articulators import blendshape_aperture
from engine.motion.facial.facial_motion import FacialMotion
from engine.paths import assets
from engine.training.lips.teacher import lip_opening

pytestmark = pytest.mark.cpu


@cache
def model() -> FacialMotion:
    return FacialMotion.load(assets() / "weights" / "facial.safetensors")


def stream(sound: np.ndarray, look_aheads: list[int], chunk: int = 25) -> np.ndarray:
    """Emitted lip opening [B, n] of one sound [640 * n] at each look-ahead, free-running, ``chunk`` frames a call."""
    rows, ahead = len(look_aheads), torch.tensor(look_aheads)
    samples = torch.from_numpy(sound[: len(sound) // 640 * 640].astype(np.float32))[None].expand(rows, -1)
    out = []
    with torch.inference_mode(), model().streaming(rows):
        for piece in samples.split(640 * chunk, 1):
            out.append(blendshape_aperture(model().animate(model().encode(piece), ahead)))
    return torch.cat(out, 1).numpy()


@cache
def bundled() -> tuple[np.ndarray, np.ndarray]:
    """Openings [4, n] for look-ahead 0 to 3, each moved to the frames it belongs to, and the teacher's [n]."""
    notes = json.loads((assets() / "speech.json").read_text())
    speech = read_speech(assets() / "speech.wav")
    frames = len(speech) // 640
    said = stream(np.concatenate([speech, np.zeros(3 * 640, np.float32)]), [0, 1, 2, 3])
    said = np.stack([row[k : k + frames] for k, row in enumerate(said)])
    return said, lip_opening([tuple(phone) for phone in notes["phones"]], frames)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.mark.parametrize(("look_ahead", "least"), [(0, 0.60), (1, 0.72), (2, 0.80), (3, 0.80)])
def test_lips_follow_the_bundled_sentence(look_ahead: int, least: float) -> None:
    said, truth = bundled()
    assert correlation(said[look_ahead], truth) >= least


@pytest.mark.parametrize("look_ahead", [1, 2, 3])
def test_motion_belongs_to_the_frame_it_is_said_to(look_ahead: int) -> None:
    """Moved by its look-ahead, the motion fits best where it is, not a frame earlier or later."""
    said, truth = bundled()
    row = said[look_ahead]
    fits = {lag: correlation(row[5 + lag : len(row) - 5 + lag], truth[5:-5]) for lag in range(-4, 5)}
    assert max(fits, key=lambda lag: fits[lag]) in ((-1, 0, 1) if look_ahead == 1 else (0,))


@pytest.mark.parametrize("look_ahead", [0, 1, 2, 3])
def test_lips_are_closed_and_still_in_the_silence_around(look_ahead: int) -> None:
    said, _ = bundled()
    row = said[look_ahead]
    p95 = np.percentile(row, 95)
    assert row[:22].max() < 0.1 * p95
    assert row[-20:].max() < 0.1 * p95
    assert row[5:20].std() < 0.01 * p95


def test_faint_noise_and_hum_leave_the_mouth_shut() -> None:
    said, _ = bundled()
    p95 = np.percentile(said[2], 95)
    rng, t = np.random.default_rng(0), np.arange(16_000 * 6) / 16_000
    sounds = {
        "silence": np.zeros(len(t)),
        "faint noise": rng.normal(0, 1e-3, len(t)),
        "loud noise": rng.normal(0, 0.02, len(t)),
        "mains hum": 0.02 * np.sin(2 * np.pi * 50 * t) + 0.01 * np.sin(2 * np.pi * 150 * t),
        "chord": 0.05 * sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6)),
    }
    for kind, sound in sounds.items():
        opening = stream(sound, [2])[0]
        assert opening.std() < 0.10 * p95, kind
        assert np.median(opening) < 0.10 * p95, kind


def test_free_running_does_not_drift() -> None:
    """Four minutes of the same sentence over and over: the last time is said like the second."""
    speech = read_speech(assets() / "speech.wav")
    speech = speech[: len(speech) // 640 * 640]
    frames = len(speech) // 640
    said = stream(np.tile(speech, 24), [2], chunk=250)[0].reshape(24, frames)
    assert np.abs(said[-1] - said[1]).max() < 1e-3
    assert said[-1][5:20].std() < 0.01 * np.percentile(said[-1], 95)


def test_its_own_past_is_used() -> None:
    speech = torch.from_numpy(read_speech(assets() / "speech.wav")[: 640 * 150])[None]
    with torch.inference_mode():
        features = model().encode(speech)
        ahead = torch.tensor([2])
        own = model().generator.articulate(features, ahead)
        none = model().generator.articulate(features, ahead, use_past=False)
    assert (own - none).abs().mean() > 1e-3


def test_chunking_and_neighbours_do_not_matter_with_the_real_weights() -> None:
    speech = read_speech(assets() / "speech.wav")[: 640 * 120]
    whole = stream(speech, [0, 2], chunk=120)
    np.testing.assert_allclose(stream(speech, [0, 2], chunk=1), whole, atol=2e-3)
    np.testing.assert_allclose(stream(speech, [2], chunk=7)[0], whole[1], atol=2e-3)


def test_the_card_is_beside_the_weights() -> None:
    folder = assets() / "weights"
    assert (folder / "facial.safetensors").stat().st_size < 8_000_000
    assert (folder / "facial.md").read_text().startswith("# ")


def test_gains_are_for_rare_movements_alone() -> None:
    pytest.importorskip("scipy", reason="training needs the train extra")
    from engine.training.lips.calibrate import LIMIT, RARE, gains
    from engine.training.speech.speech_recording import load_recording

    found = gains(model(), [load_recording(assets() / "speech")])
    assert ((found >= 1) & (found <= LIMIT)).all()
    assert all(found[k] == 1 for k in range(9) if k not in RARE)
    timid = FacialMotion(model().config).eval()
    timid.load_state_dict(model().state_dict())
    timid.generator.gain.fill_(0.7)
    more = gains(timid, [load_recording(assets() / "speech")])
    assert all(more[k] >= found[k] for k in RARE)
    assert any(more[k] > found[k] for k in RARE)


def test_brows_live_in_speech_and_calm_down_in_silence() -> None:
    speech = torch.from_numpy(read_speech(assets() / "speech.wav")[: 640 * 150])[None]
    upper = [k for k, name in enumerate(NAMES) if name.startswith(("brow", "eyeSquint", "cheekSquint", "noseSneer"))]
    moved = []
    for sound in (speech.repeat(1, 4), torch.zeros(1, 640 * 600)):
        with torch.inference_mode(), model().streaming(1):
            model().begin(torch.tensor([True]), torch.tensor([3]))
            shapes = model().generator.move_upper_face(model().encode(sound), torch.tensor([2]))[0]
        moved.append(shapes[:, upper])
        assert shapes.max() < 0.3
        assert shapes.diff(dim=0).abs().max() < 0.12, "no jump"
    assert moved[0].std(0).mean() > 1.5 * moved[1].std(0).mean()
    assert 0.005 < float(moved[0].std(0).mean()) < 0.06
