"""Glasses, and things before the mouth, drawn onto a face that has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.enrolment.covers import mouth_is_covered
from engine.enrolment.glasses import stiffness, wears_glasses
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.measures import unit
from engine.face.morphable_model import face_model
from engine.imaging.resampling import resized, to_bytes, warped

pytestmark = pytest.mark.cpu


def spectacled(avatar: Avatar, thick: int, colour: tuple[int, int, int]) -> np.ndarray:
    """Two rings and a bridge on the portrait."""
    picture, face, size = Image.fromarray(avatar.portrait), avatar.reference, unit(avatar.reference)
    draw = ImageDraw.Draw(picture)
    for outer, inner in ((33, 133), (263, 362)):
        x, y = face[[outer, inner], :2].mean(0) + np.array([0, 0.06 * size])
        wide, tall = 0.24 * size, 0.19 * size
        draw.ellipse([x - wide, y - tall, x + wide, y + tall], outline=colour, width=thick)
    (x0, y0), (x1, y1) = face[133, :2], face[362, :2]
    draw.line([x0 + 0.08 * size, y0, x1 - 0.08 * size, y1], colour, thick)
    return np.array(picture)


@pytest.mark.parametrize("thick", [1, 2, 4])
def test_glasses_are_seen(astronaut: Avatar, thick: int) -> None:
    assert not wears_glasses(astronaut.portrait, astronaut.reference)
    assert wears_glasses(spectacled(astronaut, thick, (40, 30, 30)), astronaut.reference)


def test_glasses_of_a_tilted_head_are_seen(astronaut: Avatar) -> None:
    cos, sin = np.cos(np.radians(25)), np.sin(np.radians(25))
    matrix = np.array([[cos, sin, 256 * (1 - cos - sin)], [-sin, cos, 256 * (1 - cos + sin)]])
    face = astronaut.reference.copy()
    face[:, :2] = face[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    for picture, seen in ((astronaut.portrait, False), (spectacled(astronaut, 2, (40, 30, 30)), True)):
        assert wears_glasses(to_bytes(warped(picture, matrix, 512, 512)), face) == seen


def test_a_frown_is_no_frame(astronaut: Avatar) -> None:
    """A line across the nose's root alone; a fringe or brows that meet cast the same."""
    (x0, y0), (x1, y1) = astronaut.reference[133, :2], astronaut.reference[362, :2]
    for thick, colour in ((1, (150, 110, 90)), (2, (110, 80, 64)), (6, (60, 45, 38))):
        picture = Image.fromarray(astronaut.portrait)
        ImageDraw.Draw(picture).line([x0, y0 - 8, x1, y1 - 8], colour, thick)
        assert not wears_glasses(np.array(picture), astronaut.reference)


def test_a_frown_that_was_taken_for_glasses(shared: Path, astronaut: Avatar) -> None:
    path = shared.parent / "faults" / "inputs" / "frown_20_no_glasses.png"
    if not path.is_file():
        pytest.skip("the photo with a frown is not beside this checkout")
    assert not wears_glasses(np.array(Image.open(path).convert("RGB")), astronaut.reference)


def test_brows_over_stiff_glasses_keep_their_thickness() -> None:
    model = face_model()
    upper, lower = [70, 63, 105, 66, 107, 300, 293, 334, 296, 336], [46, 53, 52, 65, 55, 276, 283, 282, 295, 285]
    thick = np.linalg.norm(model.neutral[upper] - model.neutral[lower], axis=1)
    for names in (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), ("browDownLeft", "browDownRight")):
        move = sum(model.expressions[INDEX[name]] for name in names) * (1 - stiffness(model)[:, None])
        moved = model.neutral + move
        assert np.abs(np.linalg.norm(moved[upper] - moved[lower], axis=1) / thick - 1).max() < 0.1


def test_lids_stay_free_under_stiff_glasses() -> None:
    stiff = stiffness(face_model())
    assert stiff.min() == 0
    assert stiff.max() == 1
    assert not stiff[[*top.EYE_RIGHT, *top.EYE_LEFT, *top.LIP_OUTER, top.CHIN, top.FOREHEAD]].any()
    assert stiff[[168, 6, 230, 450]].min() > 0.99, "the bridge and below the eyes"


@pytest.mark.parametrize("colour", [(225, 228, 230), (35, 35, 38), (90, 140, 60)])
def test_something_before_the_mouth_is_seen(astronaut: Avatar, colour: tuple[int, int, int]) -> None:
    assert not mouth_is_covered(astronaut.portrait, astronaut.reference)
    x, y = astronaut.reference[[13, 14], :2].mean(0)
    size, picture = unit(astronaut.reference), Image.fromarray(astronaut.portrait)
    wide, tall = 0.45 * size, 0.3 * size
    ImageDraw.Draw(picture).ellipse([x - wide, y - tall, x + wide, y + tall], fill=colour)
    assert mouth_is_covered(np.array(picture), astronaut.reference)


def test_a_hand_is_as_skin(astronaut: Avatar) -> None:
    picture, size = astronaut.portrait.copy(), unit(astronaut.reference)
    (x, y), (cx, cy) = astronaut.reference[[13, 14], :2].mean(0), astronaut.reference[205, :2]
    reach = int(0.1 * size)
    cheek = picture[int(cy) - reach : int(cy) + reach, int(cx) - reach : int(cx) + reach]
    hand = resized(cheek, int(0.8 * size), int(0.5 * size))
    left, above = int(x - 0.4 * size), int(y - 0.25 * size)
    picture[above : above + hand.shape[0], left : left + hand.shape[1]] = hand
    assert mouth_is_covered(picture, astronaut.reference)


def test_a_grey_photo_says_nothing_of_colours(astronaut: Avatar) -> None:
    grey = np.repeat(astronaut.portrait.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert not mouth_is_covered(grey, astronaut.reference)


def test_films_of_people_with_and_without(shared) -> None:
    """One of these speakers wears thin wire."""
    import av

    from engine.enrolment.enroll import enroll_picture

    for name, glasses in (("lbax4n", True), ("sbwe5n", False)):
        with av.open(str(shared / "video" / "grid" / f"{name}.mpg")) as film:
            frame = next(film.decode(video=0)).to_ndarray(format="rgb24")
        made, told = enroll_picture(frame, 256, {})
        assert bool(made.stiff.any()) == glasses
        assert any("Glasses" in text for text in told) == glasses
        assert not any("lips' colour" in text for text in told)
