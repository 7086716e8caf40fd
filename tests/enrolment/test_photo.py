"""Photographs of every kind are read upright, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.enrolment.photos import photo, photo_formats
from engine.enrolment.photos.colours import PRIMARIES, matrix_profile
from engine.enrolment.photos.photo import read_photo
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu


@pytest.fixture
def picture() -> np.ndarray:
    """Red at the top left, blue at the bottom right, easy to recognise after any turn."""
    out = np.full((40, 60, 3), 90, np.uint8)
    out[:20, :30] = (220, 30, 30)
    out[20:, 30:] = (30, 30, 220)
    return out


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) < 4


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", "png"), ("CMYK", "jpg"), ("P", "gif"), ("RGB", "webp")])
def test_formats(tmp_path: Path, picture: np.ndarray, mode: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    image = Image.fromarray(picture)
    (image.quantize(16) if mode == "P" else image.convert(mode)).save(path)
    assert close(read_photo(path), picture)


def test_exif_turns_the_photo_upright(tmp_path: Path, picture: np.ndarray) -> None:
    turned = Image.fromarray(picture).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "a.png", exif=exif)
    assert close(read_photo(tmp_path / "a.png"), picture)


def test_transparency_lies_over_grey(tmp_path: Path, picture: np.ndarray) -> None:
    alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
    alpha[:, 40:] = 0
    Image.fromarray(np.concatenate([picture, alpha], 2)).save(tmp_path / "a.png")
    got = read_photo(tmp_path / "a.png")
    assert (got[:, 45:] == 128).all()
    assert np.array_equal(got[:, :40], picture[:, :40])


def test_sixteen_bits(tmp_path: Path, picture: np.ndarray) -> None:
    grey = picture[..., 0].astype(np.uint16) * 257
    Image.fromarray(grey).save(tmp_path / "a.png")
    got = read_photo(tmp_path / "a.png")
    assert np.abs(got.astype(int) - picture[..., :1]).max() <= 1


def test_the_first_picture_of_an_animation(tmp_path: Path, picture: np.ndarray) -> None:
    first, second = Image.fromarray(picture), Image.fromarray(255 - picture)
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert close(read_photo(tmp_path / "a.gif"), picture)


@pytest.mark.parametrize("suffix", ["avif", "heic"])
@pytest.mark.parametrize("mark", [1, 2, 3, 5, 6, 8])
def test_photos_of_telephones_are_turned_once(tmp_path: Path, picture: np.ndarray, suffix: str, mark: int) -> None:
    """Their files say it twice: as a property of the picture, and in EXIF."""
    if suffix == "heic":
        can_be_written()
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    large = Image.fromarray(picture).resize((241, 161), Image.Resampling.NEAREST)  # odd sides, as no codec codes them
    exif = Image.Exif()
    exif[0x0112] = mark
    stored = large.transpose(turns[mark]) if mark in turns else large
    stored.save(tmp_path / f"a.{suffix}", quality=90, exif=exif.tobytes())
    assert mark == 1 or {b"irot", b"imir"} & set(properties(tmp_path / f"a.{suffix}"))
    assert close(read_photo(tmp_path / f"a.{suffix}"), np.asarray(large))


def can_be_written() -> None:
    """Let pillow-heif write HEIC; what reads it afterwards is the product's choice."""
    pytest.importorskip("pillow_heif", reason="needs the extra 'test'").register_heif_opener()
    photo_formats.readable.cache_clear()
    photo_formats.readable()


def properties(path: Path) -> list[bytes]:
    """Names of boxes that turn a picture, as they stand in the file."""
    return [name for name in (b"irot", b"imir") if name in path.read_bytes()]


def test_heic_in_display_p3(tmp_path: Path, picture: np.ndarray) -> None:
    """As an iPhone keeps them: HEVC, a profile, an odd size, transparency nowhere."""
    can_be_written()
    flat = np.full((161, 241, 3), (200, 120, 90), np.uint8)
    Image.fromarray(flat).save(tmp_path / "a.heic", quality=95, icc_profile=matrix_profile(PRIMARIES[12]))
    seen = read_photo(tmp_path / "a.heic")
    assert seen.shape == flat.shape
    assert np.abs(seen.astype(int) - (214, 116, 85)).max() <= 3


def test_heic_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_formats, "reads_heif", lambda: False)
    photo_formats.readable.cache_clear()
    try:
        assert "image/heic" not in photo_formats.media_types()
        (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500))
        with pytest.raises(VivifyError, match=r"pip install \"vivify\[heic\]\", or export it as JPEG"):
            read_photo(tmp_path / "a.heic")
    finally:
        photo_formats.readable.cache_clear()


def test_programs_and_rare_formats_are_not_opened(tmp_path: Path, picture: np.ndarray) -> None:
    for suffix in ("eps", "pcx", "sgi", "tga"):
        Image.fromarray(picture).save(tmp_path / f"a.{suffix}")
        with pytest.raises(VivifyError, match="no picture that can be read"):
            read_photo(tmp_path / f"a.{suffix}")


def test_a_truncated_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(VivifyError, match="damaged or cut short"):
        read_photo(tmp_path / "a.jpg")


def test_no_picture_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("dear diary")
    with pytest.raises(VivifyError, match="no picture that can be read"):
        read_photo(tmp_path / "a.jpg")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="no such file"):
        read_photo(tmp_path / "a.jpg")


def test_too_many_pixels(tmp_path: Path) -> None:
    Image.new("1", (10000, 10000)).save(tmp_path / "a.png")
    with pytest.raises(VivifyError, match="100 megapixels"):
        read_photo(tmp_path / "a.png")


def test_too_many_bytes(tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    monkeypatch.setattr(photo, "MAX_BYTES", 10)
    with pytest.raises(VivifyError, match="under 100 MB"):
        read_photo(tmp_path / "a.png")
