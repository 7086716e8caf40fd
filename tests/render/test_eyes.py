"""Eyes: what a moving iris uncovers fits its place, lids meet in a dark line that is no darker than it must be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.render.parts.driven_face import DrivenFace
from engine.render.preparation.eye_preparation import lash_line
from engine.render.prepared import prepare
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu


def driven(avatar: Avatar) -> DrivenFace:
    known = prepare(avatar)
    return DrivenFace(known.head, known.face, known.lips)


def test_the_white_beside_the_iris_is_as_light_as_its_corner() -> None:
    from engine.face.eye_panels import eye_panels
    from engine.face.panels import LUMA, place, window

    y, x = np.mgrid[0:512, 0:512].astype(np.float32)
    image = np.full((512, 512, 3), 150, np.uint8)  # skin
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)  # from the left corner along the upper lid
    loop = np.stack([256 - 24 * np.cos(angle), 256 - 10 * np.sin(angle)], 1).astype(np.float32)
    inside = ((x - 256) / 24) ** 2 + ((y - 256) / 10) ** 2 < 1
    image[inside] = 240
    image[inside & (x > 256)] = 90  # one corner lies in the shade
    iris = np.array([256, 256, 9], np.float32)
    image[np.hypot(x - 256, y - 256) < 9] = 20
    white, seen = eye_panels(image, loop, loop, iris, "right")
    spot = place("white_right", 512)
    left, up = window(loop, spot)
    row = (white @ LUMA)[256 - up]
    assert row[256 + 9 - left] < 125, "just beside the iris in the dark corner"
    assert row[256 - 9 - left] > 160, "and in the bright one"
    assert (seen[256 - up, 256 - left] < 60).all()
    below, above = (white @ LUMA)[256 + 3 - up, 240 - left], (white @ LUMA)[256 - 14 - up, 248 - left]
    assert above < 0.6 * below, "what only a wider eye shows lies in the lid's shadow"


def test_the_lash_line_adds_only_what_is_missing(astronaut: Avatar) -> None:
    line = lash_line(astronaut, top.EYE_RIGHT_UPPER)
    assert line.shape == (9,)
    assert (line > 0).all()
    bright = dataclasses.replace(astronaut, portrait=np.full_like(astronaut.portrait, 180))
    most = lash_line(bright, top.EYE_RIGHT_UPPER)
    assert (most >= line).all(), "an eye without any lashes gets the most"
    rows = astronaut.portrait.copy()
    x, y = astronaut.reference[list(top.EYE_RIGHT_UPPER), :2].round().astype(int).T
    rows[y.min() - 4 : y.max() + 5, x.min() - 3 : x.max() + 4] = 20
    least = lash_line(dataclasses.replace(astronaut, portrait=rows), top.EYE_RIGHT_UPPER)
    assert (least < most).all()


def test_glasses_stay_while_lids_close_behind_them(astronaut: Avatar, talk) -> None:
    stiff = np.zeros(top.VERTICES, np.float32)
    frame = list(top.EYE_RIGHT_RING)
    stiff[frame] = 1
    glasses = driven(dataclasses.replace(astronaut, stiff=stiff))
    plain = driven(astronaut)
    for pose in (talk(eyeBlink=1.0), talk(browInnerUp=1.0, browDown=0.5), talk(eyeBlink=0.6, cheekSquint=0.8)):
        held, free = glasses(pose.blendshapes), plain(pose.blendshapes)
        assert np.allclose(held[frame], astronaut.neutral[frame], atol=1e-4)
        assert np.abs(free[frame] - astronaut.neutral[frame]).max() > 0.5
        others = np.setdiff1d(np.arange(top.VERTICES), frame)
        assert np.allclose(held[others], free[others], atol=1e-4)
    assert np.array_equal(glasses(talk().blendshapes), plain(talk().blendshapes))


def test_a_wider_eye_uncovers_no_line(astronaut: Avatar, renderer: Renderer, talk) -> None:
    """The rim under the lashes moves up with the lid instead of staying behind as a bright or dark line."""
    eye, rows = renderer._eyes[1], len(top.EYE_LEFT_UPPER)

    def fringe(**shapes: float) -> np.ndarray:
        beta = talk(**shapes).blendshapes
        return eye.fringe(beta, renderer._drive(beta))

    rest, raised, shut = fringe(), fringe(eyeWide=1), fringe(eyeBlink=1)
    under, rim = raised[:rows] - rest[:rows], raised[rows : 2 * rows] - rest[rows : 2 * rows]
    assert rim[:, 1].min() < -0.5, "the lid rises"
    assert np.allclose(under, rim, atol=1e-3)
    assert np.allclose(shut[:rows], shut[rows : 2 * rows], atol=1e-3), "closed, nothing of it lies on the lower lid"


def test_a_closing_lid_comes_out_of_the_brows_shade(astronaut: Avatar) -> None:
    from engine.face.eye_panels import lid_panel
    from engine.face.panels import LUMA, place, window

    row, loop = list(top.EYE_LEFT_UPPER), top.EYE_LEFT
    crease = [row[0], *top.EYE_LEFT_RING, row[-1]]
    face = astronaut.reference
    spot = place("lid_left", astronaut.size)
    left, up = window(face[list(loop)], spot)
    middle = 0.3 * face[row[4], :2] + 0.7 * face[crease[4], :2]  # lashes reach half of the way
    x, y = np.round(middle - [left, up]).astype(int)

    def tone(shade: float, under: float) -> float:
        """The lid's brightness where skin above the eye's middle is ``shade`` bright and ``under`` below it."""
        image = np.full_like(astronaut.portrait, int(under))
        image[: int(face[list(loop), 1].mean())] = int(shade)
        return float((lid_panel(image, face, loop, row, crease, "lid_left") @ LUMA)[y, x])

    assert 80 < tone(60, 160) < 120, "between its own shade and the light under the eye"
    assert abs(tone(160, 60) - 160) < 2, "a lid that is lighter than the cheek keeps its tone"
    assert abs(tone(120, 120) - 120) < 2


def test_a_lid_closes_under_its_crease_without_pulling_the_brow_down(astronaut: Avatar, talk) -> None:
    drive = driven(astronaut)
    rest, shut = (drive(talk(eyeBlink=blink).blendshapes) for blink in (0.0, 1.0))
    rim = (shut - rest)[list(top.EYE_LEFT_UPPER[3:6]), 1].mean()
    crease = (shut - rest)[list(top.EYE_LEFT_RING[2:5]), 1].mean()
    above = (shut - rest)[[443, 444, 445], 1].mean()  # the next row of vertices, under the brow
    assert rim > 0.03 * astronaut.unit
    assert 0 < crease < 0.45 * rim
    assert above < 0.06 * rim
