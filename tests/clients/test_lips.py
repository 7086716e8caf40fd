"""The picture says what the voice says: the rendered film, tracked, against the phone times of the sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clients.commands.render_film import render
from engine.paths import assets

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[1].parent


def test_tracked_lips_follow_the_phones_and_rest_in_silence(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    film = tmp_path / "film.mp4"
    render(assets() / "speech.wav", film, "astronaut")
    judge = [sys.executable, str(ROOT / "scripts" / "judge_lips"), str(film), str(assets() / "speech.json")]
    done = subprocess.run(judge, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout.strip().splitlines()[-1])
    assert verdict["frames_without_face"] == 0
    assert verdict["r"] >= 0.6
    assert abs(verdict["lag_frames"]) <= 1
    assert verdict["silence_to_p95"] < 0.10
