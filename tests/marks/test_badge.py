"""The visible badge: readable, where no face is, in the matte as well; and consent, where it is required."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clients.commands.render_film import render
from engine import avatars
from engine.config import EngineConfig, slot_bytes
from engine.contracts import ByteArray
from engine.errors import NoConsent
from engine.face.avatar import Avatar
from engine.marking.badge import Badge, badge_of
from engine.marking.consent import demand_consent
from engine.marking.mark_code import MarkIds
from engine.marking.mark_pattern import mark_planes
from engine.marking.mark_reader import find_mark
from engine.paths import assets
from engine.process import engine_worker
from engine.process.keeper import EngineKeeper
from webrtc.access.rights import Caller
from webrtc.visitors.visitor_portraits import VisitorPortraits

pytestmark = pytest.mark.cpu


def inside(badge: Badge) -> np.ndarray:
    left, top, right, bottom = badge.box
    out = np.zeros((badge.size, badge.size), bool)
    out[top:bottom, left:right] = True
    return out


def i420(picture: ByteArray) -> ByteArray:
    return engine_worker.i420(picture, np.zeros(slot_bytes(len(picture)), np.uint8))


def portrait(avatar: Avatar, size: int) -> ByteArray:
    return np.array(Image.fromarray(avatar.portrait).resize((size, size)))


@pytest.mark.parametrize("name", sorted(avatars.installed()))
@pytest.mark.parametrize("size", [256, 1080])
def test_it_covers_no_face_and_can_be_read(name: str, size: int) -> None:
    avatar = Avatar.load(avatars.resolve(name)[1])
    badge = badge_of(avatar, size)
    left, top, right, bottom = badge.box
    assert 0 <= left < right <= size
    assert 0 <= top < bottom <= size
    assert bottom - top >= 16, "letters of 12 pixels at least"
    face = avatar.reference[:, :2] * size / avatar.size
    assert not inside(badge)[tuple(face.astype(int).clip(0, size - 1).T[::-1])].any()
    planes = i420(portrait(avatar, size))
    before = planes.copy()
    badge.over_planes(planes)
    changed = planes[:size] != before[:size]
    assert not changed[~inside(badge)].any()
    words, ground = badge.white > 0.9, badge.white < 0.05
    seen = planes[top:bottom, left:right]
    assert words.sum() > 0.05 * words.size
    assert np.percentile(seen[words], 10) > np.percentile(seen[ground], 90) + 60, "light words on dark ground"


def test_it_is_in_the_matte_and_over_nothing_it_is_itself(astronaut: Avatar) -> None:
    badge = badge_of(astronaut, 256)
    left, top, right, bottom = badge.box
    nothing = np.zeros((256, 256, 4), np.uint8)
    nothing[..., :3] = (200, 30, 30)
    out = badge.over_picture(nothing)
    assert np.abs(out[top:bottom, left:right, 3] - 255 * badge.alpha).max() <= 1
    assert not out[..., 3][~inside(badge)].any()
    middle = out[(top + bottom) // 2, left + 3]
    assert (middle[:3] == middle[0]).all(), "no colour of what lies behind, which is transparent"
    planes = i420(nothing)
    badge.over_planes(planes)
    wanted = i420(out)
    assert np.abs(planes[:256].astype(int) - wanted[:256]).max() <= 3
    solid = np.full((256, 256, 4), 255, np.uint8)
    assert (badge.over_picture(solid)[..., 3] == 255).all()
    assert (badge.over_picture(solid)[..., :3] == badge.over_picture(solid[..., :3])).all()


def test_the_mark_is_read_beside_it(astronaut: Avatar) -> None:
    planes, ids = i420(astronaut.portrait), MarkIds(1, 2)
    badge_of(astronaut, 512).over_planes(planes)
    mark_planes(planes, ids)
    found = find_mark(planes[:512].astype(np.float32))
    assert found is not None
    assert found.ids == ids


def test_whose_consent_is_not_filled_in_is_refused_where_that_is_required(tmp_path: Path, astronaut: Avatar) -> None:
    demand_consent(astronaut)
    silent = replace(astronaut, facts={**astronaut.facts, "consent": "  "})
    silent.save(tmp_path / "silent")
    with pytest.raises(NoConsent, match="--consent"):
        render(assets() / "speech.wav", tmp_path / "film.mp4", str(tmp_path / "silent"), size=256, consent=True)
    assert not (tmp_path / "film.mp4").exists()
    keeper = EngineKeeper(EngineConfig(str(tmp_path / "silent"), 256, 1, consent=True))
    try:
        with pytest.raises(NoConsent, match="--require-consent"):
            keeper.start()
    finally:
        keeper.stop()
    portraits = VisitorPortraits(keeper, 1, 1, lambda name: False)
    with pytest.raises(NoConsent, match="consent=TEXT"):
        asyncio.run(portraits.bring(Caller("a", "b"), lambda path: asyncio.sleep(0)))
