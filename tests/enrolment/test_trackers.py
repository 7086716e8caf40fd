"""The face trackers see what mediapipe's see, and what is there; where mediapipe is installed it is asked itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.landmarks import CONFIRMED, FaceDetector, FaceMesh, person_silhouette
from engine.enrolment.photos.photo import read_photo
from engine.enrolment.trackers import tracker_session
from engine.enrolment.trackers.face_detector import FAR, NEAR, detect
from engine.enrolment.trackers.face_mesh import look, next_square
from engine.enrolment.trackers.person_matte import person_matte
from engine.enrolment.trackers.region import Region
from engine.enrolment.trackers.tracker_session import NAMES, tracker
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.imaging.resampling import to_bytes, warped
from engine.paths import assets

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("astronaut_by_mediapipe.npy")
NEAR_ENOUGH = 0.15  # pixels of a face as it is in a crop of 512
MATTE_ENOUGH = 2 / 255
FILMS = ("grid/bbaf2n.mpg", "whitehouse/address_1.mp4", "eval_more/talk_1.mp4", "latentsync_demo3.mp4")


@pytest.fixture(scope="module")
def mediapipe() -> Any:
    os.environ.setdefault("GLOG_minloglevel", "3")
    return pytest.importorskip("mediapipe", reason="compared with mediapipe, from the test extra")


def apart(ours: FloatArray, theirs: FloatArray) -> float:
    """The furthest of the landmarks [478, 3], in pixels of a crop of 512 in which a face is .45 high."""
    scale = 0.45 * 512 / float(np.ptp(theirs[:, 1]))
    return scale * float(np.abs(ours - theirs).max())


def by_mediapipe(result: Any, picture: ByteArray) -> list[FloatArray]:
    """Landmarks of mediapipe's FaceMesh, counted as ours."""
    height, width = picture.shape[:2]
    size, middle = np.array([width, height, width]), np.array([0.5, 0.5, 0])
    faces = result.multi_face_landmarks or []
    return [np.array([(p.x, p.y, p.z) for p in face.landmark]) * size - middle for face in faces]


def frames(path: Path, count: int, every: int = 1) -> Iterator[ByteArray]:
    with av.open(str(path)) as film:
        for k, frame in enumerate(film.decode(video=0)):
            if k >= count * every:
                return
            if k % every == 0:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def pictures(shared: Path) -> Iterator[ByteArray]:
    for path in sorted((shared / "portraits").iterdir()):
        yield read_photo(path)
    for name in FILMS:
        yield from frames(shared / "video" / name, 3, every=20)


def test_the_default_portrait_is_read_as_mediapipe_reads_it(astronaut: Avatar) -> None:
    (face,) = FaceMesh().find(astronaut.portrait)
    assert apart(face, np.load(GOLDEN, allow_pickle=False)) < NEAR_ENOUGH


@pytest.mark.filterwarnings("ignore")
def test_pictures_are_read_as_mediapipe_reads_them(mediapipe: Any, shared: Path) -> None:
    solutions = mediapipe.solutions
    with (
        solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True, max_num_faces=4, min_detection_confidence=0.3
        ) as mesh,
        solutions.face_detection.FaceDetection(model_selection=0) as near,
        solutions.face_detection.FaceDetection(model_selection=1) as far,
        solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as person,
    ):
        for picture in pictures(shared):
            theirs, ours = by_mediapipe(mesh.process(picture), picture), FaceMesh().find(picture)
            assert len(theirs) == len(ours) == 1
            assert apart(ours[0], theirs[0]) < NEAR_ENOUGH
            assert np.abs(person_matte(picture) - person.process(picture).segmentation_mask).max() < MATTE_ENOUGH
            for net, sight, least in ((near, NEAR, 0.5), (far, FAR, 0.6)):
                same_boxes(net.process(picture).detections or [], detect(picture, sight, least), picture)


def same_boxes(theirs: list[Any], ours: list[Any], picture: ByteArray) -> None:
    height, width = picture.shape[:2]
    assert len(theirs) == len(ours)
    for their, our in zip(theirs, ours, strict=True):
        box, points = their.location_data.relative_bounding_box, their.location_data.relative_keypoints
        assert our.score == pytest.approx(their.score[0], abs=1e-4)
        corner = our.box.x - our.box.width / 2, our.box.y - our.box.height / 2
        assert corner == pytest.approx((box.xmin * width, box.ymin * height), abs=0.05)
        assert (our.box.width, our.box.height) == pytest.approx((box.width * width, box.height * height), abs=0.05)
        assert np.abs(our.points - [(p.x * width, p.y * height) for p in points]).max() < 0.05


@pytest.mark.filterwarnings("ignore")
def test_a_face_is_followed_through_a_film_as_mediapipe_follows_it(mediapipe: Any, shared: Path) -> None:
    """From picture to picture a difference of .00001 pixel grows to .1: each step is compared, the whole roughly."""
    steps, whole, before = [], [], None
    with (
        mediapipe.solutions.face_mesh.FaceMesh(refine_landmarks=True, max_num_faces=1) as mesh,
        FaceMesh(faces=1, confidence=0.5, film=True) as net,
    ):
        for picture in frames(shared / "video" / "grid" / "bbaf2n.mpg", 75):
            (theirs,), (ours,) = by_mediapipe(mesh.process(picture), picture), net.find(picture)
            whole.append(apart(ours, theirs))
            middle = np.array([0.5, 0.5, 0], np.float32)
            if before is not None:
                steps.append(apart(look(picture, next_square(before.astype(np.float32) + middle))[0] - middle, theirs))
            before = theirs
    assert max(steps) < NEAR_ENOUGH
    assert np.median(whole) < NEAR_ENOUGH
    assert max(whole) < 0.5


