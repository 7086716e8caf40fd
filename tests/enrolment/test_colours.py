"""Colours of every kind of file come out as a colour-managed viewer shows them."""

from __future__ import annotations

import base64
import io
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from engine.enrolment.photos.colours import PRIMARIES, matrix_profile
from engine.enrolment.photos.photo import read_photo

SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
ADOBE = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
WIDE = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))  # ProPhoto's colours, under our white
PATCH = 16  # pixels


def gamma(power: float) -> tuple[float, float, float, float, float]:
    return power, 1.0, 0.0, 0.0, 0.0


PROFILES = {
    "p3": matrix_profile(PRIMARIES[12]),
    "2020": matrix_profile(PRIMARIES[9]),
    "adobe": matrix_profile(ADOBE, gamma(2.2)),
    "prophoto": matrix_profile(WIDE, gamma(1.8)),
}


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    """Sixty-four colours, skin among them, as squares."""
    colours = np.random.default_rng(0).choice([0, 30, 80, 140, 200, 255], (8, 8, 3))
    colours[0] = np.linspace(0, 255, 8)[:, None]
    colours[1] = np.array([224, 172, 140]) + np.arange(-80, 0, 10)[:, None]
    return np.kron(colours, np.ones((PATCH, PATCH, 1))).astype(np.uint8)


def middles(picture: np.ndarray) -> np.ndarray:
    return picture[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].astype(int)


def by_arithmetic(colours: np.ndarray, primaries: tuple[tuple[float, float], ...], power: float | None) -> np.ndarray:
    """What sRGB shows of ``colours``, clipped colour by colour."""

    def to_xyz(places: tuple[tuple[float, float], ...]) -> np.ndarray:
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in places]).T
        white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
        return columns * np.linalg.solve(columns, white)

    v = colours / 255
    linear = v**power if power else np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    seen = (linear @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).T).clip(0, 1)
    return 255 * np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.cpu
@pytest.mark.parametrize(
    ("name", "primaries", "power"),
    [("p3", PRIMARIES[12], None), ("2020", PRIMARIES[9], None), ("adobe", ADOBE, 2.2), ("prophoto", WIDE, 1.8)],
)
@pytest.mark.parametrize("suffix", ["png", "webp", "avif", "jpg", "tif"])
def test_profiles(tmp_path: Path, patches: np.ndarray, name: str, primaries: tuple, power: float, suffix: str) -> None:
    sharp = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}, "avif": {"quality": 100}}
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(patches).save(path, icc_profile=PROFILES[name], **sharp.get(suffix, {}))
    stored = np.array(Image.open(path).convert("RGB"))
    assert np.abs(middles(read_photo(path)) - by_arithmetic(middles(stored), primaries, power)).max() <= 2


