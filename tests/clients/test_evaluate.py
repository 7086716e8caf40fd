"""`vivify evaluate` as people and machines read it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from command import vivify
from rich.console import Console

from clients.commands.evaluate import head_figures, print_motion

pytestmark = pytest.mark.cpu


def test_tables_for_people_and_one_line_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    told = {
        "teacher": {"bundled": {"closure": 1.0, "labials": 12}},
        "80 ms": {"bundled": {"closure": 0.917, "labials": 12}, "still": {"hum": 0.01}, "bad lines": {"telephone": {}}},
    }
    shown = io.StringIO()
    print_motion(told, Console(file=shown, width=80))
    text = shown.getvalue()
    assert "92" in text
    assert "0.01" in text
    assert "bad lines" not in text, "what holds tables of its own has no place in one"
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == told


def test_head_and_lids_are_alive() -> None:
    figures = {name: value for name, value in head_figures(seeds=1, times=1).items() if isinstance(value, float)}
    assert 0.2 < figures["hpd"] < 8
    assert 6 < figures["blinks_a_minute"] < 45


def test_a_film_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert vivify(monkeypatch, "evaluate", "--video", tmp_path / "none.mp4") == 1
    assert "expected to be a film" in capfd.readouterr().err
