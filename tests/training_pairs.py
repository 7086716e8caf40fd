"""Pairs for the tests of training: the bundled avatar, turned away and back."""

from __future__ import annotations

import functools

from engine.face.avatar import Avatar
from engine.paths import assets
from engine.training.picture.picture_pairs import Pairs, from_still


@functools.cache
def eight() -> Pairs:
    """Eight pairs that share a portrait."""
    return from_still(Avatar.load(assets() / "avatars" / "astronaut"), 8)
