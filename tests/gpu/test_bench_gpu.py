"""The benchmark says in a sentence why it cannot measure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_gpu"


@pytest.mark.cpu
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so_and_ends_with_two() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--save"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "There is no CUDA device here, so nothing was measured" in done.stderr
    assert not done.stdout
