"""What was freed between small pieces that stay goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.cpu

TRIED = """
import sys
import numpy as np
from engine.process.c_memory import keep_little

def private_mb():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1024

if sys.argv[1] == "told" and not keep_little():
    sys.exit(3)
np.ones(1 << 23, np.uint8)  # freed at once: from here on glibc by itself would keep pieces of that size
before, pictures, small = private_mb(), [], []
for _ in range(40):
    pictures.append(np.ones(1_200_000, np.uint8))
    small.append(bytearray(2000))
del pictures
print(private_mb() - before)
"""


def kept_mb(how: str) -> float:
    done = subprocess.run([sys.executable, "-c", TRIED, how], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("another C library than glibc")
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
def test_pictures_do_not_stay_with_the_c_library() -> None:
    assert kept_mb("told") < 5 < 20 < kept_mb("untold")
