"""How our numba functions are compiled: without the GIL, and cached on disk where the disk lets us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numba as nb


def compiled(function: Callable[..., Any] | None = None, inline: Literal["never", "always"] = "never") -> Any:
    """Decorator: compile at the first call, release the GIL, keep the result for the next process.

    Where neither the package's folder nor the user's cache can be written (a read-only container), every process
    compiles for itself instead of failing at import.
    """
    if function is None:
        return lambda f: compiled(f, inline)
    try:
        return nb.njit(cache=True, nogil=True, inline=inline)(function)
    except RuntimeError:
        return nb.njit(nogil=True, inline=inline)(function)
