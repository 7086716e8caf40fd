"""The picture: exact at rest, covered everywhere, obedient, steady."""

from __future__ import annotations

import dataclasses
import threading
from itertools import pairwise

import numpy as np
import pytest

from engine.contracts import Motion
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.render.projection import ncc
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu
SPEECH = {
    "jawOpen": 0.5, "mouthFunnel": 0.7, "mouthPucker": 0.7, "mouthSmileLeft": 0.5, "mouthSmileRight": 0.5,
    "mouthStretchLeft": 0.5, "mouthStretchRight": 0.5, "mouthLowerDownLeft": 0.5, "mouthLowerDownRight": 0.5,
    "mouthUpperUpLeft": 0.4, "mouthUpperUpRight": 0.4, "mouthClose": 0.3, "mouthPressLeft": 0.5, "mouthRollLower": 0.5,
    "eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0, "browInnerUp": 0.6, "eyeLookOutLeft": 0.6, "eyeLookInRight": 0.6,
}  # fmt: skip


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(np.float64) - b.astype(np.float64)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def random_motion(rng: np.random.Generator, talk) -> Motion:
    beta = np.zeros(len(NAMES), np.float32)
    for name, most in SPEECH.items():
        beta[INDEX[name]] = rng.uniform(0, most) * (rng.random() < 0.6)
    turn = talk(tuple(rng.uniform([-8, -6, -5], [8, 6, 5]))).rotation
    return Motion(0, beta, turn, rng.uniform(-0.05, 0.05, 3).astype(np.float32))


def test_a_neutral_portrait_is_returned_unchanged(astronaut: Avatar) -> None:
    """With her smile declared neutral, only the teeth between the lips may differ: they are drawn, not copied."""
    same = dataclasses.replace(astronaut, neutral=astronaut.reference, smile=0.0)
    picture = Renderer(same).render(still())
    lips = astronaut.reference[list(top.LIP_INNER), :2]
    low, high = lips.min(0).astype(int) - 2, lips.max(0).astype(int) + 3
    apart = np.ones(picture.shape[:2], bool)
    apart[low[1] : high[1], low[0] : high[0]] = False
    assert psnr(picture[apart], astronaut.portrait[apart]) >= 60
    within = picture[low[1] : high[1], low[0] : high[0]]
    assert psnr(within, astronaut.portrait[low[1] : high[1], low[0] : high[0]]) >= 20, "her own teeth, where they were"


def test_closing_the_smile_leaves_brow_and_shoulders_alone(renderer: Renderer, astronaut: Avatar) -> None:
    picture = renderer.render(still())
    brow = int(astronaut.reference[[105, 334], 1].min())
    assert psnr(picture[:brow], astronaut.portrait[:brow]) >= 60
    assert psnr(picture[-60:], astronaut.portrait[-60:]) >= 60


def test_the_same_motion_gives_the_same_picture(renderer: Renderer, talk) -> None:
    pose = talk((4, 2, 1), jawOpen=0.3, eyeBlink=0.4)
    assert np.array_equal(renderer.render(pose), renderer.render(pose))


def test_random_talking_poses_leave_nothing_uncovered(renderer: Renderer, talk) -> None:
    rng = np.random.default_rng(11)
    for _ in range(40):
        picture = renderer.render(random_motion(rng, talk))
        assert (renderer.compositor.which >= 0).all()
        assert np.isfinite(renderer.compositor.places).all()
        assert picture.std() > 20


def test_the_mouth_is_closed_when_nothing_is_said(renderer: Renderer, astronaut: Avatar, talk) -> None:
    for pose in (talk(), talk((5, 3, 2), eyeBlink=0.5), talk(mouthSmile=0.4)):
        mesh = renderer.driven_mesh(pose)
        assert np.linalg.norm(mesh[13] - mesh[14]) <= 0.025 * astronaut.unit
    picture, mesh = renderer.render(talk()), renderer.driven_mesh(talk())
    x, y = mesh[[13, 14], :2].mean(0).round().astype(int)
    between = picture[y - 2 : y + 3, x - 20 : x + 21].astype(float).mean(-1)
    assert between.min(0).max() < 150, "no tooth shines between closed lips"


