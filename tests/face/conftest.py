from __future__ import annotations

from pathlib import Path

import pytest

from engine.face.avatar import Avatar
from engine.paths import assets


@pytest.fixture(scope="session")
def astronaut() -> Avatar:
    """The bundled default avatar."""
    return Avatar.load(assets() / "avatars" / "astronaut")


@pytest.fixture
def folder(astronaut: Avatar, tmp_path: Path) -> Path:
    """A fresh copy of it on disk, to be damaged."""
    astronaut.save(tmp_path / "avatar")
    return tmp_path / "avatar"
