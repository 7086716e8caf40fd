"""Rules for every test: it says where it can run, and what it cannot run here is skipped with the reason."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():  # counts when Triton is first imported, which any test's imports may do
    os.environ.setdefault("TRITON_INTERPRET", "1")

from engine.face.avatar import Avatar
from engine.paths import assets
from engine.render.renderer import Renderer

MARKS = {"cpu", "gpu", "net", "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marks = MARKS & {mark.name for mark in item.iter_markers()}
        if len(marks) != 1:
            raise pytest.UsageError(f"{item.nodeid} must carry exactly one of {sorted(MARKS)}, but has {sorted(marks)}")
        if "gpu" in marks and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))
        if "browser" in marks and chromium() is None:
            item.add_marker(pytest.mark.skip(reason="no chromium here: install Debian's package 'chromium'"))


def _has_cuda() -> bool:
    return torch.cuda.is_available()


def chromium() -> str | None:
    """The browser the tests drive."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of evaluation data beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the evaluation data folder {folder.parent.name}/data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> Avatar:
    """The bundled default avatar."""
    return Avatar.load(assets() / "avatars" / "astronaut")


@pytest.fixture(scope="session")
def renderer(astronaut: Avatar) -> Renderer:
    """It, ready to be drawn."""
    made = Renderer(astronaut)
    made.warm_up()
    return made
