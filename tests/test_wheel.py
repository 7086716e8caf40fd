"""A wheel carries everything: code, page, weights, avatar. Installed elsewhere, it renders."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[1]


def test_a_wheel_unpacked_elsewhere_renders_the_default_avatar(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("vivify-*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        file.extractall(site)
    for needed in ("clients/web/index.html", "engine/assets/speech.wav", "engine/assets/weights/facial.safetensors"):
        assert needed in names
    assert not [n for n in names if n.startswith(("tests/", "scripts/", "assets/")) or n.endswith(".pyc")]

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    speech = site / "engine" / "assets" / "speech.wav"
    render = [sys.executable, "-m", "clients.cli", "render", str(speech), "-o", "film.mp4", "--size", "256"]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(render, cwd=elsewhere, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "film.mp4").stat().st_size > 50_000
    assert (
        b"site/engine"
        in subprocess.run(
            [sys.executable, "-c", "import engine; print(engine.__file__)"], cwd=elsewhere, env=env, capture_output=True
        ).stdout
    )