def test_the_jaw_opens_the_lips_in_order(renderer: Renderer, talk) -> None:
    gaps = []
    for value in np.linspace(0, 1, 11):
        mesh = renderer.driven_mesh(talk(jawOpen=value))
        gaps.append(float(np.linalg.norm(mesh[13] - mesh[14])))
    assert (np.diff(gaps) > 0).all()
    assert gaps[-1] > 20


def test_open_lips_show_the_inside_of_the_mouth(renderer: Renderer, talk) -> None:
    pose = talk(jawOpen=0.6)
    picture, mesh = renderer.render(pose), renderer.driven_mesh(pose)
    x, y = (0.6 * mesh[13, :2] + 0.4 * mesh[14, :2]).round().astype(int)
    inside = picture[y - 2 : y + 3, x - 4 : x + 5].reshape(-1, 3).mean(0)
    assert inside.mean() < 110, "between the rows it is dark"
    assert inside[0] > inside[2], "flesh is reddish"
    x, y = (0.15 * mesh[13, :2] + 0.85 * mesh[14, :2]).round().astype(int)
    assert picture[y - 2 : y + 3, x - 4 : x + 5].mean() > 120, "and lower teeth stand in the light"


def test_lids_meet_and_the_other_eye_stays(renderer: Renderer, talk) -> None:
    rest, shut = renderer.driven_mesh(talk()), renderer.driven_mesh(talk(eyeBlinkLeft=1.0))
    assert np.linalg.norm(shut[386] - shut[374]) < 0.3
    assert np.array_equal(rest[[159, 145]], shut[[159, 145]])


def test_closed_lids_leave_no_bright_sliver(renderer: Renderer, talk) -> None:
    pose = talk(eyeBlink=1.0)
    picture, mesh = renderer.render(pose).astype(float).mean(-1), renderer.driven_mesh(pose)
    for row in (top.EYE_RIGHT_UPPER, top.EYE_LEFT_UPPER):
        line = mesh[list(row), :2]
        x = np.arange(np.ceil(line[1, 0]), np.floor(line[-2, 0])).astype(int)
        y = np.interp(x, line[:, 0], line[:, 1]).round().astype(int)
        seam = np.min([picture[y + k, x] for k in (-1, 0, 1)], axis=0)
        lid = np.median([picture[y - k, x] for k in range(4, 8)])
        assert seam.max() < 0.85 * lid, "lashes or shade everywhere along the line"
        assert seam.mean() < 0.65 * lid


def test_gaze_moves_only_the_eyes(renderer: Renderer, astronaut: Avatar, talk) -> None:
    rest, looking = renderer.render(talk()), renderer.render(talk(eyeLookOutLeft=0.7, eyeLookInRight=0.7))
    changed = np.abs(rest.astype(int) - looking.astype(int)).max(-1) > 12
    rows, _ = np.nonzero(changed)
    assert len(rows) > 60
    eyes = astronaut.reference[list(top.EYE_RIGHT + top.EYE_LEFT)]
    assert rows.min() > eyes[:, 1].min() - 15
    assert rows.max() < eyes[:, 1].max() + 15

    def dark_middle(picture: np.ndarray) -> float:
        x, y = astronaut.irises[1, :2].round().astype(int)
        dark = 255.0 - picture[y - 3 : y + 4, x - 14 : x + 15].mean(-1)
        weight = np.maximum(dark - 120, 0).sum(0)
        return float(weight @ np.arange(-14, 15) / weight.sum())

    assert dark_middle(looking) > dark_middle(rest) + 1, "her left is the viewer's right"


def test_turns_go_where_the_axes_say(renderer: Renderer, talk) -> None:
    nose, rest = 1, renderer.driven_mesh(talk())
    assert renderer.driven_mesh(talk((8, 0, 0)))[nose, 0] < rest[nose, 0] - 3
    assert renderer.driven_mesh(talk((0, 6, 0)))[nose, 1] > rest[nose, 1] + 3
    tilted = renderer.driven_mesh(talk((0, 0, 5)))
    eyes = tilted[top.OUTER_CORNER_LEFT] - tilted[top.OUTER_CORNER_RIGHT]
    start = rest[top.OUTER_CORNER_LEFT] - rest[top.OUTER_CORNER_RIGHT]
    turned = np.degrees(np.arctan2(eyes[1], eyes[0]) - np.arctan2(start[1], start[0]))
    assert turned == pytest.approx(5, abs=0.5)


