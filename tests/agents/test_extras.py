"""What is not installed is refused in a sentence that names the extra that brings it."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path

import pytest

from engine.errors import VivifyError

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("livekit_avatar", "livekit", "livekit"),
        ("pipecat_avatar", "pipecat", "pipecat"),
        ("vision_avatar", "getstream", "vision-agents"),
    ],
)
def test_a_missing_library_is_told(module: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"clients.agents.{module}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not there
    with pytest.raises(VivifyError, match=rf"is not installed: pip install 'vivify\[{extra}\]'"):
        importlib.import_module(f"clients.agents.{module}")
    assert extra in EXTRAS
