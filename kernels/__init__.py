"""Tensor in, tensor out: the heavy operations of the picture, knowing nothing of faces or sessions.

`rasterize`, `paint_scenes`, `warp_grid`, `rgb_to_i420` and `to_rgb24` each exist three times: plain torch
(`kernels.plain`, the definition of correct, differentiable), numba (`kernels.cpu`) and Triton (`kernels.gpu`);
`kernels.backends` says where. `barycentrics` and `rasterize_smooth` are made of these. They are operators of torch
(`kernels.torch_operators`): CPU tensors go to numba, CUDA tensors to Triton, gradients come from the reference, and
`torch.export` and the meta device know what comes out. `use_backend` overrides this in tests. Importing this package
compiles nothing and asks no device; torch is loaded when a verb is first asked for, as `kernels.cpu` works on arrays.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernels.backends import BACKENDS, use_backend
    from kernels.checks import Raster
    from kernels.scenes import Look, Painted, Scenes
    from kernels.verbs import barycentrics, paint_scenes, rasterize, rasterize_smooth, rgb_to_i420, to_rgb24, warp_grid

__version__ = "0.2.0"
__all__ = [
    "BACKENDS",
    "Look",
    "Painted",
    "Raster",
    "Scenes",
    "barycentrics",
    "paint_scenes",
    "rasterize",
    "rasterize_smooth",
    "rgb_to_i420",
    "to_rgb24",
    "use_backend",
    "warp_grid",
]


_HOMES = {"backends": {"BACKENDS", "use_backend"}, "checks": {"Raster"}, "scenes": {"Look", "Painted", "Scenes"}}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), "verbs")
    return getattr(import_module(f"kernels.{home}"), name)
