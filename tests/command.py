"""Runs the `vivify` command inside the test's own process."""

from __future__ import annotations

import sys

import pytest

from clients import cli


def vivify(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["vivify", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)
