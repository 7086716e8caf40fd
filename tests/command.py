"""Runs the `vivify` command inside the test's own process, and the examples in processes of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clients import cli


def vivify(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["vivify", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def example(name: str, film: Path) -> str:
    """Run one of examples/ until it has made its film; what it prints."""
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, str(root / "examples" / name), "-o", str(film)]
    env = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=film.parent, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert film.stat().st_size > 10_000
    return done.stdout


def agents_snippet(word: str) -> dict[str, Any]:
    """What the snippet of docs/agents.md defines that contains ``word``."""
    from docs.markdown import snippets

    [snippet] = [one for one in snippets("py") if word in one.text]
    names: dict[str, Any] = {}
    exec(compile(snippet.text, snippet.name, "exec"), names)
    return names
