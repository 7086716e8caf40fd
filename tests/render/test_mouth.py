"""Inside the mouth: what shows at which opening, in which light, and that it stays inside."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.panels import LUMA, SKIN, TEETH, measure_tones
from engine.face.teeth import COLUMNS
from engine.render.parts.driven_face import tucking
from engine.render.parts.mouth import ROWS
from engine.render.parts.tongue import COLUMNS as TONGUE_COLUMNS
from engine.render.parts.tongue import ROWS as TONGUE_ROWS
from engine.render.preparation.mouth_light import ABOVE_SKIN, PAPER, mouth_light
from engine.render.preparation.mouth_preparation import prepare_mouth
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu
UPPER, LOWER = slice(0, ROWS * COLUMNS), slice(ROWS * COLUMNS, 2 * ROWS * COLUMNS)
TONGUE = slice(LOWER.stop, LOWER.stop + TONGUE_ROWS * TONGUE_COLUMNS)
MIDDLE = COLUMNS // 2


def inside(renderer: Renderer, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    face = renderer._drive(beta)
    return (face, *renderer._mouth.pose(beta, face))


def test_lips_part_before_the_teeth_do(renderer: Renderer, talk) -> None:
    shown, parted = [], []
    for jaw in (0.1, 0.2, 0.35, 0.6, 1.0):
        face, points, _, _ = inside(renderer, talk(jawOpen=jaw).blendshapes)
        upper, lower = points[UPPER][UPPER.stop - COLUMNS + MIDDLE, 1], points[LOWER][MIDDLE, 1]
        shown.append((face[14, 1] - lower) / renderer.avatar.scale)
        parted.append((lower - upper) / renderer.avatar.scale)
    assert (np.array(shown) > 0).all(), "lower teeth stand above the lower lip"
    assert parted[0] < 0.1, "rows that nearly touch, behind lips that are open already"
    assert parted[2] > 0.1
    assert parted[3] > 0.6
    assert (np.diff(parted) > 0).all()


def test_rounded_lips_hide_the_lower_teeth(renderer: Renderer, talk) -> None:
    face, points, _, _ = inside(renderer, talk(jawOpen=0.15, mouthPucker=0.7, mouthFunnel=0.3).blendshapes)
    teeth = points[LOWER]
    middle = np.abs(teeth[:, 0] - face[14, 0]) < 8
    assert teeth[middle, 1].min() > face[14, 1] - 1


def test_tightly_rounded_lips_cover_the_upper_teeth(renderer: Renderer, talk) -> None:
    def shown(**shapes: float) -> float:
        face, points, _, _ = inside(renderer, talk(**shapes).blendshapes)
        return float(points[UPPER][UPPER.stop - COLUMNS + MIDDLE, 1] - face[13, 1]) / renderer.avatar.scale

    assert shown(jawOpen=0.1, mouthFunnel=0.3, mouthPucker=0.7) == pytest.approx(0.05, abs=0.02)
    assert shown(jawOpen=0.3, mouthFunnel=0.5, mouthPucker=0.25) > 0.15, "an O shows them"
    assert shown(jawOpen=0.3) > 0.15


def test_the_mouth_darkens_with_depth(renderer: Renderer, talk) -> None:
    _, points, shade, _ = inside(renderer, talk(jawOpen=0.6).blendshapes)
    tongue = shade[TONGUE].reshape(TONGUE_ROWS, TONGUE_COLUMNS)
    assert tongue[-1, 6] < 0.5 * tongue[2, 6], "the tongue's back"
    assert (tongue[2:, [0, -1]].max(1) < 0.75 * tongue[2:, 6]).all(), "its sides"
    walls = shade[TONGUE.stop :]
    assert walls[-1] < 0.4 * walls[20:40].max(), "the throat"
    assert shade[UPPER].max() > tongue.max(), "teeth catch the light"
    assert np.isfinite(points).all()


def test_barely_open_lips_let_little_light_in(renderer: Renderer, talk) -> None:
    bright = [inside(renderer, talk(jawOpen=jaw).blendshapes)[2][LOWER].max() for jaw in (0.02, 0.1, 0.4)]
    assert bright[0] < bright[1] < bright[2]


def test_the_tongue_comes_out_over_the_lower_lip(renderer: Renderer, talk) -> None:
    face, points, _, out = inside(renderer, talk(jawOpen=0.45, tongueOut=1.0).blendshapes)
    tip = points[TONGUE][TONGUE_COLUMNS + 6]
    assert tip[1] > face[14, 1] + 0.5 * renderer.avatar.scale, "it hangs over the rim"
    assert out
    assert tip[2] < face[17, 2], "in front of it"
    before, after = renderer.render(talk(jawOpen=0.45)), renderer.render(talk(jawOpen=0.45, tongueOut=1.0))
    x, y = face[17, :2].round().astype(int)
    assert np.abs(before[y, x].astype(int) - after[y, x]).max() > 25
    assert not inside(renderer, talk(tongueOut=1.0).blendshapes)[3], "closed lips keep it in"


def test_the_lower_lip_rests_on_the_teeth_in_an_f(renderer: Renderer, talk) -> None:
    pose = talk(jawOpen=0.06, mouthRollLower=0.5, mouthUpperUp=0.3)
    face, points, _, _ = inside(renderer, pose.blendshapes)
    edge = points[UPPER].reshape(ROWS, COLUMNS, 3)[-1, MIDDLE, 1]
    assert face[14, 1] < edge + 0.05 * renderer.avatar.scale, "no gap under the teeth"
    assert face[14, 1] - face[13, 1] > 0.15 * renderer.avatar.scale, "and some of them is seen"
    assert tucking(talk(mouthPress=0.4, mouthRollLower=0.3, mouthRollUpper=0.3).blendshapes) == 0, "an M is no F"
    assert tucking(talk(jawOpen=0.6, mouthRollLower=0.5).blendshapes) == 0


def test_own_teeth_go_on_along_the_arch(renderer: Renderer, astronaut: Avatar) -> None:
    own = renderer.prepared.mouth.panels["upper"]
    drawn = prepare_mouth(dataclasses.replace(astronaut, teeth=np.zeros((0, 2), np.float32))).panels["upper"]
    assert own.shape == drawn.shape
    crowns = slice(own.shape[0] * 7 // 10, None)
    brightness = own[crowns].mean((0, 2))
    assert np.abs(own - drawn)[crowns].max() > 20, "hers are not the drawn ones"
    steps = np.abs(np.diff(np.convolve(brightness, np.ones(15) / 15, "valid")))
    assert steps.max() < 8, "no tooth ends abruptly"
    edge = renderer.prepared.mouth.teeth[0].reshape(ROWS, COLUMNS, 3)[-1, :, 1]
    assert np.abs(np.diff(edge)).max() < 0.35, "nor does their line jump"


def test_no_turn_uncovers_the_cavity(renderer: Renderer, talk) -> None:
    for yaw in (-12, 12):
        renderer.render(talk((yaw, 6, 0), jawOpen=0.8))
        assert (renderer.compositor.which >= 0).all()
    assert set(top.LIP_INNER) <= set(top.LIP_VERTICES)


def test_upper_teeth_reach_below_lips_whose_corners_are_drawn_up(astronaut: Avatar) -> None:
    """Such corners lift the lips' mean, from which teeth are placed: they must not vanish behind the upper lip."""
    down = np.asarray(astronaut.rotation[:, 1]) * astronaut.scale
    for lift in (0.0, 0.3, 0.8):  # centimetres
        neutral = astronaut.neutral.copy()
        for row in (top.LIP_INNER_UPPER, top.LIP_INNER_LOWER):
            neutral[list(row)] -= lift * np.linspace(-1, 1, len(row))[:, None] ** 2 * down
        mouth = prepare_mouth(dataclasses.replace(astronaut, neutral=neutral, teeth=np.zeros((0, 2), np.float32)))
        teeth = mouth.parts[0].points.reshape(ROWS, COLUMNS, 3)
        assert (teeth[-1, MIDDLE, 1] - neutral[top.LIP_INNER_UPPER[5], 1]) / astronaut.scale > 0.04


