"""Rules for every test: it says where it can run, and what it cannot run here is skipped with the reason."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from without_torch import files_that_need_torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks of tests are so small that a second thread only waits

if "VIVIFY_HOME" not in os.environ:  # ids and keys of tests are not the user's
    os.environ["VIVIFY_HOME"] = tempfile.mkdtemp(prefix="vivify-tests-")

HAS_TORCH = importlib.util.find_spec("torch") is not None


def _has_cuda() -> bool:
    if not HAS_TORCH:
        return False
    import torch

    return torch.cuda.is_available()


if not _has_cuda():  # counts when Triton is first imported, which any test's imports may do
    os.environ.setdefault("TRITON_INTERPRET", "1")

from engine.face.avatar import Avatar  # noqa: E402
from engine.paths import assets  # noqa: E402
from engine.render.renderer import Renderer  # noqa: E402

MARKS = {"cpu", "gpu", "net", "browser"}
A_CORE_ALONE = ("tests/web/", "tests/docs/test_snippets.py")  # browsers, and commands in processes of their own


def pytest_make_parametrize_id(val: object) -> str | None:
    """Sets in one order: a test has the same name in every process, or a second try would not find it."""
    return "+".join(sorted(map(str, val))) if isinstance(val, set | frozenset) else None


collect_ignore = [] if HAS_TORCH else files_that_need_torch()


def pytest_report_header() -> str | None:
    """What is left out is said, not silent."""
    told = f"torch is not installed: {len(collect_ignore)} files of tests that need it are left out (extra 'test')"
    return None if HAS_TORCH else told


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marks = MARKS & {mark.name for mark in item.iter_markers()}
        if len(marks) != 1:
            raise pytest.UsageError(f"{item.nodeid} must carry exactly one of {sorted(MARKS)}, but has {sorted(marks)}")
        if "gpu" in marks and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))
        if "browser" in marks and chromium() is None:
            item.add_marker(pytest.mark.skip(reason="no chromium here: install Debian's package 'chromium'"))


def chromium() -> str | None:
    """The browser the tests drive."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Processes share the tests out by files; those that take a core alone are one share, and run one after another."""
    from xdist.scheduler import LoadFileScheduling

    class Shares(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "a core alone" if file.startswith(A_CORE_ALONE) else file

    return Shares(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_sessionfinish() -> None:
    """The one engine of a run ends with it, whoever started it."""
    import serving

    if serving.engine.cache_info().currsize:
        serving.engine().stop()


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
