"""Enrolment from a film, for real: of a bundled avatar whose mouth is bluish inside, which must be learned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from clients.enrol_cli import enroll
from engine.audio.sound_files import read_speech
from engine.contracts import Motion
from engine.enrolment.footage.driving.steadiness import steadied
from engine.enrolment.footage.film_crops import whole
from engine.enrolment.footage.film_enrolment import enroll_film
from engine.enrolment.footage.film_lessons import Filmed, Lessons, lessons_of
from engine.enrolment.footage.film_survey import survey
from engine.enrolment.footage.looks.shot_light import light_of
from engine.enrolment.footage.talking_film import Film, Tracked, watch
from engine.errors import VivifyError
from engine.evaluation.enrolled.film_gain import Gain, compare, sheet
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import FILE
from engine.face.kept.own_network import OwnNetwork
from engine.face.measures import aperture
from engine.imaging.shapes import polygon_mask
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.programs.program import Weights
from engine.render.remembered.recall import raw_features
from engine.render.renderer import Renderer, still
from engine.tuning import own_picture
from kernels.cpu.pixel_kernels import bytes_to_i420

pytestmark = pytest.mark.cpu

SIDE, FRAMES = 256, 70
Written = Callable[[str, list[np.ndarray], int, np.ndarray | None], Path]


def written(path: Path, pictures: list[np.ndarray], rate: int = 25, sound: np.ndarray | None = None) -> Path:
    """A film of RGB ``pictures``, with 16 kHz ``sound`` where there is some."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"crf": "8", "preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        voice = file.add_stream("aac", rate=16000, layout="mono") if sound is not None else None
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if voice is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
            frame.rate, frame.time_base, frame.pts = 16000, Fraction(1, 16000), 0
            file.mux(voice.encode(frame))
            file.mux(voice.encode())
    return path


