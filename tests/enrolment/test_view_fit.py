"""What a turn uncovers, learned from pictures of an avatar whose hair turns red beside one ear as it turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.contracts import Motion
from engine.enrolment.footage.sides.drift_fit import Seen
from engine.enrolment.footage.sides.undoing import closed
from engine.enrolment.footage.sides.view_fit import Plan, Uncovered, fit_views, planned
from engine.errors import VivifyError
from engine.evaluation.enrolled.photo_reach import BeyondPhoto
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import FilmMemory, Manner, View
from engine.face.panels import MARGIN
from engine.imaging.smoothing import blur
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.prepared import Prepared, prepare
from engine.render.remembered.uncovering import shares_of
from engine.render.renderer import Renderer, still
from kernels.cpu.pixel_kernels import bytes_to_i420

pytestmark = pytest.mark.cpu

FRAMES, FAR = 16, 0.36  # frames, and the sine of the farthest turn
STRIPED = 8  # steps of two grey levels


def turned(sine: float, nod: float = 0.0) -> Motion:
    return Motion(0, np.zeros(52, np.float32), rotation_matrix(float(np.arcsin(sine)), nod, 0), np.zeros(3, np.float32))


def remembering(avatar: Avatar, *views: View) -> Avatar:
    return replace(avatar, film=FilmMemory({}, Manner(), None, views))


def view(avatar: Avatar, sine: float, red: int) -> View:
    """Something red and finely striped beside the person's right ear, where hair is."""
    side = avatar.size + 2 * (avatar.size // MARGIN)
    beside = np.zeros((side, side, 4), np.int8)
    ear, other = (avatar.reference[k, :2] + avatar.size // MARGIN for k in (top.EAR_RIGHT, top.EAR_LEFT))
    x, y = ear + 0.15 * (ear - other)
    down, across = np.mgrid[:side, :side]
    near = np.hypot(across - x, down - y) < 0.2 * np.linalg.norm(ear - other)
    stripes = np.where(across[near] // 2 % 2, STRIPED, -STRIPED)
    beside[near, 0], beside[near, 1] = red + stripes, stripes - red
    return View(np.array([sine, 0], np.float32), beside, np.zeros(top.VERTICES, np.float32))


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load(assets() / "avatars" / "astronaut")


@pytest.fixture(scope="module")
def known(avatar: Avatar) -> Prepared:
    return prepare(avatar)


@pytest.fixture(scope="module")
def plan() -> Plan:
    motions = [turned(-FAR * abs(np.sin(0.9 * k))) for k in range(FRAMES)]
    (found,) = planned(motions)
    assert found.side == -1
    assert not set(found.held) & {int(row) for rows in found.trial for row in rows}
    return found


@pytest.fixture(scope="module")
def uncovered(avatar: Avatar, known: Prepared, plan: Plan) -> Uncovered:
    real = Renderer(remembering(avatar, view(avatar, -0.2, 25)), avatar.size, known)
    motions = [turned(-FAR * abs(np.sin(0.9 * k))) for k in plan.rows]
    pictures = np.stack([real.render(motion) for motion in motions])
    return fit_views(avatar, known, None, plan, Seen(pictures, motions))


def test_what_turned_frames_show_is_painted_when_the_head_turns(
    avatar: Avatar, known: Prepared, uncovered: Uncovered
) -> None:
    assert len(uncovered.views) == 2
    assert uncovered.after < 0.6 * uncovered.before, "on frames that were not learned from"
    learned = Renderer(remembering(avatar, *uncovered.views), 256, known)
    real, plain = Renderer(remembering(avatar, view(avatar, -0.2, 25)), 256, known), Renderer(avatar, 256, known)
    motion = turned(-0.3)
    there = np.abs(real.render(motion).astype(int) - plain.render(motion)).sum(2) > 60
    assert there.sum() > 100
    hidden = BeyondPhoto(plain)(motion, real.render(motion))
    assert (hidden & there).sum() > 0.3 * there.sum(), "the photo does not reach there"
    assert not hidden[100:156, 120:170].any(), "the middle of a face it shows"
    apart = [np.abs(r.render(motion)[there].astype(int) - real.render(motion)[there]).mean() for r in (learned, plain)]
    assert apart[0] < 0.5 * apart[1]
    fine = [np.abs(p - blur(p, 1.0))[there].mean() for p in (r.render(motion) for r in (learned, real))]
    assert 0.75 < fine[0] / fine[1] < 1.25, "as crisp as the film"


def test_a_narrow_gap_between_places_seen_is_closed_a_wide_one_stays() -> None:
    """Else a line of the portrait shows beside a turned cheek."""
    on = np.ones((40, 60), bool)
    known = np.ones((40, 60), bool)
    known[:, 12:16] = known[:, 40:] = False
    colours = np.where(np.arange(60)[None, :, None] < 14, 200.0, 50.0) * np.ones((40, 60, 3))
    colours[~known] = 0
    filled, there = closed(on, colours.reshape(-1, 3).astype(np.float32), known.ravel(), 5)
    row = filled.reshape(40, 60, 3)[20, :, 0]
    assert (row[11:14] == 200).all()
    assert (row[14:17] == 50).all(), "from what lies nearest"
    assert there.reshape(40, 60)[20, :40].all()
    assert not there.reshape(40, 60)[:, 45:].any()


def test_ahead_and_on_the_other_side_the_photo_rules(avatar: Avatar, known: Prepared, uncovered: Uncovered) -> None:
    learned = Renderer(remembering(avatar, *uncovered.views), 256, known)
    plain = Renderer(avatar, 256, known)
    for motion in (still(), turned(-0.03), turned(0.3), turned(-0.3, 0.5)):
        assert np.array_equal(learned.render(motion), plain.render(motion))
    assert not np.array_equal(learned.render(turned(-0.15)), plain.render(turned(-0.15)))
    planes = np.empty((384, 256), np.uint8)
    bytes_to_i420(learned.render(turned(-0.3)), planes)
    assert np.abs(learned.planes(turned(-0.3)).astype(int) - planes).mean() < 0.3, "the same in planes"
    clear = learned.render(turned(-0.3), alpha=True)
    assert np.array_equal(clear, plain.render(turned(-0.3), alpha=True)), "a matte has no other backgrounds"


def test_a_slow_turn_never_jumps(avatar: Avatar) -> None:
    views = (view(avatar, -0.2, 25), view(avatar, -0.4, 50))
    for sine in np.arange(0, 0.6, 0.01):
        steps = [dict(shares_of(views, -float(s), 0.0)) for s in (sine, sine + 0.01)]
        assert all(sum(step.values()) <= 1 + 1e-6 for step in steps)
        assert max(abs(steps[0].get(k, 0) - steps[1].get(k, 0)) for k in (0, 1)) < 0.07
    assert dict(shares_of(views, -0.5, 0.0)) == {1: 1.0}, "farther than the film turned"


def test_nothing_is_kept_that_does_not_help(avatar: Avatar, known: Prepared, plan: Plan) -> None:
    plain = Renderer(avatar, avatar.size, known)
    motions = [turned(-FAR * abs(np.sin(0.9 * k))) for k in plan.rows]
    pictures = np.stack([plain.render(motion) for motion in motions])
    same = fit_views(avatar, known, None, plan, Seen(pictures, motions))
    assert same.views == (), "the photo says it already"
    assert not planned(motions[:3])


def test_of_other_rooms_ears_and_hair_are_taken_alone(avatar: Avatar, known: Prepared, plan: Plan) -> None:
    striped, margin = view(avatar, -0.2, 50), avatar.size // MARGIN
    striped.beside[::8] = striped.beside[1::8] = striped.beside[2::8] = striped.beside[3::8] = 0
    real, motions = (
        Renderer(remembering(avatar, striped), avatar.size),
        [turned(-FAR * abs(np.sin(0.9 * k))) for k in plan.rows],
    )
    rooms = []
    for motion in motions:
        picture, other = real.render(motion), real.render(motion, alpha=True)[..., 3:] < 64
        rooms.append(np.where(other, np.array([40, 160, 60], np.uint8), (0.85 * picture).astype(np.uint8)))
    found = fit_views(avatar, known, None, plan, Seen(np.stack(rooms), motions), elsewhere=True)
    assert found.views
    assert found.after < found.before
    (y, x), person = np.nonzero(found.views[-1].beside.any(2)), np.pad(avatar.matte, margin, mode="edge")
    assert y.max() < avatar.reference[top.CHIN, 1] + margin, "collars are those of the other room"
    assert (person[y, x] > 64).mean() > 0.95, "so are walls"
    light = found.views[-1].beside[person > 250].astype(float)[..., 1:3]
    assert abs(light.mean()) < 1, "and light"


def test_views_are_kept_in_the_folder(avatar: Avatar, tmp_path: Path) -> None:
    kept = view(avatar, -0.2, 25)
    remembering(avatar, kept).save(tmp_path)
    again = Avatar.load(tmp_path)
    assert again.film
    assert np.array_equal(again.film.views[0].beside, kept.beside)
    for wrong in (replace(kept, beside=kept.beside[:9]), replace(kept, turn=kept.turn * np.float32(np.nan))):
        remembering(avatar, wrong).save(tmp_path)
        with pytest.raises(VivifyError, match="enrol the film again"):
            Avatar.load(tmp_path)
    with pytest.raises(VivifyError, match="576 pixels"):
        Renderer(remembering(avatar, replace(kept, beside=kept.beside[:64, :64])))
