"""The faces that come with the program: each is whole, gives itself back, says whose it is; together they are small."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine import avatars
from engine.config import DEFAULT_AVATAR
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.paths import assets
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu

MOST_BYTES = 8_000_000
FACES = sorted(avatars.installed())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(np.float64) - b.astype(np.float64)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def bundled(name: str) -> Avatar:
    return Avatar.load(avatars.installed()[name])


def test_there_are_five_and_the_default_is_one_of_them() -> None:
    assert len(FACES) == 5
    assert DEFAULT_AVATAR in FACES


@pytest.mark.parametrize("name", [name for name in FACES if name != DEFAULT_AVATAR])
def test_closed_lips_give_their_portrait_back(name: str) -> None:
    avatar = bundled(name)
    assert psnr(Renderer(avatar).render(still()), avatar.portrait) >= 60


def test_the_smiling_default_gives_its_portrait_back_around_the_teeth() -> None:
    """With her smile declared neutral; the teeth between the lips are drawn, not copied."""
    avatar = bundled(DEFAULT_AVATAR)
    same = dataclasses.replace(avatar, neutral=avatar.reference, smile=0.0)
    picture = Renderer(same).render(still())
    lips = avatar.reference[list(top.LIP_INNER), :2]
    (left, up), (right, down) = lips.min(0).astype(int) - 2, lips.max(0).astype(int) + 3
    apart = np.ones(picture.shape[:2], bool)
    apart[up:down, left:right] = False
    assert psnr(picture[apart], avatar.portrait[apart]) >= 60


@pytest.mark.parametrize("name", FACES)
def test_each_says_whose_it_is(name: str) -> None:
    facts = bundled(name).facts
    for fact in ("name", "source", "licence", "consent"):
        assert facts[fact].strip(), f"{name} does not tell its {fact}"


def test_together_they_are_small() -> None:
    files = [p for p in Path(assets() / "avatars").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < MOST_BYTES
