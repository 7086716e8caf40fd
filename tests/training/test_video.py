"""Films become tracks: clocks, cuts, the fit of a face whose truth is known, sound and lips, files and splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.enrolment.footage import talking_film as video
from engine.enrolment.footage.driving.film_fit import PIVOT, fit
from engine.enrolment.footage.talking_film import Film, watch
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.blendshapes import INDEX
from engine.face.morphable_model import face_model
from engine.motion.rotation import euler_angles, rotation_matrix
from engine.training.films import film_tracks as video_tracks
from engine.training.films.film_tracks import (
    best_lag,
    films_in,
    lips_and_sound,
    load_tracks,
    speaker_of,
    split_of,
    track_film,
)

pytestmark = pytest.mark.cpu

FRAMES = 60


def filmed(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks [T, 478, 3] of a head that turns and talks, the angles [T, 3] and coefficients [T, 52] behind them."""
    model, rng = face_model(), np.random.default_rng(seed)
    t = np.arange(FRAMES) / 25
    angles = np.stack([0.15 * np.sin(2 * t), 0.08 * np.sin(3 * t), 0.05 * np.cos(2 * t)], 1)
    beta = np.zeros((FRAMES, 52), np.float32)
    beta[:, INDEX["jawOpen"]] = np.clip(np.sin(5 * t), 0, 1) * 0.5
    beta[:, INDEX["mouthPucker"]] = np.clip(np.cos(4 * t), 0, 1) * 0.4
    alpha = (rng.normal(0, 1, len(model.identity_spread)) * model.identity_spread).astype(np.float32)
    landmarks = np.zeros((FRAMES, top.LANDMARKS, 3), np.float32)
    for k in range(FRAMES):
        turn = rotation_matrix(*(float(x) for x in angles[k]))
        face = model.shape(alpha, beta[k])
        eyes = [face[[upper[0], upper[-1]]].mean(0) for upper in (top.EYE_RIGHT_UPPER, top.EYE_LEFT_UPPER)]
        whole = np.concatenate([face, np.repeat(np.array(eyes), 5, 0)])
        landmarks[k] = 9.0 * whole @ turn.T + np.array([200, 150, 0]) - 9.0 * turn @ PIVOT
    return landmarks, angles, beta


def test_a_known_face_is_found_again() -> None:
    landmarks, angles, beta = filmed()
    whole = fit([landmarks], face_model())[0]
    found = euler_angles(whole.rotation)
    assert np.abs(np.degrees((found - found.mean(0)) - (angles - angles.mean(0)))).max() < 1.0
    for name, least in (("jawOpen", 0.97), ("mouthPucker", 0.9)):
        said, truth = whole.blendshapes[:, INDEX[name]], beta[:, INDEX[name]]
        assert np.corrcoef(said, truth)[0, 1] > least, name
    assert whole.error.mean() < 0.01
    assert np.abs(whole.lip_offsets).mean() < 0.01
    assert np.abs(whole.translation[:, :2]).max() < 0.03, "the neck joint stood still"
    assert whole.blendshapes.min() >= 0
    assert whole.blendshapes.max() <= 1
    assert np.corrcoef(whole.aperture, beta[:, INDEX["jawOpen"]])[0, 1] > 0.95


def test_shots_of_one_person_share_an_identity() -> None:
    landmarks, _, _ = filmed()
    first, second = fit([landmarks[:30], landmarks[30:]], face_model())
    assert np.array_equal(first.alpha, second.alpha)
    assert len(first.aperture) == len(second.aperture) == 30


def test_euler_angles_undo_the_matrix() -> None:
    angles = np.array([0.2, -0.1, 0.05])
    assert np.allclose(euler_angles(rotation_matrix(*angles.tolist())), angles, atol=1e-6)


