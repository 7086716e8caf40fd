"""The verbs as operators ``vivify::...`` of torch.

Its dispatcher takes CPU tensors to numba and CUDA tensors to Triton. Each operator has a fake, which tells
`torch.export`, `torch.compile` and the meta device what comes out; those that have gradients take them from the plain
torch reference. They are registered through `torch.library.Library` because `torch.library.custom_op` adds 5
microseconds to each call on a CPU, and this adds one. Registering compiles nothing and asks no device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kernels.backends import PLACES, chosen, implementation

LIBRARY = torch.library.Library("vivify", "DEF")
SIGNATURES = {
    "rasterize": "(Tensor vertices, Tensor triangles, Tensor attributes, SymInt height, SymInt width)"
    " -> (Tensor attributes, Tensor triangle, Tensor depth)",
    "paint_scenes": "(Tensor vertices, Tensor maps, Tensor scene, Tensor shown, Tensor[] tables, SymInt size,"
    " float jump, float spread, float warmth, SymInt most) -> (Tensor rgb, Tensor triangle, Tensor maps)",
    "warp_grid": "(Tensor image, Tensor grid, SymInt height, SymInt width, Tensor? occlusion, Tensor? background,"
    " bool channels_last) -> Tensor",
    "rgb_to_i420": "(Tensor rgb) -> Tensor",
    "to_rgb24": "(Tensor picture) -> Tensor",
}


def run(verb: str, *given: Any) -> Any:
    """The operator of a verb, or what `kernels.use_backend` put in its place."""
    backend = None if torch.compiler.is_dynamo_compiling() else chosen()  # of a context it compiles nothing
    return OPERATORS[verb](*given) if backend is None else implementation(backend, verb)(*given)


def _rasterized(vertices: Tensor, triangles: Tensor, attributes: Tensor, height: int, width: int) -> tuple[Tensor, ...]:
    shape = (vertices.shape[0], height, width)
    out = vertices.new_empty((*shape, attributes.shape[2]))
    return out, vertices.new_empty(shape, dtype=torch.int32), vertices.new_empty(shape)


def _painted(vertices: Tensor, maps: Tensor, scene: Any, shown: Any, tables: Any, size: int, *look: Any) -> Any:
    shape = (vertices.shape[0], size, size)
    rgb, triangle = vertices.new_empty((*shape, 3), dtype=torch.uint8), vertices.new_empty(shape, dtype=torch.int32)
    return rgb, triangle, vertices.new_empty((*shape, maps.shape[2]))


def _warped(
    image: Tensor, grid: Tensor, height: int, width: int, occlusion: Any, background: Any, channels_last: bool
) -> Tensor:
    batch, channels = image.shape[0], image.shape[3 if channels_last else 1]
    if not channels_last and image.device.type != "cpu":
        return image.new_empty((batch, channels, height, width))
    out = image.new_empty((batch, height, width, channels))  # numba always writes channels last
    return out if channels_last else out.permute(0, 3, 1, 2)


def _planar(rgb: Tensor) -> Tensor:
    height, width = rgb.shape[-3:-1]
    return rgb.new_empty((*rgb.shape[:-3], height * 3 // 2, width), dtype=torch.uint8)


def _packed(picture: Tensor) -> Tensor:
    return picture.new_empty((*picture.shape[:-3], *picture.shape[-2:], 3), dtype=torch.uint8)


FAKES: dict[str, Callable[..., Any]] = {
    "rasterize": _rasterized,
    "paint_scenes": _painted,
    "warp_grid": _warped,
    "rgb_to_i420": _planar,
    "to_rgb24": _packed,
}


def _gradients(function: Callable[..., Any], given: list[Tensor | None], wanted: tuple[Tensor, ...]) -> list[Any]:
    """The gradients of a reference in each of ``given`` that needs one, its results' being ``wanted``."""
    with torch.enable_grad():
        moving = [t if t is None or not t.requires_grad else t.detach().requires_grad_() for t in given]
        made = function(*moving)
        sought = [t for t in moving if t is not None and t.requires_grad]
        found = iter(torch.autograd.grad(made, sought, wanted, allow_unused=True))
    return [next(found) if t is not None and t.requires_grad else None for t in moving]


def _keep_rasterized(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    vertices, triangles, attributes, *_ = inputs
    ctx.save_for_backward(vertices, triangles, attributes, output[1])


def _rasterize_backward(ctx: Any, attributes: Tensor, _: None, depth: Tensor) -> tuple[Any, ...]:
    """The nearest triangles are known and stay: what lies on them moves with the corners."""
    from kernels.plain.reference import interpolate

    vertices, triangles, values, triangle = ctx.saved_tensors
    moved = _gradients(lambda v, a: interpolate(v, triangles, a, triangle), [vertices, values], (attributes, depth))
    return moved[0], None, moved[1], None, None


def _keep_warped(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    image, grid, height, width, occlusion, background, channels_last = inputs
    ctx.save_for_backward(image, grid, occlusion, background)
    ctx.form = height, width, channels_last


def _warp_backward(ctx: Any, out: Tensor) -> tuple[Any, ...]:
    from kernels.plain.reference import warp_grid

    height, width, last = ctx.form
    given = list(ctx.saved_tensors)
    image, grid, share, behind = _gradients(
        lambda i, g, o, b: warp_grid(i, g, height, width, o, b, last), given, (out,)
    )
    return image, grid, None, None, share, behind, None


DIFFERENTIABLE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "rasterize": (_rasterize_backward, _keep_rasterized),
    "warp_grid": (_warp_backward, _keep_warped),
}


def _of(backend: str, verb: str) -> Callable[..., Any]:
    return lambda *given: implementation(backend, verb)(*given)


def _register(verb: str) -> Any:
    LIBRARY.define(verb + SIGNATURES[verb])
    LIBRARY.impl(verb, _of("numba", verb), "CPU")
    LIBRARY.impl(verb, _of("triton", verb), "CUDA")
    torch.library.register_fake(f"vivify::{verb}", FAKES[verb], lib=LIBRARY)
    if verb in DIFFERENTIABLE:
        backward, keep = DIFFERENTIABLE[verb]
        torch.library.register_autograd(f"vivify::{verb}", backward, setup_context=keep, lib=LIBRARY)
    else:
        LIBRARY.impl(verb, torch.library.fallthrough_kernel, "Autograd")  # bytes have no gradient
    return getattr(torch.ops.vivify, verb).default


OPERATORS = {verb: _register(verb) for verb in PLACES}