def test_the_head_takes_hair_along_and_leaves_shoulders_and_distance(
    renderer: Renderer, astronaut: Avatar, talk
) -> None:
    pose = talk((0, 0, 5))
    rest, turned = renderer.render(talk()).astype(int), renderer.render(pose).astype(int)
    assert np.abs(rest[:60, 180:330] - turned[:60, 180:330]).mean() > 4, "hair moves"
    assert np.abs(rest[-40:] - turned[-40:]).mean() < 1.5, "shoulders stay"
    assert np.abs(rest[100:250, 500:] - turned[100:250, 500:]).mean() < 1.5, "the background stands still"


def test_a_talking_clip_has_no_pop(renderer: Renderer, talk) -> None:
    frames = []
    for k in range(50):
        t = k / 25
        pose = (5 * np.sin(1.9 * t), 3 * np.sin(1.3 * t + 1), 3 * np.sin(0.9 * t))
        open_ = 0.22 * (1 - np.cos(2 * np.pi * 2.5 * t))
        frames.append(renderer.render(talk(pose, jawOpen=open_, mouthFunnel=0.4 * open_)).astype(np.int16))
    change = np.array([np.abs(b - a).mean() for a, b in pairwise(frames)])
    assert change.max() <= 2.2 * np.median(change)


@pytest.mark.parametrize("size", [256, 768, 1080])
def test_other_sizes_show_the_same_picture(renderer: Renderer, astronaut: Avatar, talk, size: int) -> None:
    pose = talk((5, 2, 1), jawOpen=0.3)
    other = Renderer(astronaut, size).render(pose)
    assert other.shape == (size, size, 3)
    step = size / 512
    at = np.clip(((np.arange(64) * 8 + 4.5) * step - 0.5).round().astype(int), 0, size - 1)
    here = renderer.render(pose)[4::8, 4::8].astype(int)
    assert np.abs(other[at[:, None], at[None]].astype(int) - here).mean() < 6


def test_it_writes_where_told(renderer: Renderer, talk) -> None:
    out = np.zeros((512, 512, 3), np.uint8)
    assert renderer.render(talk(), out) is out
    assert out.any()


def test_renderers_in_threads_do_not_disturb_each_other(astronaut: Avatar, talk) -> None:
    poses = [talk((k, 0, 0), jawOpen=0.1 * k) for k in range(4)]
    wanted = [Renderer(astronaut, 256).render(p) for p in poses]
    got: list[np.ndarray | None] = [None] * len(poses)

    def work(k: int) -> None:
        mine = Renderer(astronaut, 256)
        for _ in range(5):
            got[k] = mine.render(poses[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(poses))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(wanted, got, strict=True))


def test_ncc_and_the_projection_texture(renderer: Renderer, astronaut: Avatar, talk) -> None:
    code = ncc()
    assert np.allclose(code.min(0), 0)
    assert np.allclose(code.max(0), 1)
    texture = renderer.projection_texture(talk((6, 0, 0), jawOpen=0.3))
    assert texture.shape == (512, 512, 3)
    assert texture.min() >= 0
    assert texture.max() <= 1
    assert np.allclose(texture[:8], astronaut.portrait[:8] / 255, atol=1e-6), "outside the face it is the portrait"
    nose = renderer.driven_mesh(talk((6, 0, 0), jawOpen=0.3))[1].round().astype(int)
    assert np.abs(texture[nose[1], nose[0]] - code[1]).max() < 0.05


def test_broken_numbers_do_not_break_the_picture(renderer: Renderer) -> None:
    beta = np.full(len(NAMES), np.nan, np.float32)
    picture = renderer.render(Motion(0, beta, np.eye(3, dtype=np.float32), np.zeros(3, np.float32)))
    assert np.array_equal(picture, renderer.render(still()))


def test_wrong_sizes_get_a_sentence(astronaut: Avatar, renderer: Renderer) -> None:
    with pytest.raises(VivifyError, match="64 to 2048 pixels"):
        Renderer(astronaut, 10)
    with pytest.raises(ValueError, match=r"shape \(52,\)"):
        renderer.render(Motion(0, np.zeros(51, np.float32), np.eye(3, dtype=np.float32), np.zeros(3, np.float32)))
