"""The verbs as operators of torch: what its own checks ask of one, gradients, exported programs, the meta device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import kernels
from kernels import Look, Scenes
from kernels.torch_operators import OPERATORS

pytestmark = pytest.mark.cpu
LOOK = Look(jump=3.0, spread=2.0, warmth=0.22, most=64)


def some(seed: int, *shape: int, scale: float = 1.0, moving: bool = False) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * scale).requires_grad_(moving)


def mesh(moving: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    triangles = torch.randint(0, 7, (6, 3), generator=torch.Generator().manual_seed(2))
    return some(1, 2, 7, 3, scale=9, moving=moving), triangles, some(3, 2, 7, 4, moving=moving)


def tables() -> Scenes:
    cells = torch.tensor([[[0, 1, 2], [1, 3, 2], [4, 5, 6]]] * 2, dtype=torch.int32)
    layers, facing = torch.zeros(2, 3, dtype=torch.int32), torch.zeros(2, 3, dtype=torch.int8)
    atlas = some(4, 2, 12, 12, 3, scale=255).to(torch.uint8)
    return Scenes(cells, layers, facing, torch.zeros(2, 1, 2), atlas, torch.full((2, 2), 12).int(), torch.ones(2, 3))


def scene() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shown = torch.tensor([[3, 0, 0, 2**30]] * 2, dtype=torch.int32)
    return some(5, 2, 7, 3, scale=8), some(6, 2, 7, 3, scale=8), torch.tensor([0, 1]), shown


def warp(moving: bool, last: bool) -> tuple:
    image, behind = ((2, 6, 7, 3), (2, 8, 9, 3)) if last else ((2, 3, 6, 7), (2, 3, 8, 9))
    grid, share = some(8, 2, 4, 4, 2, scale=6, moving=moving), some(9, 2, 4, 4, moving=moving)
    return some(7, *image, moving=moving), grid, 8, 9, share, some(10, *behind, moving=moving), last


GIVEN = {
    "rasterize": ("rasterize", lambda: (*mesh(), 8, 9)),
    "rasterize with gradients": ("rasterize", lambda: (*mesh(moving=True), 8, 9)),
    "warp_grid": ("warp_grid", lambda: warp(moving=False, last=False)),
    "warp_grid, channels last": ("warp_grid", lambda: warp(moving=False, last=True)),
    "warp_grid with gradients": ("warp_grid", lambda: warp(moving=True, last=False)),
    "warp_grid alone": ("warp_grid", lambda: (*warp(moving=True, last=False)[:4], None, None, False)),
    "paint_scenes": ("paint_scenes", lambda: (*scene(), list(tables()), 8, *LOOK)),
    "rgb_to_i420": ("rgb_to_i420", lambda: (some(11, 2, 4, 6, 3, scale=255).to(torch.uint8),)),
    "to_rgb24": ("to_rgb24", lambda: (some(12, 2, 3, 5, 6, moving=True),)),
}


@pytest.mark.parametrize("name", GIVEN)
def test_it_is_what_torch_asks_of_an_operator(name: str) -> None:
    """Its fake, its gradients' registration, and that it changes nothing it is given."""
    verb, given = GIVEN[name]
    torch.library.opcheck(OPERATORS[verb], given())


def everything(picture: Tensor, grid: Tensor) -> tuple[Tensor, ...]:
    """All verbs on one picture [2, 3, 8, 8]."""
    drawn = kernels.rasterize(*mesh_of(picture), 8, 8)
    warped = kernels.warp_grid(picture, grid, 8, 8)
    painted = kernels.paint_scenes(*(t.to(picture.device) for t in scene()), tables_of(picture), 8, LOOK)
    rgb = kernels.to_rgb24(warped)
    return drawn.attributes, drawn.triangle, drawn.depth, warped, *painted, rgb, kernels.rgb_to_i420(rgb)


def mesh_of(picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    vertices, triangles, attributes = (t.to(picture.device) for t in mesh())
    return vertices, triangles, attributes + picture.mean()


def tables_of(picture: Tensor) -> Scenes:
    return Scenes(*(t.to(picture.device) for t in tables()))


class Everything(nn.Module):
    def forward(self, picture: Tensor, grid: Tensor) -> tuple[Tensor, ...]:
        return everything(picture, grid)


def test_an_exported_program_holds_them() -> None:
    given = some(13, 2, 3, 8, 8), some(14, 2, 4, 4, 2, scale=7)
    program = torch.export.export(Everything(), given)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert {f"vivify.{verb}.default" for verb in OPERATORS} <= called
    other = some(15, 2, 3, 8, 8), some(16, 2, 4, 4, 2, scale=7)
    for got, wanted in zip(program.module()(*other), everything(*other), strict=True):
        assert torch.equal(got, wanted)


def test_compilation_goes_through_them() -> None:
    def verbs(image: Tensor, grid: Tensor) -> Tensor:
        return kernels.rgb_to_i420(kernels.to_rgb24(kernels.warp_grid(image, grid, 8, 8)))

    given = some(13, 2, 3, 8, 8), some(14, 2, 4, 4, 2, scale=7)
    assert torch.equal(torch.compile(verbs, fullgraph=True, backend="eager")(*given), verbs(*given))


def test_the_meta_device_knows_what_comes_out() -> None:
    given = some(13, 2, 3, 8, 8), some(14, 2, 4, 4, 2, scale=7)
    for got, wanted in zip(everything(*(t.to("meta") for t in given)), everything(*given), strict=True):
        assert (got.device.type, got.shape, got.dtype) == ("meta", wanted.shape, wanted.dtype)


@pytest.mark.parametrize(
    ("verb", "given"),
    [("rasterize", lambda: (*mesh(moving=True), 8, 9)), ("warp_grid", lambda: warp(moving=True, last=False))],
)
def test_gradients_are_the_reference_s(verb: str, given: Callable[[], tuple]) -> None:
    found = []
    for backend in (None, "reference"):
        here = given()
        if backend is None:
            out = getattr(kernels, verb)(*here)
        else:
            with kernels.use_backend(backend):
                out = getattr(kernels, verb)(*here)
        parts = (out.attributes, out.depth[out.triangle >= 0]) if verb == "rasterize" else (out,)
        torch.stack([part.square().sum() for part in parts]).sum().backward()
        found.append([t.grad for t in here if isinstance(t, Tensor) and t.requires_grad])
    assert len(found[0]) == len(found[1]) >= 2
    for got, wanted in zip(*found, strict=True):
        assert wanted.abs().sum() > 0
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_bytes_have_no_gradient() -> None:
    vertices, maps, which, shown = scene()
    painted = kernels.paint_scenes(vertices.requires_grad_(), maps.requires_grad_(), which, shown, tables(), 8, LOOK)
    packed = kernels.to_rgb24(some(1, 3, 4, 4, moving=True))
    assert not any(t.requires_grad for t in (*painted, packed))
