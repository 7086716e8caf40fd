"""A whole film of a photo and a voice, with random weights made here. Nobody is shown what they draw."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from command import vivify
from PIL import Image
from sadtalker.released_folder import SMALL, our_tensors
from scipy.signal import savgol_filter
from sounds import BURST_AT, burst, onset, write

from clients.films.film_writer import FilmWriter
from clients.films.mark_search import search_film
from engine.audio.sound_files import read_speech
from engine.errors import VivifyError
from engine.paths import assets
from engine.sadtalker.face3d.moved_faces import MovedPortrait, film_coefficients, read_portrait
from engine.sadtalker.face3d.photo_alignment import aligned_face
from engine.sadtalker.facerender.mapping_net import coefficient_windows
from engine.sadtalker.talking.blinks import BLINK, Blinks, film_blinks
from engine.sadtalker.talking.film_motion import Wishes, film_motion
from engine.sadtalker.talking.photo_blending import Blending
from engine.sadtalker.talking.smoothing_filter import smoothed
from engine.sadtalker.weights.standard_points import own_standard_points
from engine.sadtalker.weights.weight_file import Weights, open_weights, write_weights

pytestmark = pytest.mark.cpu

PHOTO = assets() / "avatars" / "astronaut" / "portrait.png"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    write_weights(path, our_tensors(), SMALL, 256, own_standard_points(), {})
    return open_weights(path)


@pytest.fixture(scope="module")
def portrait(weights: Weights) -> MovedPortrait:
    return read_portrait(PHOTO, weights)


def test_a_photo_and_a_voice_become_a_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], weights: Weights
) -> None:
    voice = write(tmp_path / "voice.wav", "pcm_s16le", 16_000, [burst(16_000, seconds=0.62)])
    given = ("--method", "sadtalker", "--weights", weights.path, "--photo", PHOTO, "--no-manifest")
    assert vivify(monkeypatch, "render", voice, "-o", tmp_path / "a.mp4", *given) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["frames"] == 16, "0.62 s are 15.5 frames: the last is filled up"
    assert report["mark"]
    with av.open(str(tmp_path / "a.mp4")) as film:
        video = film.streams.video[0]
        assert (video.width, video.height) == (256, 256)
        times = [float(frame.time) for frame in film.decode(video=0) if frame.time is not None]
    np.testing.assert_allclose(times, np.arange(16) / 25, atol=1e-3)
    assert abs(onset(read_speech(tmp_path / "a.mp4")) - BURST_AT) < 0.01
    short = write(tmp_path / "short.wav", "pcm_s16le", 16_000, [burst(16_000, seconds=0.1)])
    wide = np.asarray(Image.open(PHOTO).convert("RGB"))[:450]
    Image.fromarray(wide).save(tmp_path / "wide.png")
    given = (*given[:4], "--photo", tmp_path / "wide.png", "--no-manifest", "--full", "--still", "--badge")
    assert vivify(monkeypatch, "render", short, "-o", tmp_path / "full.mp4", *given, "--require-consent") == 1
    assert "--consent TEXT" in " ".join(capsys.readouterr().err.split())
    given = (*given, "--require-consent", "--consent", "NASA, public domain")
    assert vivify(monkeypatch, "render", short, "-o", tmp_path / "full.mp4", *given) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    with av.open(str(tmp_path / "full.mp4")) as film:
        shown = next(film.decode(video=0)).to_ndarray(format="rgb24")
    assert shown.shape == (450, 512, 3)
    step = np.abs(shown.astype(int) - wide).max(2)
    corners = [
        step[rows, columns].max() for rows in (np.s_[:40], np.s_[-40:]) for columns in (np.s_[:100], np.s_[-100:])
    ]
    assert max(corners) > 60, "the badge is in a corner"
    assert min(corners) < 40, "and in no other"
    found = search_film(tmp_path / "full.mp4").mark
    assert found is not None
    assert str(found.ids) == report["mark"], "photos that are no squares are marked about the face"
    assert found.side == pytest.approx(448, abs=2)


def test_what_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], weights: Weights
) -> None:
    voice = write(tmp_path / "voice.wav", "pcm_s16le", 16_000, [burst(16_000, seconds=0.2)])
    method = ("render", voice, "-o", tmp_path / "a.mp4", "--method")
    for options, told in (
        (("sadtalker",), "vivify sadtalker import OFFICIAL_FOLDER"),
        (("sadtalker", "--weights", weights.path), "--photo"),
        (("sadtalker", "--weights", tmp_path / "none", "--photo", PHOTO), "no such file"),
        (("wav2lip",), "geometry or sadtalker"),
        (("sadtalker", "--weights", weights.path, "--photo", PHOTO, "--style", "46"), "between 0 and 45"),
    ):
        assert vivify(monkeypatch, *method, *options) == 1
        assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "a.mp4").exists()


def test_wishes_move_what_they_say(weights: Weights, portrait: MovedPortrait) -> None:
    chance = np.random.default_rng(1)
    voice, source = (0.1 * chance.standard_normal(640 * 40)).astype(np.float32), portrait.coefficients

    def motion(**wishes: object) -> torch.Tensor:
        return film_motion(weights, voice, source, Wishes(**wishes), 3)  # type: ignore[arg-type]

    plain = motion()
    assert plain.shape == (40, 70)
    assert torch.equal(motion(), plain), "one seed, one film"
    torch.testing.assert_close(motion(scale=1.5)[:, :64], 1.5 * plain[:, :64])
    assert torch.equal(motion(scale=1.5)[:, 64:], plain[:, 64:])
    still = motion(still=True, full=True)
    assert still.shape == (40, 73)
    assert torch.equal(still[:, 64:], source[64:].expand(40, -1))
    assert torch.equal(still[:, :64], plain[:, :64])
    other = torch.randn(7, 73)
    followed = motion(pose=other)[:, 64:] - plain[:, 64:]
    torch.testing.assert_close(followed[8], other[1, 64:70] - other[0, 64:70], rtol=1e-4, atol=1e-4)
    assert not torch.equal(motion(blink=other)[:, :64], plain[:, :64])
    assert torch.equal(motion(blink=other)[:, 64:], plain[:, 64:])
    with pytest.raises(VivifyError, match="between 0 and 45"):
        motion(style=-1)


@pytest.mark.parametrize("frames", [3, 6, 12, 13, 14, 60])
def test_seams_are_smoothed_as_scipy_does(frames: int) -> None:
    poses = torch.randn(frames, 6, generator=torch.Generator().manual_seed(frames))
    window = min(13, (frames - 1) // 2 * 2 + 1)
    torch.testing.assert_close(
        smoothed(poses), torch.from_numpy(savgol_filter(poses.numpy(), window, 2, axis=0)), rtol=1e-5, atol=1e-5
    )
    assert torch.equal(smoothed(poses[:2]), poses[:2])


def test_blinks_are_whole_and_apart() -> None:
    assert not film_blinks(20, 0).any()
    closed = film_blinks(2000, 5)
    peaks = np.flatnonzero(closed == 1.0)
    assert np.diff(peaks).min() >= 15
    assert np.diff(peaks).max() < 75
    for peak in peaks:
        np.testing.assert_array_equal(closed[peak - 2 : peak + 3], BLINK)
    assert np.count_nonzero(closed) == 5 * len(peaks)
    live = Blinks(5)
    np.testing.assert_array_equal([live.next() for _ in range(1900)], film_blinks(4000, 5)[:1900])


def test_a_window_repeats_what_lies_beyond_the_ends() -> None:
    windows = coefficient_windows(torch.arange(5.0)[:, None])
    assert windows.shape == (5, 1, 27)
    assert windows[1, 0].tolist() == [*([0.0] * 13), 1.0, 2.0, 3.0, *([4.0] * 11)]


def test_a_face_is_put_back_without_a_seam() -> None:
    """The sum is harmonic inside, and the photo on the rim."""
    chance = np.random.default_rng(2)
    side = 24
    picture = np.full((side, side, 3), 100, np.uint8)
    photo = chance.integers(60, 140, (side, side, 3)).astype(np.uint8)
    out = Blending(side)(picture, photo).astype(float)
    for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        np.testing.assert_array_equal(out[rim], photo[rim])
    around = (out[:-2, 1:-1] + out[2:, 1:-1] + out[1:-1, :-2] + out[1:-1, 2:]) / 4
    assert np.abs(around - out[1:-1, 1:-1]).max() <= 1.01, "whole grey levels"
    assert np.array_equal(Blending(side)(picture, picture), picture)


def test_faces_are_aligned_by_five_points() -> None:
    standard = own_standard_points().astype(np.float64)
    points = np.stack([128 + 50 * standard[:, 0], 120 - 50 * standard[:, 1]], 1)
    face, placed = aligned_face(np.zeros((256, 256, 3), np.uint8), points, standard)
    assert face.shape == (1, 3, 224, 224)
    # One unit is 50 pixels there and 102 in the network's picture; the standard face's middle lies at (128, 120).
    np.testing.assert_allclose(placed, [102 / 50, 128, 255 - 120], rtol=1e-4)


def test_the_portrait_is_a_square_of_the_photo(portrait: MovedPortrait) -> None:
    assert portrait.picture.shape == (1, 3, 256, 256)
    assert portrait.coefficients.shape == (73,)
    square = portrait.square
    assert 0 <= square.left <= square.left + square.side <= portrait.photo.shape[1]
    assert 0 <= square.above <= square.above + square.side <= portrait.photo.shape[0]


def test_a_film_has_coefficients_of_each_frame(tmp_path: Path, weights: Weights, portrait: MovedPortrait) -> None:
    photo = np.asarray(Image.open(PHOTO).convert("RGB"))
    with FilmWriter(tmp_path / "face.mp4", photo.shape[0]) as film:
        for _ in range(3):
            film.picture(photo)
            film.sound(np.zeros(1920, np.float32))
    found = film_coefficients(tmp_path / "face.mp4", weights)
    assert found.shape == (3, 73)
    apart = (found - portrait.coefficients).abs().max()
    assert apart < 0.2 * portrait.coefficients.abs().max(), "the same face"
    with FilmWriter(tmp_path / "grey.mp4", 64) as film:
        film.picture(np.full((64, 64, 3), 128, np.uint8))
    for name, told in (("grey.mp4", "no face was seen"), ("none.mp4", "there is none")):
        with pytest.raises(VivifyError, match=told):
            film_coefficients(tmp_path / name, weights)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(VivifyError, match="cannot be read as one"):
        film_coefficients(tmp_path / "text.mp4", weights)
