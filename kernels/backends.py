"""Where each verb's three implementations live, and how tests choose one for themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any

from kernels.scenes import Look, Scenes

BACKENDS = ("reference", "numba", "triton")
PLACES = {  # verb -> the module of each backend, below `kernels`; all have a function of the verb's name
    "rasterize": ("plain.reference", "cpu.bridge", "gpu.raster"),
    "paint_scenes": ("plain.scene_reference", "cpu.bridge", "gpu.paint_triton"),
    "warp_grid": ("plain.reference", "cpu.bridge", "gpu.warp"),
    "rgb_to_i420": ("plain.reference", "cpu.bridge", "gpu.color"),
    "to_rgb24": ("plain.reference", "cpu.bridge", "gpu.color"),
}
_chosen: ContextVar[str | None] = ContextVar("kernels_backend", default=None)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Within the block every verb runs on ``name``: "reference", "numba" or "triton"."""
    if name not in BACKENDS:
        raise ValueError(f"The backend was expected to be one of {', '.join(BACKENDS)}, but came as {name!r}.")
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen() -> str | None:
    """What `use_backend` says here."""
    return _chosen.get()


@cache
def implementation(backend: str, verb: str) -> Callable[..., Any]:
    """The verb's function of one backend, taking what the operator of that name takes (`kernels.torch_operators`).

    It is imported, and compiled, when first needed. Triton is optional: its absence is told in a sentence.
    """
    try:
        module = import_module(f"kernels.{PLACES[verb][BACKENDS.index(backend)]}")
    except ImportError as missing:
        if backend != "triton":
            raise
        raise RuntimeError("Kernels on a GPU need Triton, which is not installed: pip install triton.") from missing
    function: Callable[..., Any] = getattr(module, verb)
    return function if verb != "paint_scenes" else _flat(function)


def _flat(paint_scenes: Callable[..., Any]) -> Callable[..., Any]:
    """Operators know tensors, numbers and lists of them: tables come as seven tensors, the look as four numbers."""

    def painted(vertices: Any, maps: Any, scene: Any, shown: Any, tables: Any, size: int, *look: Any) -> Any:
        return paint_scenes(vertices, maps, scene, shown, Scenes(*tables), size, Look(*look))

    return painted
