"""`scripts/evaluate_pose` with tracks that cannot be judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy", reason="tracks need the train extra")

pytestmark = pytest.mark.cpu
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "evaluate_pose"


def test_tracks_without_any_for_testing_are_refused_in_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "split.json").write_text(json.dumps({"train": ["somebody"], "val": [], "test": []}))
    told = subprocess.run([sys.executable, SCRIPT, "--tracks", tmp_path], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    said = " ".join(told.stderr.split())
    assert "Films for testing were expected" in said
    assert "name their speakers with scripts/track_videos --test" in said
