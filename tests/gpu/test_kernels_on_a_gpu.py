"""The Triton kernels as machine code: on a GPU they give what plain torch gives there."""

from __future__ import annotations

import pytest
import torch

import kernels
from kernels.gpu import i420_cupy
from kernels.torch_operators import OPERATORS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_rasterize() -> None:
    g = torch.Generator().manual_seed(1)
    vertices = (torch.rand(3, 900, 3, generator=g) * torch.tensor([300.0, 200.0, 9.0]) - 20).cuda()
    triangles = torch.randint(0, 900, (500, 3), generator=g).cuda()
    values = torch.rand(900, 5, generator=g).cuda()
    got = kernels.rasterize(vertices, triangles, values, 181, 257)
    with kernels.use_backend("reference"):
        wanted = kernels.rasterize(vertices, triangles, values, 181, 257)
    same = got.triangle == wanted.triangle
    assert (~same).float().mean() <= 0.004
    both = same & (wanted.triangle >= 0)
    torch.testing.assert_close(got.attributes[both], wanted.attributes[both], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("channels_last", [False, True])
def test_warp_grid(channels_last: bool) -> None:
    image, grid = torch.rand(2, 61, 67, 3).cuda(), (torch.rand(2, 16, 16, 2) * 70 - 3).cuda()
    image = image if channels_last else image.permute(0, 3, 1, 2)
    share = torch.rand(2, 16, 16).cuda()
    given = (image, grid, 200, 120, share, None, channels_last)
    with kernels.use_backend("reference"):
        wanted = kernels.warp_grid(*given)
    torch.testing.assert_close(kernels.warp_grid(*given), wanted, atol=1e-4, rtol=1e-4)


def test_bytes() -> None:
    rgb = torch.randint(0, 256, (2, 62, 94, 3), dtype=torch.int32).to(torch.uint8).cuda()
    picture = torch.rand(2, 3, 62, 94).cuda()
    with kernels.use_backend("reference"):
        planes, packed = kernels.rgb_to_i420(rgb), kernels.to_rgb24(picture)
    assert (kernels.rgb_to_i420(rgb).int() - planes.int()).abs().max() <= 1
    assert (kernels.to_rgb24(picture).int() - packed.int()).abs().max() <= 1
    if i420_cupy.available():
        assert (i420_cupy.rgb_to_i420(rgb).int() - planes.int()).abs().max() <= 1


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_fake_lies_in_memory_as_the_warp_does(channels_last: bool) -> None:
    """On the CPU it lies otherwise."""
    image, grid = torch.rand(2, 3, 24, 3).cuda(), (torch.rand(2, 4, 4, 2) * 20).cuda()
    torch.library.opcheck(OPERATORS["warp_grid"], (image, grid, 20, 12, None, None, channels_last))


def test_a_cuda_graph_holds_them() -> None:
    image, grid = torch.rand(2, 3, 61, 67).cuda(), (torch.rand(2, 16, 16, 2) * 60).cuda()
    vertices, triangles = (torch.rand(2, 90, 3) * 60).cuda(), torch.randint(0, 90, (50, 3)).cuda()

    def step() -> tuple[torch.Tensor, ...]:
        rgb = kernels.to_rgb24(kernels.warp_grid(image, grid, 64, 64))
        return rgb, kernels.rgb_to_i420(rgb), *kernels.rasterize(vertices, triangles, vertices, 64, 64)

    with torch.inference_mode():
        step()  # compiles what a capture could not wait for
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            held = step()
        image.copy_(torch.rand(2, 3, 61, 67))
        vertices.copy_(torch.rand(2, 90, 3) * 60)
        graph.replay()
        for got, wanted in zip(held, step(), strict=True):
            assert torch.equal(got, wanted)
