"""The three backends agree; what cannot be drawn covers nothing; wrong arguments get a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import kernels

pytestmark = pytest.mark.cpu
FAST = ("numba", "triton")


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def soup(number: int, batch: int, count: int, triangles: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Overlapping random triangles, some of them partly off the picture."""
    g = seeded(number)
    vertices = torch.rand(batch, count, 3, generator=g) * torch.tensor([44.0, 34.0, 10.0]) - 4
    return vertices, torch.randint(0, count, (triangles, 3), generator=g), torch.rand(count, 4, generator=g)


def sheet(rows: int, columns: int, step: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A gapless grid of triangles whose edges run through pixel centres."""
    y, x = torch.meshgrid(torch.arange(rows) * step, torch.arange(columns) * step, indexing="ij")
    vertices = torch.stack([x, y, torch.full_like(x, 5.0)], -1).reshape(1, -1, 3).float()
    first = (torch.arange(rows - 1)[:, None] * columns + torch.arange(columns - 1)).reshape(-1)
    upper = torch.stack([first, first + 1, first + columns], 1)
    lower = torch.stack([first + 1, first + columns + 1, first + columns], 1)
    return vertices, torch.cat([upper, lower])


def run(backend: str, function: str, *given: object) -> torch.Tensor | kernels.Raster:
    with kernels.use_backend(backend):
        return getattr(kernels, function)(*given)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize(("height", "width"), [(23, 33), (1, 17), (31, 5)])
def test_rasterize_equals_the_reference(backend: str, height: int, width: int) -> None:
    vertices, triangles, attributes = soup(height, 2, 30, 25)
    got = run(backend, "rasterize", vertices, triangles, attributes, height, width)
    wanted = run("reference", "rasterize", vertices, triangles, attributes, height, width)
    same = got.triangle == wanted.triangle
    # On an edge the last bit of a float decides which side a centre lies on: a few flips, no more.
    assert (~same).float().mean() <= 0.004
    both = same & (wanted.triangle >= 0)
    assert torch.allclose(got.attributes[both], wanted.attributes[both], atol=2e-5)
    assert torch.allclose(got.depth[both], wanted.depth[both], atol=2e-5, rtol=1e-5)
    assert (got.attributes[got.triangle < 0] == 0).all()
    assert torch.isinf(got.depth[got.triangle < 0]).all()


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_shared_edges_leave_no_gap(backend: str) -> None:
    vertices, triangles = sheet(9, 11, 2.5)
    attributes = vertices[0, :, :2].contiguous()
    got = run(backend, "rasterize", vertices, triangles, attributes, 20, 25)
    assert (got.triangle >= 0).all()
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(25.0), indexing="ij")
    assert torch.allclose(got.attributes[0], torch.stack([x, y], -1), atol=1e-4)


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_nearer_wins_and_ties_go_to_the_earlier(backend: str) -> None:
    square = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    corners = torch.cat([torch.cat([square, torch.full((3, 1), z)], 1) for z in (2.0, -1.0, -1.0)])[None]
    triangles = torch.arange(9).reshape(3, 3)
    got = run(backend, "rasterize", corners, triangles, torch.ones(9, 1), 6, 6)
    assert set(got.triangle[got.triangle >= 0].tolist()) == {1}
    assert (got.depth[got.triangle >= 0] == -1).all()


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # by the interpreter of Triton 3.7, of NaN
@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_what_cannot_be_drawn_covers_nothing(backend: str) -> None:
    nan, far = float("nan"), 1e9
    flat = [[1.0, 1.0, 0.0], [5.0, 5.0, 0.0], [9.0, 9.0, 0.0]]
    broken = [[1.0, nan, 0.0], [8.0, 1.0, 0.0], [1.0, 8.0, 0.0]]
    away = [[far, far, 0.0], [far + 999, far, 0.0], [far, far + 999, 0.0]]
    vertices = torch.tensor([flat + broken + away])
    got = run(backend, "rasterize", vertices, torch.arange(9).reshape(3, 3), torch.ones(9, 2), 10, 10)
    assert (got.triangle == -1).all()
    assert torch.isinf(got.depth).all()
    empty = run(backend, "rasterize", vertices, torch.zeros((0, 3), dtype=torch.int64), torch.ones(9, 2), 10, 10)
    assert (empty.triangle == -1).all()


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_a_triangle_larger_than_the_picture_covers_it(backend: str) -> None:
    vertices = torch.tensor([[[-1e6, -1e6, 1.0], [3e6, -1e6, 1.0], [-1e6, 3e6, 1.0]]])
    got = run(backend, "rasterize", vertices, torch.tensor([[0, 1, 2]]), torch.ones(3, 1), 7, 19)
    assert (got.triangle == 0).all()


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [(21, 23), (1, 9), (16, 16)])
def test_warp_equals_the_reference(backend: str, channels_last: bool, size: tuple[int, int]) -> None:
    g = seeded(size[1])
    image = torch.rand(2, 3, 17, 19, generator=g)
    grid = torch.rand(2, 5, 7, 2, generator=g) * 24 - 3
    occlusion = torch.rand(2, 5, 7, generator=g)
    background = torch.rand(2, 3, *size, generator=g)
    if channels_last:
        image, background = image.permute(0, 2, 3, 1), background.permute(0, 2, 3, 1)
    for extra in ((None, None), (occlusion, None), (occlusion, background)):
        given = (image, grid, *size, *extra, channels_last)
        wanted = run("reference", "warp_grid", *given)
        got = run(backend, "warp_grid", *given)
        assert got.shape == wanted.shape
        assert torch.allclose(got, wanted, atol=2e-5)


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_the_identity_grid_returns_the_image(backend: str) -> None:
    image = torch.rand(1, 2, 12, 15, generator=seeded(3))
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(15.0), indexing="ij")
    got = run(backend, "warp_grid", image, torch.stack([x, y], -1)[None], 12, 15)
    assert torch.allclose(got, image, atol=3e-6)


def test_the_reference_is_differentiable() -> None:
    vertices, triangles, attributes = soup(5, 1, 12, 9)
    vertices.requires_grad_(True)
    attributes.requires_grad_(True)
    kernels.rasterize(vertices, triangles, attributes, 20, 24).attributes.sum().backward()
    assert vertices.grad is not None
    assert vertices.grad.abs().sum() > 0
    assert attributes.grad is not None
    assert attributes.grad.abs().sum() > 0
    image = torch.rand(1, 1, 8, 8, generator=seeded(1), requires_grad=True)
    grid = (torch.rand(1, 4, 4, 2, generator=seeded(2)) * 7).requires_grad_(True)
    kernels.warp_grid(image, grid, 8, 8).square().sum().backward()
    assert grid.grad is not None
    assert grid.grad.abs().sum() > 0


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_i420_equals_the_reference(backend: str, dtype: torch.dtype) -> None:
    rgb = (torch.rand(2, 10, 14, 3, generator=seeded(7)) * 255).to(dtype)
    wanted = run("reference", "rgb_to_i420", rgb)
    got = run(backend, "rgb_to_i420", rgb)
    assert got.shape == wanted.shape == (2, 15, 14)
    assert (got.int() - wanted.int()).abs().max() <= 1


def test_i420_is_what_libav_reads() -> None:
    av = pytest.importorskip("av")
    ramp = np.zeros((16, 32, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 32)[None]
    ramp[..., 1] = np.linspace(0, 255, 16)[:, None]
    ramp[..., 2] = 90
    planes = kernels.rgb_to_i420(torch.from_numpy(ramp)).numpy()
    theirs = av.VideoFrame.from_ndarray(ramp, format="rgb24").reformat(format="yuv420p").to_ndarray()
    assert planes.shape == theirs.shape
    difference = np.abs(planes.astype(int) - theirs.astype(int))
    assert difference.max() <= 3
    assert difference.mean() < 1


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_barycentrics_are_those_of_the_attributes(backend: str) -> None:
    vertices, triangles, attributes = soup(9, 2, 25, 20)
    seen = run(backend, "rasterize", vertices, triangles, attributes, 24, 30)
    weights = kernels.barycentrics(vertices, triangles, seen.triangle)
    assert weights.shape == (2, 24, 30, 3)
    covered = seen.triangle >= 0
    assert torch.allclose(weights[covered].sum(-1), torch.ones(int(covered.sum())), atol=1e-5)
    assert (weights[~covered] == 0).all()
    corners = attributes[triangles[seen.triangle.clamp(min=0).long()]]  # [B, H, W, 3, C]
    assert torch.allclose((weights[..., None] * corners).sum(-2)[covered], seen.attributes[covered], atol=1e-4)
    nothing = kernels.barycentrics(vertices, triangles[:0], torch.full((2, 4, 4), -1, dtype=torch.int32))
    assert not nothing.any()


def test_barycentrics_have_gradients() -> None:
    vertices, triangles, attributes = soup(5, 1, 12, 9)
    seen = kernels.rasterize(vertices, triangles, attributes, 20, 24)
    moving = vertices.clone().requires_grad_(True)
    kernels.barycentrics(moving, triangles, seen.triangle).square().sum().backward()
    assert moving.grad is not None
    assert moving.grad.isfinite().all()
    assert moving.grad.abs().sum() > 0


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_smooth_edges_show_their_coverage(backend: str) -> None:
    corners = torch.tensor([[[-9.0, -9.0, 1.0], [6.25, -9.0, 1.0], [-9.0, 40.0, 1.0], [6.25, 40.0, 1.0]]])
    triangles = torch.tensor([[0, 1, 2], [1, 3, 2]])
    values, covered = run(backend, "rasterize_smooth", corners, triangles, corners[0, :, :2].contiguous(), 12, 12)
    assert torch.allclose(covered[0, :, :6], torch.ones(12, 6))
    assert torch.allclose(covered[0, :, 6], torch.full((12,), 0.75), atol=1 / 8)
    assert (covered[0, :, 7:] == 0).all()
    assert (values[0, :, 7:] == 0).all()
    x = torch.arange(6.0).expand(12, 6)
    assert torch.allclose(values[0, :, :6, 0], x, atol=1e-4), "within a surface the mean is the middle"


@pytest.mark.parametrize("backend", FAST)
def test_rgb24_equals_the_reference(backend: str) -> None:
    picture = torch.rand(2, 3, 9, 15, generator=seeded(4)) * 1.4 - 0.2
    picture[0, 1, 2, 3] = float("nan")
    picture[1, 0, 0, 0] = float("inf")
    wanted = run("reference", "to_rgb24", picture)
    got = run(backend, "to_rgb24", picture)
    assert got.shape == wanted.shape == (2, 9, 15, 3)
    assert torch.equal(got, wanted)
    assert got[0, 2, 3, 1] == 0
    assert got[1, 0, 0, 0] == 255
    exact = torch.arange(256).float().div(255).reshape(1, 16, 16).expand(3, 16, 16)
    assert torch.equal(run(backend, "to_rgb24", exact)[..., 0].reshape(-1), torch.arange(256).to(torch.uint8))


@pytest.mark.parametrize(
    ("function", "given", "sentence"),
    [
        ("rasterize", (torch.zeros(4, 3), torch.tensor([[0, 1, 2]]), torch.zeros(4, 1), 4, 4), "vertices were"),
        ("rasterize", (torch.zeros(1, 4, 3), torch.zeros(1, 3), torch.zeros(4, 1), 4, 4), "triangles were expected"),
        ("rasterize", (torch.zeros(1, 4, 3), torch.tensor([[0, 1, 4]]), torch.zeros(4, 1), 4, 4), "only 4"),
        ("rasterize", (torch.zeros(1, 4, 3), torch.tensor([[0, 1, 2]]), torch.zeros(5, 1), 4, 4), "attributes were"),
        ("rasterize", (torch.zeros(1, 4, 3), torch.tensor([[0, 1, 2]]), torch.zeros(4, 1), 0, 4), "at least 1 x 1"),
        ("warp_grid", (torch.zeros(1, 3, 4, 4), torch.zeros(2, 4, 4, 2), 4, 4), "grid was expected"),
        ("warp_grid", (torch.zeros(3, 4, 4), torch.zeros(1, 4, 4, 2), 4, 4), "image was expected"),
        ("warp_grid", (torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, 2), 4, 4, torch.zeros(1, 2, 2)), "occlusion was"),
        ("to_rgb24", (torch.zeros(2, 4, 4),), "picture was expected"),
        ("to_rgb24", (torch.zeros(3, 4, 4, dtype=torch.uint8),), "picture was expected"),
        ("rasterize_smooth", (torch.zeros(4, 3), torch.tensor([[0, 1, 2]]), torch.zeros(4, 1), 4, 4), "vertices were"),
        ("barycentrics", (torch.zeros(4, 3), torch.tensor([[0, 1, 2]]), torch.zeros(1, 4, 4)), "vertices were"),
        ("rgb_to_i420", (torch.zeros(5, 4, 3),), "even height and width"),
        ("rgb_to_i420", (torch.zeros(4, 4, 4),), "rgb was expected"),
    ],
)  # fmt: skip
def test_wrong_arguments_get_a_sentence(function: str, given: tuple, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        getattr(kernels, function)(*given)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="expected to be one of"), kernels.use_backend("cuda"):
        pass


def test_on_a_gpu_triangles_that_name_no_vertex_draw_nothing() -> None:
    """Their values are not read back to be refused, as they are on the CPU."""
    from kernels.gpu import raster

    vertices = torch.tensor([[[0.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 8.0, 0.0]]])
    triangles = torch.tensor([[0, 1, 9], [-1, 0, 2], [0, 1, 2]])
    got = raster.rasterize(vertices, triangles, torch.ones(1, 3, 1), 6, 6)
    assert set(got.triangle.unique().tolist()) <= {-1, 2}
    assert (got.triangle == 2).any()


def test_pictures_whose_rows_lie_beyond_32_bits_are_found(tmp_path: Path) -> None:
    """Rows 2^31 + 8 numbers apart, in a file that is almost all holes."""
    stride, rows = 2**31 + 8, 3
    held = torch.from_file(str(tmp_path / "holes"), shared=True, size=stride * (rows - 1) + 8)
    image = held.as_strided((1, 1, rows, 8), (stride * rows, stride * rows, stride, 1))
    image.copy_(torch.rand(1, 1, rows, 8, generator=seeded(4)))
    grid = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(float(rows)), indexing="xy"), -1)[None]
    got = run("triton", "warp_grid", image, grid, rows, 8)
    (tmp_path / "holes").unlink()
    assert torch.allclose(got, image.contiguous(), atol=1e-6)