@pytest.mark.filterwarnings("ignore")
def test_the_files_are_what_the_script_makes_of_mediapipe(mediapipe: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs the test extra")
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_trackers"), "-o", str(tmp_path)], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    card = (assets() / "trackers" / "README.md").read_text()
    for name in set(NAMES) - {"likeness"}:  # whose package is npm's
        shipped = assets() / "trackers" / f"{name}.onnx"
        assert (tmp_path / shipped.name).read_bytes() == shipped.read_bytes()
        assert f"`{shipped.name}` | {shipped.stat().st_size / 1000:.0f} |" in card


@pytest.mark.parametrize("degrees", [-25, 15])
def test_a_turned_picture_turns_its_landmarks(astronaut: Avatar, degrees: float) -> None:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, -sin], [sin, cos]])
    matrix = np.c_[turn, 256 - turn @ [256, 256]]
    (upright,), (turned,) = (
        FaceMesh().find(p) for p in (astronaut.portrait, to_bytes(warped(astronaut.portrait, matrix, 512, 512)))
    )
    away = np.linalg.norm(turned[:, :2] - (upright[:, :2] @ turn.T + matrix[:, 2]), axis=1)
    assert away.mean() < 2
    assert away.max() < 6


@pytest.mark.parametrize("beyond", [(0, 700), (900, 0), (33, 0)])
def test_a_picture_of_any_shape(astronaut: Avatar, beyond: tuple[int, int]) -> None:
    picture = np.pad(astronaut.portrait, ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")
    (face,) = FaceMesh().find(picture)
    assert np.abs(face - np.load(GOLDEN, allow_pickle=False)).mean() < 2
    assert person_silhouette(picture).shape == picture.shape[:2]


def test_a_face_that_the_border_cuts(astronaut: Avatar) -> None:
    eye = int(astronaut.reference[top.OUTER_CORNER_RIGHT, 0])
    (face,) = FaceMesh().find(np.ascontiguousarray(astronaut.portrait[:, eye:]))
    assert np.isfinite(face).all()
    assert face[:, 0].min() < -20, "what is cut off is where it would be"


def test_a_grey_picture(astronaut: Avatar) -> None:
    grey = np.repeat(astronaut.portrait.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)
    (face,) = FaceMesh().find(grey)
    assert np.abs(face - np.load(GOLDEN, allow_pickle=False)).mean() < 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (300, 2), (64, 64), (480, 640)])
def test_nothing_is_found_where_nothing_is(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for picture in (noise, np.zeros_like(noise)):
        assert FaceMesh().find(picture) == []
        assert FaceMesh(film=True).find(picture) == []
        assert max((seen.sure for seen in FaceDetector()(picture)), default=0) < CONFIRMED
        matte = person_silhouette(picture)
        assert matte.shape == shape
        assert np.isfinite(matte).all()


def test_two_faces_are_two(astronaut: Avatar) -> None:
    both = np.hstack([astronaut.portrait[:, 60:400], astronaut.portrait[:, 60:400]])
    faces = FaceMesh().find(both)
    assert len(faces) == 2
    assert len(FaceMesh(faces=1).find(both)) == 1
    apart_by = abs(faces[0][:, 0].mean() - faces[1][:, 0].mean())
    assert apart_by == pytest.approx(340, abs=3)


def test_a_face_is_followed_lost_and_found(astronaut: Avatar) -> None:
    golden = np.load(GOLDEN, allow_pickle=False)
    noise = np.random.default_rng(0).integers(0, 256, astronaut.portrait.shape, dtype=np.uint8)
    with FaceMesh(faces=1, confidence=0.5, film=True) as net:
        for shift in range(0, 60, 6):
            moved = np.roll(astronaut.portrait, shift, axis=1)
            (face,) = net.find(moved)
            assert np.abs(face - golden - [shift, 0, 0]).mean() < 1.5
        assert net.find(noise) == []
        assert len(net.find(astronaut.portrait)) == 1


def test_the_matte_is_on_the_person(astronaut: Avatar) -> None:
    matte = person_matte(astronaut.portrait)
    assert matte.min() >= 0
    assert matte.max() <= 1
    x, y = astronaut.reference[4, :2].astype(int)
    assert matte[y - 20 : y + 20, x - 20 : x + 20].min() > 0.9
    assert matte[:40, -40:].max() < 0.3


def test_a_region_is_cut_turned_and_continued() -> None:
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 100, axis=0).repeat(3, axis=2)
    plain = Region(50, 50, 64, 64).cut(ramp, 64, repeat=True)
    assert np.array_equal(plain[0, 10], np.arange(18, 82)), "colour by colour, pixel for pixel"
    turned = Region(50, 50, 64, 64, np.pi / 2).cut(ramp, 64, repeat=True)
    assert np.abs(turned[0, :, 10].astype(int) - np.arange(82, 18, -1)).max() <= 1
    left = Region(0, 50, 64, 64)
    assert (left.cut(ramp + 7, 64, repeat=True)[:, :, :32] == 7).all()
    assert (left.cut(ramp + 7, 64, repeat=False)[:, :, :31] == 0).all()
    corner = left.outside(np.array([[0.0, 0.0], [1.0, 0.5]]))
    assert np.allclose(corner, [[-32, 18], [32, 50]])


def test_a_network_is_read_once_and_keeps_one_thread() -> None:
    assert tracker("person") is tracker("person")
    assert tracker("person").get_session_options().intra_op_num_threads == 1


def test_a_missing_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracker_session, "assets", lambda: tmp_path)
    with pytest.raises(VivifyError, match="no such file: reinstall"):
        tracker.__wrapped__("face_mesh")
