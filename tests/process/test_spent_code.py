"""LLVM's code leaves memory, and kernels still compile and run afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.cpu

TRIED = """
import numba
from engine.process.spent_code import release_compiler

def resident():
    inside, kilobytes = False, 0
    for line in open("/proc/self/smaps"):
        if "-" in line.split()[0]:
            inside = "libllvmlite" in line and " r-xp " in line
        elif inside and line.startswith("Rss:"):
            kilobytes += int(line.split()[1])
    return kilobytes

twice = numba.njit(lambda x: 2 * x)
assert twice(4) == 8
before = resident()
assert release_compiler() > 0
after = resident()
thrice = numba.njit(lambda x: 3 * x)
assert (twice(5), thrice(5)) == (10, 15)
print(before, after)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked to take the compiler's code back")
def test_the_compiler_leaves_memory_and_still_compiles() -> None:
    done = subprocess.run([sys.executable, "-c", TRIED], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 10_000  # kB
    assert after < before / 10
