"""The README is the map: it names every file there is, and every file it names exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("kernels", "engine", "webrtc", "clients", "scripts")


def mapped() -> set[str]:
    """Paths of the README's tree: indented names under their folders."""
    tree = (ROOT / "README.md").read_text().split("## The tree")[1].split("```")[1]
    paths, above = set(), [""]
    for line in tree.splitlines()[1:]:
        found = re.match(r"^( *)(\S+)", line)
        if not found:
            continue
        depth, name = len(found[1]) // 2, found[2]
        above = above[: depth + 1]
        if name.endswith("/"):
            above.append(above[depth] + name)
        else:
            paths.add(above[depth] + name)
    return paths


def test_the_tree_names_every_source_file_and_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    there = {p for p in listed.stdout.split() if not p.endswith("__init__.py") and not p.endswith(".svg")}
    named = {p for p in mapped() if p.split("/")[0] in FOLDERS}
    assert not there - named, "files the README's tree does not name"
    assert not named - there, "files the README's tree names that do not exist"


def test_every_path_the_readme_mentions_exists() -> None:
    text = (ROOT / "README.md").read_text()
    folders = "|".join([*FOLDERS, "docs", "assets", "benchmarks"])
    for path in set(re.findall(rf"`((?:{folders})/[\w./*-]+)`", text)):
        assert list(ROOT.glob(path.rstrip("/"))), f"the README mentions {path}, which does not exist"


def test_the_python_example_does_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    code = (ROOT / "README.md").read_text().split("```python")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["0 (512, 512, 3)", "640 (512, 512, 3)"]
    assert len(lines) == 25 - 2, "a second of sound less the look-ahead"