def moved(t: float) -> Motion:
    """What the avatar does ``t`` seconds into the film."""
    beta = np.zeros(52, np.float32)
    beta[INDEX["jawOpen"]] = 0.55 * max(np.sin(5 * t), 0)
    beta[INDEX["mouthPucker"]] = 0.3 * max(np.sin(2.3 * t), 0)
    beta[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = max(0.0, 1 - abs((t % 1.2) - 0.6) / 0.12)
    turn = rotation_matrix(0.06 * np.sin(1.7 * t), 0.04 * np.sin(1.1 * t), 0)
    return Motion(0, beta, turn, np.zeros(3, np.float32))


def blue(renderer: Renderer, motion: Motion) -> np.ndarray:
    """The avatar's picture, bluer within the inner lips."""
    picture = renderer.render(motion).copy()
    lips = (renderer.driven_mesh(motion)[list(top.LIP_INNER), :2] + 0.5) * SIDE / renderer.avatar.size - 0.5
    inside = polygon_mask(lips, SIDE, SIDE)
    picture[inside] = np.clip(picture[inside] + np.array([-10, 0, 70]), 0, 255)
    return picture


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    renderer = Renderer(Avatar.load(assets() / "avatars" / "lady_in_black"), SIDE)
    pictures = [blue(renderer, moved(k / 25)) for k in range(FRAMES)]
    voice = read_speech(assets() / "speech.wav")[: 640 * FRAMES]
    return written(tmp_path_factory.mktemp("film") / "blue.mp4", pictures, 25, voice)


@pytest.fixture(scope="module")
def made(film: Path) -> tuple[Avatar, tuple[str, ...]]:
    further = partial(own_picture.tuned, 1.0)
    return enroll_film(film, 256, {"name": "blue", "consent": "a painting's"}, further=further)


@pytest.fixture(scope="module")
def gain(made: tuple[Avatar, tuple[str, ...]], film: Path) -> Gain:
    """With a network that adds nothing."""
    avatar = made[0]
    shared = Weights(assets() / own_picture.SHARED)
    names = ("generator.leave.weight", "generator.leave.bias")
    quiet = {name: np.zeros(shared.tensors[name].shape, np.float16) for name in names}
    network = OwnNetwork(quiet, np.frombuffer(shared.digest(), np.uint8))
    assert avatar.film
    return compare(replace(avatar, film=replace(avatar.film, network=network)), film)


def test_the_inside_of_the_mouth_is_the_films(made: tuple[Avatar, tuple[str, ...]], gain: Gain) -> None:
    avatar, words = made
    assert avatar.film
    assert "mouth" in avatar.film.looks, words
    assert any(word.startswith("Taken from the film: the mouth") for word in words)
    assert any(word.startswith("Left out: a picture network") and "at least 200" in word for word in words)
    blues: dict[str, list[float]] = {"photo": [], "film": [], "truth": []}
    for k in np.argsort([-aperture(face) for face in gain.landmarks])[:10]:
        inside = polygon_mask(gain.landmarks[k, list(top.LIP_INNER), :2], SIDE, SIDE)
        for name, found in blues.items():
            colour = getattr(gain, name)[k][inside].mean(0)
            found.append(colour[2] - colour[0])
    photo, learned, truth = (float(np.mean(found)) for found in blues.values())
    assert truth > photo + 20, "the film's mouth is bluer than a drawn one"
    assert abs(truth - learned) < 0.6 * abs(truth - photo), "and what the film showed is painted"
    looks = Renderer(replace(avatar, film=replace(avatar.film, drift=None)), SIDE)
    plain = Renderer(replace(avatar, film=None), SIDE)
    assert np.array_equal(looks.render(moved(0.3))[:40], plain.render(moved(0.3))[:40]), "nothing elsewhere"


def test_a_shot_that_was_tracked_badly_throughout_teaches_nothing(made: tuple[Avatar, tuple[str, ...]]) -> None:
    """As where another person is seen for a while."""
    watched = Film(np.zeros((9, 478, 3), np.float32), np.zeros(9, bool), np.zeros(0, np.float32))
    shot = Lessons(np.arange(9), np.eye(2, 3), watched.landmarks)
    filmed = Filmed(Path("unread"), watched, 0, Renderer(made[0], SIDE), [shot], [[]])
    assert not list(lessons_of(filmed, 0, np.arange(0)))


def test_light_that_falls_from_elsewhere_is_the_portraits(made: tuple[Avatar, tuple[str, ...]]) -> None:
    """Else what a mouth was like there would lie on the face as a paler patch."""
    renderer = Renderer(replace(made[0], film=None), SIDE)
    motions = [moved(t) for t in (0.1, 0.4, 1.4)]
    plain = np.stack([renderer.render(motion) for motion in motions]).astype(np.float32)
    aside = np.linspace(0.75, 1.15, SIDE)[:, None] * np.array([1.0, 0.95, 0.9])
    lit = np.clip(plain * aside, 0, 255).astype(np.uint8)
    landmarks = np.zeros((3, 478, 3), np.float32)
    landmarks[:, : top.VERTICES] = [renderer.driven_mesh(motion) for motion in motions]
    cheeks = landmarks[0, [205, 425, 50, 280, 152], :2] * SIDE / made[0].size
    x, y = np.round(cheeks).astype(int).T
    apart = []
    for here in (True, False):
        light = light_of(renderer, lit, landmarks, motions, here)
        apart.append(np.abs(light(lit[0], motions[0]) - plain[0])[y, x].mean())
    assert apart[1] < 0.4 * apart[0], apart


def test_a_closed_eye_is_told_by_its_lids_not_by_its_gaze(made: tuple[Avatar, tuple[str, ...]]) -> None:
    """Filmed blinks look down, those made for a voice ahead: both are the same eye."""
    renderer = Renderer(made[0], SIDE)

    def told(blink: float) -> list[np.ndarray]:
        out = []
        for down in (0.0, 0.4):
            beta = np.zeros(52, np.float32)
            beta[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = blink
            beta[[INDEX["eyeLookDownLeft"], INDEX["eyeLookDownRight"]]] = down
            face = renderer.pose(replace(still(), blendshapes=beta)).face
            out.append(raw_features("eye_left", made[0], face, beta, np.eye(3, dtype=np.float32)))
        return out

    assert np.array_equal(*told(0.9))
    assert not np.array_equal(*told(0.2))


def test_the_portrait_at_rest_stays_exact(made: tuple[Avatar, tuple[str, ...]]) -> None:
    avatar = made[0]
    known, plain = Renderer(avatar, 512), Renderer(replace(avatar, film=None), 512)
    assert np.array_equal(known.render(still()), plain.render(still()))
    clear = known.render(moved(0.3), alpha=True)
    assert clear.shape == (512, 512, 4), "with a matte as well"


def test_what_a_film_adds_is_added_to_planes_too(made: tuple[Avatar, tuple[str, ...]]) -> None:
    renderer, wanted = Renderer(made[0], SIDE), np.empty((SIDE * 3 // 2, SIDE), np.uint8)
    for t in (0.2, 0.6):
        bytes_to_i420(renderer.render(moved(t)), wanted)
        apart = np.abs(renderer.planes(moved(t)).astype(int) - wanted)
        assert apart.mean() < 0.3
        assert apart.max() <= 25, "but for tints on edges of this very blue mouth"


def test_teeth_that_the_film_hides_are_not_painted(
    made: tuple[Avatar, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = Renderer(made[0], SIDE)
    motion = moved(0.2)
    posed, shown = renderer.pose(motion), renderer.render(motion)
    assert posed.called.fills
    assert posed.shown == renderer.scene.whole
    tongue = np.where(np.arange(52) == INDEX["tongueOut"], 0.5, motion.blendshapes).astype(np.float32)
    assert renderer.pose(replace(motion, blendshapes=tongue)).shown == renderer.scene.tongue_out
    monkeypatch.setattr(Renderer, "direct", False)  # networks see them
    assert renderer.pose(motion).shown == renderer.scene.open
    apart = np.abs(renderer.render(motion).astype(int) - shown)
    assert apart.max() <= 40, "a pixel of the lips' rim"
    assert apart.mean() < 0.02


def test_what_a_film_gave_is_kept_in_the_folder_and_goes_with_it(
    made: tuple[Avatar, tuple[str, ...]], tmp_path: Path
) -> None:
    avatar, words = made
    avatar.save(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 40_000_000
    facts = json.loads((tmp_path / "avatar.json").read_text())
    assert facts["consent"] == "a painting's"
    assert json.loads(facts["from_film"])[0] in words
    assert any(word in words for word in (f"The portrait is the film's, {k} s into it." for k in range(3)))
    again = Avatar.load(tmp_path)
    assert again.film
    assert np.array_equal(Renderer(again, 256).render(moved(0.4)), Renderer(avatar, 256).render(moved(0.4)))
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-900])
    with pytest.raises(VivifyError, match="enrol the film again"):
        Avatar.load(tmp_path)
    replace(avatar, film=None).save(tmp_path)
    assert not (tmp_path / FILE).exists(), "a photo alone leaves nothing of another's film behind"


def test_the_gain_is_told_in_figures(made: tuple[Avatar, tuple[str, ...]], film: Path, gain: Gain) -> None:
    assert gain.figures["film"]["mouth_error"] < 0.8 * gain.figures["photo"]["mouth_error"]
    assert gain.figures["film"]["portrait_changed"] == 0
    assert sheet(gain).shape[1:] == (4 * 384, 3)
    added = {name: gain.figures["film"][name] for name in gain.figures["tuned"]}
    assert gain.figures["tuned"] == pytest.approx(added, rel=0.02), "a network that adds nothing"
    with pytest.raises(VivifyError, match="from a photo alone"):
        compare(replace(made[0], film=None), film)


def test_tracking_goes_on_where_it_was_broken_off(film: Path) -> None:
    seen: list[float] = []
    whole_film = watch(film, longest_s=1.0, told=seen.append)
    assert len(whole_film.landmarks) == 25
    assert seen[-1] == pytest.approx(0.96)
    half = Tracked(np.arange(12) / 25, np.full((12, 478, 3), 7.0), np.zeros(12), np.array([SIDE, SIDE]))
    assert (watch(film, longest_s=1.0, known=half).landmarks[:12] == 7).all(), "what is known is not looked at again"


def test_a_film_wants_consent_and_what_it_can_be_made_of(film: Path, tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="--consent"):
        enroll(out=tmp_path, source=tmp_path / "me.mp4")
    with pytest.raises(VivifyError, match="none was named"):
        enroll(out=tmp_path)
    with pytest.raises(VivifyError, match="leave --tune out, or add --film"):
        enroll(out=tmp_path, source=tmp_path / "me.jpg", tune=5.0)
    for given in ({"photo": tmp_path / "b.jpg", "source": tmp_path / "me.jpg"}, {"film": film, "source": film}):
        with pytest.raises(VivifyError, match="leave one out"):
            enroll(out=tmp_path, **given)
    with pytest.raises(VivifyError, match=r"blue\.mp4 is a file"):
        enroll(out=film / "me", source=film, consent="a painting's")


def test_bad_films_get_one_sentence(film: Path, tmp_path: Path) -> None:
    (face,) = (p for k, p in enumerate(whole(film, watch(film, longest_s=0.2), np.array([0]))) if k == 0)
    flat, black = np.full_like(face, 128), np.zeros_like(face)
    for pictures, sentence in (
        ([flat] * 2, "shows no face"),
        ([black] * 2, "is dark"),
        ([np.hstack([face, face])] * 2, "two faces"),
        ([face // 12] * 2, "dark"),
    ):
        with pytest.raises(VivifyError, match=sentence):
            survey(written(tmp_path / "bad.mp4", pictures), 60)
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    with pytest.raises(VivifyError, match="cannot be read"):
        survey(tmp_path / "no.mp4", 60)
    with pytest.raises(VivifyError, match="no such file"):
        survey(tmp_path / "none.mp4", 60)
    with pytest.raises(VivifyError, match="not 300: choose one"):
        enroll_film(film, 300, {})
    with pytest.raises(VivifyError, match="at a stretch"):
        enroll_film(written(tmp_path / "brief.mp4", [face] * 20), 256, {})


def test_a_film_held_sideways_is_set_upright(film: Path, tmp_path: Path) -> None:
    (face,) = whole(film, watch(film, longest_s=0.2), np.array([0]))
    tall = np.ascontiguousarray(np.rot90(face))
    path = written(tmp_path / "sideways.mp4", [tall] * 3)
    quarter = survey(path, 60)
    assert quarter == 3
    turned = watch(path, quarter, silent=True)
    assert np.isfinite(turned.landmarks).all(), "silent and short as it is"


@pytest.mark.parametrize("rate", [15, 30, 50])
def test_pictures_are_those_shown_at_the_middle_of_a_frame(rate: int, tmp_path: Path) -> None:
    grey = [np.full((64, 64, 3), 2 + 4 * k, np.uint8) for k in range(rate)]
    path = written(tmp_path / "grey.mp4", grey, rate)
    film = Film(np.zeros((25, 478, 3), np.float32), np.zeros(25, bool), np.zeros(16000, np.float32), 0.0, (64, 64))
    frames = np.array([0, 7, 12, 24])
    shown = [float(picture.mean()) for picture in whole(path, film, frames)]
    for got, frame in zip(shown, frames, strict=True):
        assert abs(got - (2 + 4 * int(rate * (frame + 0.5) / 25))) <= 5, "the picture of then, or the one beside it"


def test_steadying_keeps_parabolas_and_calms_noise() -> None:
    t = np.linspace(0, 1, 40)[:, None]
    curve = 3 * t**2 - t
    assert np.allclose(steadied(curve, 15), curve)
    noise = np.random.default_rng(0).normal(0, 1, (400, 2))
    assert steadied(noise, 15).std() < 0.5
    assert np.array_equal(steadied(noise[:2], 15), noise[:2])