def with_number(path: Path, patches: np.ndarray, primaries: int) -> None:
    """An AVIF or PNG that gives its colours as a number instead of a profile."""
    data = io.BytesIO()
    if path.suffix == ".avif":
        Image.fromarray(patches).save(data, "AVIF", quality=100)
        at = data.getvalue().index(b"colrnclx") + 8
        path.write_bytes(data.getvalue()[:at] + primaries.to_bytes(2, "big") + data.getvalue()[at + 2 :])
        return
    Image.fromarray(patches).save(data, "PNG")
    chunk = b"cICP" + bytes([primaries, 13, 0, 1])
    chunk = (4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    path.write_bytes(data.getvalue()[:33] + chunk + data.getvalue()[33:])


@pytest.mark.cpu
@pytest.mark.parametrize("suffix", ["avif", "png"])
@pytest.mark.parametrize("primaries", [1, 12])
def test_numbers_instead_of_profiles(tmp_path: Path, patches: np.ndarray, suffix: str, primaries: int) -> None:
    path = tmp_path / f"a.{suffix}"
    with_number(path, patches, primaries)
    stored = middles(np.array(Image.open(path).convert("RGB")))
    expected = by_arithmetic(stored, PRIMARIES[12] if primaries == 12 else SRGB, None)
    assert np.abs(middles(read_photo(path)) - expected).max() <= 2


def grey_profile() -> bytes:
    """Grey with a gamma of 1.8, as old scanners have it: the wide profile's curve alone."""
    whole = PROFILES["prophoto"]
    at = int.from_bytes(whole[whole.index(b"rTRC") + 4 :][:4], "big")
    size = int.from_bytes(whole[whole.index(b"rTRC") + 8 :][:4], "big")
    white = whole[whole.index(b"XYZ ", 200) :][:20]
    text = b"mluc" + bytes(4) + b"\0\0\0\1\0\0\0\x0cenUS\0\0\0\2\0\0\0\x1c\0g\0\0"
    tags = {b"wtpt": white, b"kTRC": whole[at : at + size], b"desc": text, b"cprt": text}
    table, data = len(tags).to_bytes(4, "big"), b""
    for name, content in tags.items():
        table += name + (132 + 12 * len(tags) + len(data)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        data += content + bytes(-len(content) % 4)
    head = bytearray(whole[:128])
    head[:4], head[16:20] = (128 + len(table) + len(data)).to_bytes(4, "big"), b"GRAY"
    return bytes(head) + table + data


@pytest.mark.cpu
def test_grey(tmp_path: Path, patches: np.ndarray) -> None:
    Image.fromarray(patches).convert("L").save(tmp_path / "a.png", icc_profile=grey_profile())
    stored = np.repeat(middles(np.array(Image.open(tmp_path / "a.png")))[..., None], 3, 2)
    assert np.abs(middles(read_photo(tmp_path / "a.png")) - by_arithmetic(stored, SRGB, 1.8)).max() <= 2


@pytest.mark.cpu
def test_transparency_and_palettes_keep_their_profile(tmp_path: Path, patches: np.ndarray) -> None:
    clear = Image.fromarray(patches)
    clear.putalpha(Image.new("L", clear.size, 255))
    clear.save(tmp_path / "clear.png", icc_profile=PROFILES["p3"])
    Image.fromarray(patches).quantize(64).save(tmp_path / "palette.png", icc_profile=PROFILES["p3"])
    for name in ("clear", "palette"):
        stored = middles(np.array(Image.open(tmp_path / f"{name}.png").convert("RGB")))
        seen = middles(read_photo(tmp_path / f"{name}.png"))
        assert np.abs(seen - by_arithmetic(stored, PRIMARIES[12], None)).max() <= 2


@pytest.mark.cpu
@pytest.mark.parametrize("profile", [b"no profile", PROFILES["p3"][:300], grey_profile()])
def test_profiles_that_do_not_fit_are_passed_over(tmp_path: Path, patches: np.ndarray, profile: bytes) -> None:
    Image.fromarray(patches).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(read_photo(tmp_path / "a.png"), patches)


@pytest.mark.cpu
@pytest.mark.parametrize("name", ["icc_p3.jpg", "icc_prophoto.jpg"])
def test_portraits_with_profiles(shared: Path, name: str) -> None:
    """Two portraits beside their sRGB original, as another implementation of ICC converts them."""
    path = shared.parent / "faults" / "inputs" / name
    if not path.is_file():
        pytest.skip("the photos with profiles are not beside this checkout")
    image = Image.open(path)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    exact = ImageCms.buildTransform(
        profile, ImageCms.createProfile("sRGB"), "RGB", "RGB", flags=ImageCms.Flags.NOOPTIMIZE
    )
    assert np.abs(read_photo(path).astype(int) - np.array(exact.apply(image)).astype(int)).max() <= 3


@pytest.mark.browser
def test_chromium_shows_the_same(tmp_path: Path, patches: np.ndarray) -> None:
    """The very files, shown by a browser that manages colours."""
    from playwright.sync_api import sync_playwright

    for name, profile in PROFILES.items():
        Image.fromarray(patches).save(tmp_path / f"{name}.png", icc_profile=profile)
        Image.fromarray(patches).save(tmp_path / f"{name}.jpg", quality=95, icc_profile=profile)
    Image.fromarray(patches).convert("L").save(tmp_path / "grey.png", icc_profile=grey_profile())
    Image.fromarray(patches).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    with_number(tmp_path / "number.avif", patches, 12)
    with_number(tmp_path / "number.png", patches, 12)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--force-color-profile=srgb", "--no-sandbox"]
        )
        page = browser.new_page()
        for path in sorted(tmp_path.iterdir()):
            data = base64.b64encode(path.read_bytes()).decode()
            kind = path.suffix[1:].replace("jpg", "jpeg")
            page.set_content(
                f'<body style="margin:0"><img style="display:block" src="data:image/{kind};base64,{data}">'
            )
            page.wait_for_function("document.images[0].complete && document.images[0].naturalWidth")
            clip = {"x": 0, "y": 0, "width": 8 * PATCH, "height": 8 * PATCH}
            shown = np.array(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))
            assert np.abs(middles(read_photo(path)) - middles(shown)).max() <= 3, path.name
        browser.close()
