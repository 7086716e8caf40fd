"""Upright photos stay as they stand, whatever is worn; turned ones are found; animals are told from people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from engine.enrolment.enroll import enroll_picture
from engine.enrolment.landmarks import STRANGE, FaceDetector, FaceMesh, find_portrait
from engine.enrolment.photos.photo import read_photo
from engine.enrolment.uprightness import CERTAIN, look_closely
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.paths import assets

pytestmark = pytest.mark.cpu


def turns(rgb: np.ndarray) -> int:
    """By how many quarters the photo is turned to find its face, which then stands upright."""
    with FaceDetector() as detector, FaceMesh() as net:
        quarter, faces = find_portrait(detector, net, np.ascontiguousarray(rgb))
    assert faces
    up = faces[0][top.FOREHEAD] - faces[0][top.CHIN]
    assert abs(np.degrees(np.arctan2(up[0], -up[1]))) < 45
    return quarter


@pytest.mark.parametrize("name", sorted(folder.name for folder in (assets() / "avatars").iterdir()))
def test_bundled_portraits_stay_upright(name: str) -> None:
    """The first of these was said to lie on its side, and to show two faces."""
    assert turns(read_photo(assets() / "avatars" / name / "portrait.png")) == 0


def with_hat(avatar: Avatar) -> Image.Image:
    """Dark, over the forehead, with a brim wider than the face."""
    out = Image.fromarray(avatar.portrait)
    x, y = avatar.reference[top.FOREHEAD, :2] + np.array([0, 12])
    ImageDraw.Draw(out).rectangle([x - 75, y - 110, x + 75, y], fill=(40, 36, 44))
    ImageDraw.Draw(out).rectangle([x - 140, y - 16, x + 140, y], fill=(24, 22, 28))
    return out


VARIANTS = {
    "as it is": lambda avatar: Image.fromarray(avatar.portrait),
    "a hat": with_hat,
    "tilted": lambda avatar: Image.fromarray(avatar.portrait).rotate(25, fillcolor=(127, 127, 127)),
    "small, dark and grey": lambda avatar: ImageOps.scale(
        Image.fromarray(avatar.portrait).convert("L").point(lambda v: 0.4 * v).convert("RGB"), 0.4
    ),
    "padded": lambda avatar: ImageOps.expand(Image.fromarray(avatar.portrait), 200, (250, 250, 250)),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_stay_upright_and_turned_ones_are_found(astronaut: Avatar, name: str) -> None:
    rgb = np.asarray(VARIANTS[name](astronaut))
    assert [turns(np.rot90(rgb, -quarter)) for quarter in range(4)] == [0, 1, 2, 3]


def test_what_was_turned_though_upright(shared: Path) -> None:
    path = shared.parent / "faults" / "inputs" / "astronaut_upright_but_turned.png"
    if not path.is_file():
        pytest.skip("the photo that was turned is not beside this checkout")
    _, told = enroll_picture(read_photo(path), 256, {})
    assert told == ()


def test_a_face_on_its_head_is_worth_less(astronaut: Avatar) -> None:
    """Though the landmark net lays an upright mesh over it."""
    x, y = astronaut.reference[:, :2].mean(0)
    width = float(np.ptp(astronaut.reference[:, 0]))
    upright = look_closely(astronaut.portrait, x, y, width)
    turned = look_closely(np.ascontiguousarray(astronaut.portrait[::-1, ::-1]), 511 - x, 511 - y, width)
    assert upright
    assert upright.score > CERTAIN
    assert turned is None or turned.score < upright.score - 1


def test_an_animal_is_refused_or_told() -> None:
    data = pytest.importorskip("skimage.data", reason="needs the test extra")
    try:
        _, told = enroll_picture(data.chelsea()[::2, ::2], 256, {})
    except VivifyError as refused:
        told = (str(refused),)
    assert STRANGE in told or "No face was found" in told[0]
