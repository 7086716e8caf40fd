from __future__ import annotations

from pathlib import Path

import pytest

from engine.face.avatar import Avatar


@pytest.fixture
def folder(astronaut: Avatar, tmp_path: Path) -> Path:
    """A fresh copy of the default avatar on disk, to be damaged."""
    astronaut.save(tmp_path / "avatar")
    return tmp_path / "avatar"