def lit(avatar: Avatar, gain: float, haze: float = 0.0) -> Avatar:
    """``avatar`` photographed anew in other light, or through haze, with no teeth seen."""
    portrait = np.clip(avatar.portrait * gain + haze, 0, 255).astype(np.uint8)
    tones = measure_tones(portrait, avatar.reference)
    unseen = np.zeros((0, 2), np.float32)
    return dataclasses.replace(avatar, portrait=portrait, tones=tones, teeth=unseen, smile=0.0)


def test_teeth_are_as_light_as_the_portrait(astronaut: Avatar) -> None:
    bright, dim = (mouth_light(lit(astronaut, gain)) for gain in (0.9, 0.45))
    assert 2.0 < float(bright.tooth @ LUMA) / float(dim.tooth @ LUMA) < 2.4, "half the light, or a little less"
    assert bright.veil.max() < 12, "a clear picture has black in its mouths"
    hazy = mouth_light(lit(astronaut, 0.45, 90.0))
    assert hazy.veil @ LUMA > 25, "a hazy one has not"
    blind = dataclasses.replace(lit(astronaut, 0.9), shut=np.ones(2, np.float32))
    assert 0.6 < float(mouth_light(blind).tooth @ LUMA) / float(bright.tooth @ LUMA) < 1.1, "closed eyes: by the skin"


def test_no_teeth_are_paper_white(astronaut: Avatar) -> None:
    glaring = lit(astronaut, 1.6)
    assert mouth_light(glaring).tooth @ LUMA <= PAPER
    dark = lit(astronaut, 0.3)
    dark.portrait[dark.reference[33, 1].astype(int) - 30 : dark.reference[33, 1].astype(int) + 30] = 255  # glints
    assert mouth_light(dark).tooth @ LUMA <= ABOVE_SKIN * float(dark.tones[SKIN] @ LUMA) + 1


def test_teeth_that_the_photo_shows_keep_their_tone(astronaut: Avatar) -> None:
    assert np.allclose(mouth_light(astronaut).tooth, astronaut.tones[TEETH])


def test_what_no_shade_takes_is_left(renderer: Renderer, astronaut: Avatar, talk) -> None:
    clear, hazy = (Renderer(lit(astronaut, 0.45, haze), 512) for haze in (0.0, 90.0))
    darkest = [float(inside(made, talk(jawOpen=0.6).blendshapes)[2][TONGUE.stop :].min()) for made in (clear, hazy)]
    assert darkest[1] > darkest[0] + 0.2
    assert (hazy.prepared.mouth.veil < 1).all()
