"""Films as people have them: cut, held upright, of any pace and size, with sound beside the picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engine.audio.sound_files import TITLES
from engine.enrolment.footage.film_crops import whole
from engine.enrolment.footage.film_survey import GLANCES, glances, of_high_range, survey
from engine.enrolment.footage.manner_fit import late_by
from engine.enrolment.footage.talking_film import Film, watch
from engine.enrolment.photos.film_reel import Reel, as_rgb, decoded
from engine.enrolment.photos.high_range import HLG, LIGHT, PQ, TO_709, to_sdr
from engine.enrolment.photos.visitors_films import seconds_of_strangers
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.imaging.resampling import resized
from engine.paths import assets

pytestmark = pytest.mark.cpu


def written(path: Path, pictures: list[np.ndarray], times: list[float]) -> Path:
    """A film of RGB ``pictures``, each shown from its time on. WebM as browsers record it: it names no length."""
    webm = path.suffix == ".webm"
    fast = {"deadline": "realtime", "cpu-used": "8"} if webm else {"crf": "8", "preset": "ultrafast", "bf": "0"}
    with av.open(str(path), "w", options={"live": "1"} if webm else {}) as file:
        stream = file.add_stream("libvpx" if webm else "libx264", rate=25, options=fast)
        file.metadata["title"] = "TITLE"
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return resized(Avatar.load(assets() / "avatars" / "lady_in_black").portrait, 256, 256)


def test_a_film_of_uneven_pace_is_read_by_its_times(tmp_path: Path) -> None:
    times = [0.0, 0.03, 0.2, 0.24, 0.5, 0.54, 0.9]
    grey = [np.full((64, 64, 3), 20 + 30 * k, np.uint8) for k in range(len(times))]
    film = Film(np.zeros((25, 478, 3), np.float32), np.zeros(25, bool), np.zeros(16000, np.float32), 0.0, (64, 64))
    frames = np.arange(0, 25, 3)
    path = written(tmp_path / "uneven.mp4", grey, times)
    shown = whole(path, film, frames)
    for picture, frame in zip(shown, frames, strict=True):
        last = int(np.searchsorted(times, (frame + 0.5) / 25, side="right")) - 1
        assert abs(float(picture.mean()) - (20 + 30 * last)) <= 5, "the last picture that had begun by then"
    reel = Reel(path)  # asked for in any order, as one after another
    for seconds, last in ((0.1, 1), (0.3, 3), (0.3, 3), (-1.0, 0), (9.0, 6), (0.51, 4), (0.5, 4)):
        there = reel.at(seconds)
        assert there is not None
        assert there[0].time == pytest.approx(times[last])
    assert Reel(path).at(-1.0)[0].time == 0  # type: ignore[index]


@pytest.mark.parametrize("curve", [PQ, HLG])
def test_hdr_is_shown_as_on_an_ordinary_screen(tmp_path: Path, curve: int) -> None:
    """Patches up to three quarters of white come back as they were; by the standards' formulas the other way round."""
    patches = np.array([[30, 30, 30], [128, 128, 128], [190, 150, 130], [90, 120, 160], [215, 215, 215], [255, 0, 0]])
    share = patches[:5] / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ np.linalg.inv(TO_709).T * 203
    if curve == PQ:
        power = (light / 10_000) ** (2610 / 16384)
        code = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    else:
        seen = light / 1000 / ((light / 1000) @ LIGHT)[:, None] ** (0.2 / 1.2)
        code = np.where(
            seen <= 1 / 12,
            np.sqrt(3 * seen),
            0.17883277 * np.log(np.maximum(12 * seen - 0.28466892, 1e-9)) + 0.55991073,
        )
    code = np.vstack([code, np.ones(3)])  # and what no screen shows
    with av.open(str(tmp_path / "hdr.mp4"), "w") as file:
        stream = file.add_stream("libx265", rate=25, options={"crf": "0", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        how = {"color_trc": curve, "color_primaries": 9, "colorspace": 9, "color_range": 1}  # BT.2020
        for name, value in how.items():
            setattr(stream.codec_context, name, value)
        for red, green, blue in code:
            frame = av.VideoFrame(64, 64, "yuv420p10le")
            luma = float(LIGHT @ (red, green, blue))
            levels = 64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746
            for plane, level in zip(frame.planes, levels, strict=True):
                plane.update(np.full(plane.buffer_size // 2, round(level), np.uint16).tobytes())
            for name, value in how.items():
                setattr(frame, name, value)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    assert of_high_range(tmp_path / "hdr.mp4")
    shown = [as_rgb(frame, 32, 32)[16, 16] for frame, _ in decoded(tmp_path / "hdr.mp4")]
    assert np.abs(np.array(shown[:5]) - patches[:5]).max() <= 2
    assert min(shown[5]) >= 250
    assert (np.diff([as_rgb_of(level, curve) for level in range(0, 65281, 64)]) >= 0).all(), "brighter is never darker"


def as_rgb_of(level: int, curve: int) -> int:
    return int(to_sdr(np.full((1, 1, 3), level, np.uint16), curve)[0, 0, 1])


def test_pixels_are_made_square_and_what_is_of_another_size_is_left_out(tmp_path: Path) -> None:
    """As DV and HDV have them, and as browsers record while a telephone is turned."""

    def coder(width: int, height: int, wide: Fraction) -> av.VideoCodecContext:
        made = av.CodecContext.create("libx264", "w")
        made.width, made.height, made.pix_fmt, made.time_base = width, height, "yuv420p", Fraction(1, 25)
        made.sample_aspect_ratio, made.options = wide, {"preset": "ultrafast"}
        return made

    for wide, seen in ((Fraction(4, 3), 86), (Fraction(1), 64), (Fraction(1000), 64)):
        path = tmp_path / "odd.mkv"
        with av.open(str(path), "w") as file:
            stream = file.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
            stream.codec_context.sample_aspect_ratio = wide
            for k, (width, height) in enumerate(((64, 96), (96, 64))):
                grey = av.VideoFrame.from_ndarray(np.full((height, width, 3), 99, np.uint8), format="rgb24")
                grey.pts, grey.time_base = k, Fraction(1, 25)
                with_size = coder(width, height, wide)
                for packet in (*with_size.encode(grey), *with_size.encode()):
                    packet.stream = stream
                    file.mux(packet)
        assert [(frame.width, frame.height, frame.time) for frame, _ in decoded(path)] == [(seen, 96, 0.0)]


def test_a_cut_parts_a_film_into_shots(face: np.ndarray, tmp_path: Path) -> None:
    pictures = [face] * 12 + [face[:, ::-1] // 2 + 60] * 12
    film = watch(written(tmp_path / "cut.mp4", pictures, [k / 25 for k in range(24)]), silent=True)
    shots = film.shots(0.4)
    assert [(shot.start, shot.stop) for shot in shots] == [(0, 12), (12, 24)]
    times = [k / 25 + (k >= 8) for k in range(16)]
    film = watch(written(tmp_path / "gap.mp4", [face] * 16, times), silent=True)
    shots = film.shots(0.2)
    assert [(shot.start, shot.stop) for shot in shots] == [(0, 8), (33, 41)], "nobody knows what was between"


def test_a_films_voice_is_that_which_a_player_would_play(tmp_path: Path) -> None:
    """The first track is silent, the second one's channels cancel, and its sound begins late."""
    said = np.sin(np.arange(16000) ** 1.4 / 60).astype(np.float32)
    path = tmp_path / "voice.mkv"
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("libx264", rate=25)
        pictures.width = pictures.height = 64
        tracks = [file.add_stream("pcm_f32le", rate=16000, layout="stereo") for _ in range(2)]
        grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
        for k in range(40):
            grey.pts = k
            file.mux(pictures.encode(grey))
        for track, loud in zip(tracks, (0.0, 0.5), strict=True):
            frame = av.AudioFrame.from_ndarray(loud * np.c_[said, -said].reshape(1, -1), format="flt", layout="stereo")
            frame.rate, frame.time_base, frame.pts = 16000, Fraction(1, 16000), 3200
            file.mux(track.encode(frame))
            file.mux(track.encode())
        file.mux(pictures.encode())
    heard = watch(path, silent=True, longest_s=1.5).samples
    assert not heard[:3100].any(), "late as it was"
    assert np.corrcoef(np.abs(heard[3200:19200]), np.abs(said))[0, 1] > 0.9


def test_a_tall_film_is_taken_as_it_is(face: np.ndarray, tmp_path: Path) -> None:
    tall = np.full((448, 256, 3), 90, np.uint8)
    tall[60:316] = face
    path = written(tmp_path / "tall.mp4", [tall] * 3, [0.0, 0.04, 0.08])
    assert survey(path, 60) == 0
    film = watch(path, silent=True)
    assert film.looked_at == (448, 256)
    assert np.isfinite(film.landmarks).all()


def test_a_recording_that_names_no_length_is_looked_at_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    times = [k / 25 for k in range(30)]
    grey = [np.full((64, 64, 3), 8 * k, np.uint8) for k in range(30)]
    seen = []
    for name in ("a.webm", "a.mkv"):
        path = written(tmp_path / name, grey, times)
        path.write_bytes(path.read_bytes().replace(b"TITLE", b"Caf\xe9s"))  # no UTF-8, as some recorders write
        with av.open(str(path), **TITLES) as file:
            assert (file.duration is None) == (name == "a.webm")
        seen.append([float(picture.mean()) for picture in glances(path, 180)])
        assert seconds_of_strangers(path) == pytest.approx(1.2, abs=0.05)
    assert len(seen[0]) == GLANCES
    assert np.allclose(*seen, atol=4), "as one that names it"
    assert np.ptp(seen[0]) > 150


def test_a_film_of_four_thousand_pixels_is_looked_at_smaller(tmp_path: Path) -> None:
    wide = np.full((2160, 3840, 3), 128, np.uint8)
    path = written(tmp_path / "wide.mp4", [wide] * 2, [0.0, 0.04])
    assert watch(path, silent=True).looked_at == (540, 960)
    with pytest.raises(VivifyError, match="shows no face"):
        survey(path, 60)


@pytest.mark.parametrize("frames", [-5, -2, 0, 3, 5])
def test_sound_beside_the_picture_is_found(frames: int) -> None:
    """0.2 s are five frames, to either side."""
    rng = np.random.default_rng(3)
    said = np.convolve(rng.random(400), np.hanning(7) / 3, "same").astype(np.float32)
    real = (np.roll(said, frames) + 0.1 * rng.random(400)).astype(np.float32)
    assert late_by(said, real, np.ones(400, bool)) == frames