def test_other_rates_are_read_off_at_the_middle_of_our_frames() -> None:
    shown = (np.arange(31) + 0.5) / 30
    landmarks = np.repeat(shown, top.LANDMARKS * 3).reshape(31, top.LANDMARKS, 3)
    wanted = (np.arange(25) + 0.5) / 25
    assert np.allclose(video._read_off(landmarks, shown, wanted)[:, 0, 0], wanted, atol=1e-6)


def test_shots_end_at_cuts_and_where_the_face_is_lost_for_long() -> None:
    times = (np.arange(200) + 0.5) / 25
    landmarks = np.ones((200, top.LANDMARKS, 3))
    landmarks[20:22] = np.nan  # a blink of the tracker
    landmarks[120:140] = np.nan
    cut = np.zeros(200, bool)
    cut[60] = True
    film = Film(video._read_off(landmarks, times, times), cut, np.zeros(640 * 200, np.float32), 0.0, (96, 128))
    assert film.shots(1.0) == [slice(0, 60), slice(60, 120), slice(140, 200)]
    assert film.shots(2.39) == [slice(0, 60), slice(60, 120), slice(140, 200)]
    assert film.shots(2.41) == []


def test_a_cut_stands_out_of_what_changes_anyway() -> None:
    times = (np.arange(100) + 0.5) / 25
    change = np.random.default_rng(0).uniform(0.5, 2.0, 100)
    change[40] = 12.0
    assert np.flatnonzero(video._cuts(change, times, times)).tolist() == [40]


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_the_lag_of_lips_behind_the_sound_is_measured(late: int) -> None:
    rng = np.random.default_rng(1)
    level = np.convolve(rng.uniform(0, 1, 250), [0.3, 0.4, 0.3], "same")
    samples = (np.repeat(level, 640) * rng.normal(0, 0.1, 640 * 250)).astype(np.float32)
    r = lips_and_sound(np.roll(level, late).astype(np.float32), samples)
    assert best_lag(r) == pytest.approx(late, abs=0.5)
    assert r.max() > 0.7


def test_speakers_and_splits_are_read_off_names() -> None:
    assert speaker_of("id01-clip7") == "id01"
    assert speaker_of("ann_3") == "ann"
    assert speaker_of("42") == "42"
    splits = [split_of(f"speaker {k}") for k in range(500)]
    assert splits == [split_of(f"speaker {k}") for k in range(500)]
    assert 360 <= splits.count("train") <= 440
    assert min(splits.count("val"), splits.count("test")) >= 30


def test_what_is_no_film_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(VivifyError, match="expected to be a film"):
        watch(tmp_path / "a.mp4")


def test_a_real_film_is_tracked_once_and_read_back(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, name = films_in([shared / "video" / "grid" / "bbaf2n.mpg"])[0]
    told = track_film(path, name, "a", tmp_path)
    monkeypatch.setattr(video_tracks, "watch", lambda path: pytest.fail("tracked twice"))
    assert track_film(path, name, "a", tmp_path) == told
    (tmp_path / "split.json").write_text('{"train": ["a"], "val": [], "test": []}')
    assert load_tracks(tmp_path, "val") == []
    (track,) = load_tracks(tmp_path, "train")
    frames = len(track.aperture)
    assert 70 <= frames <= 75
    assert track.samples.shape == (640 * frames,)
    assert track.blendshapes.shape == (frames, 52)
    assert track.lip_offsets.shape == (frames, len(top.LIP_VERTICES), 3)
    assert not track.pose[0].any(), "poses count from the first frame"
    assert 0.05 < np.percentile(track.aperture, 95) < 0.2
    assert track.refused == ()


def test_pictures_are_made_ahead_in_their_order_and_what_fails_is_told() -> None:
    assert list(video._ahead(iter(range(1, 8)))) == list(range(1, 8))

    def broken() -> Iterator[int]:
        yield 1
        raise VivifyError("the film broke")

    pictures = video._ahead(broken())
    assert next(pictures) == 1
    with pytest.raises(VivifyError, match="broke"):
        next(pictures)
