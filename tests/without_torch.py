"""Which test files need torch: read off the imports, so that the others run where it is not installed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ("kernels", "engine", "webrtc", "clients")


def files_that_need_torch() -> list[str]:
    """Test files that import torch, themselves or by what they import of ours when they are read."""
    return [str(path) for path in sorted((ROOT / "tests").rglob("*.py")) if path.name != "conftest.py" and _needs(path)]


@cache
def _needs(path: Path) -> bool:
    return any(
        name.split(".")[0] in ("torch", "triton", "transformers") or _module_needs(name) for name in _imports(path)
    )


@cache
def _module_needs(name: str) -> bool:
    path = _path(name)
    return path is not None and _needs(path)


def _imports(path: Path) -> set[str]:
    """What a file imports as soon as it is read: not within functions, and not for types alone."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _path(name: str) -> Path | None:
    """The file of a module of ours, or of a helper beside the tests."""
    base = (ROOT if name.split(".")[0] in OURS else ROOT / "tests").joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
