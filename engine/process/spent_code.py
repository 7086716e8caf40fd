"""The compiler leaves memory once it has linked the kernels: its code is read from the file again if it is needed."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

MAPS = Path("/proc/self/maps")
COMPILER = "libllvmlite"
CODE = "r-xp"  # nobody writes there, so nothing is lost; tables beside it were relocated in place and stay
DONTNEED = 4  # MADV_DONTNEED of Linux


def release_compiler() -> int:
    """Hand LLVM's code back to the system, about 50 MB a process; bytes of it that were mapped, 0 where not Linux.

    numba loads LLVM to link kernels from its cache; a step of the engine never enters it. What is clean and mapped from
    a file, the system reads again by itself on the next touch, so a kernel compiled later is only that much later.
    """
    if sys.platform != "linux" or not MAPS.exists():
        return 0
    advise = ctypes.CDLL(None, use_errno=True).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    released = 0
    for line in MAPS.read_text().splitlines():
        span, rights, *_, path = line.split(maxsplit=5)
        if rights == CODE and COMPILER in path:
            begin, end = (int(edge, 16) for edge in span.split("-"))
            released += end - begin if advise(begin, end - begin, DONTNEED) == 0 else 0
    return released
