"""Two checkouts' benchmarks are run in turn and compared by name."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu

COMPARE = runpy.run_path(str(Path(__file__).resolve().parents[1] / "scripts" / "bench_compare"))


def checkout(folder: Path, prints: str) -> Path:
    """A folder with one benchmark, which counts its own runs."""
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "bench_it").write_text(
        f"import json, pathlib\nruns = pathlib.Path('runs'); n = len(runs.read_text()) if runs.exists() else 0\n"
        f"runs.write_text('x' * (n + 1))\nprint('words first')\nprint(json.dumps({prints}))\n"
    )
    return folder


def test_every_number_both_have_is_compared_by_its_median(tmp_path: Path) -> None:
    base = checkout(tmp_path / "base", "{'a': {'ms': 10 + 2 * n}, 'list': [0, 1], 'gone': 3, 'word': 'x', 'ok': True}")
    ours = checkout(tmp_path / "ours", "{'a': {'ms': 5 + n}, 'list': [4, 1], 'new': 3}")
    runs = [[COMPARE["run"](folder, "bench_it") for _ in range(3)] for folder in (base, ours)]
    assert COMPARE["beside"](*runs) == {
        "a.ms": {"base": 12, "ours": 6, "ratio": 0.5},
        "list.0": {"base": 0, "ours": 4, "ratio": None},
        "list.1": {"base": 1, "ours": 1, "ratio": 1},
    }


def test_a_benchmark_that_fails_ends_with_its_own_words(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "base", "1 / 0")
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        COMPARE["run"](folder, "bench_it")


def test_an_unknown_commit_is_a_sentence() -> None:
    with pytest.raises(SystemExit, match="names none; see git log"):
        COMPARE["check_out"]("no-such-commit")
