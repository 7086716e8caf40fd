"""Every kind of unfit photo goes through enrolment whole: it works, or one sentence says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.enrolment.enroll import enroll
from engine.errors import VivifyError
from engine.face import topology as top

pytestmark = pytest.mark.cpu
SIZE = 256


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    data = pytest.importorskip("skimage.data", reason="needs the test extra")
    return np.asarray(data.astronaut())


def save_cmyk(photo: np.ndarray, path: Path) -> None:
    Image.fromarray(photo).convert("CMYK").save(path, "JPEG", quality=95)


def save_animation(photo: np.ndarray, path: Path) -> None:
    frames = [Image.fromarray(p).quantize(128) for p in (photo, 255 - photo)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


def save_alpha(photo: np.ndarray, path: Path) -> None:
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, :60] = 0
    Image.fromarray(np.dstack([photo, alpha])).save(path, "PNG")


def save_sixteen_bits(photo: np.ndarray, path: Path) -> None:
    grey = photo.astype(np.float32).mean(2) * 257
    Image.fromarray(grey.astype(np.uint16)).save(path, "PNG")


def save_grey(photo: np.ndarray, path: Path) -> None:
    Image.fromarray(photo).convert("L").save(path, "PNG")


def save_turned_by_exif(photo: np.ndarray, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).transpose(Image.Transpose.ROTATE_90).save(path, "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize(
    "save", [save_cmyk, save_animation, save_alpha, save_sixteen_bits, save_grey, save_turned_by_exif]
)
def test_odd_files_with_a_face_work(
    photo: np.ndarray, tmp_path: Path, save: Callable[[np.ndarray, Path], None]
) -> None:
    path = tmp_path / "photo"
    save(photo, path)
    avatar, told = enroll(path, SIZE)
    up = avatar.reference[top.FOREHEAD] - avatar.reference[top.CHIN]
    assert up[1] < -80
    assert not any("turned upright" in text for text in told)


def picture(pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(pixels).save(path, "PNG")


def truncated(path: Path) -> None:
    Image.fromarray(noise(200, 200)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:9000])


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "all black": (picture(np.zeros((300, 400, 3), np.uint8)), "No face was found"),
    "all white": (picture(np.full((300, 400, 3), 255, np.uint8)), "No face was found"),
    "noise": (picture(noise(240, 320)), "No face was found"),
    "one pixel": (picture(np.full((1, 1, 3), 9, np.uint8)), "No face was found"),
    "a thread": (
        picture(noise(3, 2000)),
        "No face was found",
    ),
    "truncated": (truncated, "damaged or cut short"),
    "100 megapixels": (lambda path: Image.new("1", (10000, 10000)).save(path, "PNG"), "at most 40"),
    "zero bytes": (lambda path: path.write_bytes(b""), "is empty"),
    "a folder": (lambda path: path.mkdir(), "that is a folder"),
    "a text": (lambda path: path.write_text("dear diary, today I was no picture"), "no picture that can be read"),
    "HEIC": (lambda path: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(500)), "as JPEG|cut short"),
    "AVIF without its body": (lambda path: path.write_bytes(b"\0\0\0\x18ftypavif" + bytes(500)), "JPEG|cut short"),
    "nothing there": (lambda path: None, "no such file"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_files_get_one_sentence(tmp_path: Path, name: str) -> None:
    make, words = UNFIT[name]
    make(tmp_path / "photo.jpg")
    with pytest.raises(VivifyError, match=words) as told:
        enroll(tmp_path / "photo.jpg", SIZE)
    text = str(told.value)
    assert text.count(". ") == 0, "one sentence"
    assert text.endswith(".")
    assert ": " in text, "which says what to do"


def test_a_face_of_forty_pixels(photo: np.ndarray, tmp_path: Path) -> None:
    small = Image.fromarray(photo).resize((192, 192))  # its face is 40 pixels high
    small.save(tmp_path / "small.png")
    with pytest.raises(VivifyError, match=r"only 4[0-9] pixels high, at least 60"):
        enroll(tmp_path / "small.png", SIZE)


def test_two_alike(photo: np.ndarray, tmp_path: Path) -> None:
    face = photo[0:260, 100:360]
    Image.fromarray(np.hstack([face, face])).save(tmp_path / "two.png")
    with pytest.raises(VivifyError, match="2 faces of similar size"):
        enroll(tmp_path / "two.png", SIZE)
