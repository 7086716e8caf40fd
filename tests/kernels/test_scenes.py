"""Painted scenes: the three backends agree; openings, backs, mirrors, several scenes at once; sentences for misuse."""

from __future__ import annotations

import pytest
import torch

import kernels
from kernels import Look, Painted, Scenes

pytestmark = pytest.mark.cpu
SIZE = 20
LOOK = Look(jump=3.0, spread=2.0, warmth=0.22, most=SIZE * SIZE)
NEVER = 2**30


def quad(left: float, top: float, right: float, bottom: float, z: float) -> list[list[float]]:
    return [[left, top, z], [right, top, z], [left, bottom, z], [right, bottom, z]]


def scenes(channels: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Scenes]:
    """Two scenes of a wall, a pane before it, an opening in that, and what lies inside; each with a picture of its own.

    The last triangles are inside; a square of the wall shows its back.
    """
    g = torch.Generator().manual_seed(channels)
    corners = [*quad(-3, -3, 30, 30, 9), *quad(4.3, 3.6, 15.2, 16.4, 5), *quad(7.1, 7.4, 12.7, 12.2, 4)]
    corners += [*quad(1, 1, 3, 3, 1), *quad(5, 5, 15, 10.3, 8), *quad(5, 9, 15, 15, 7)]
    vertices = torch.tensor([corners, corners, corners])
    vertices[1] += torch.rand(vertices[1].shape, generator=g)
    vertices[2, :, :2] = 8 + 0.7 * (vertices[2, :, :2] - 8)
    cells = torch.tensor([[4 * k + i for i in t] for k in range(6) for t in ((0, 1, 2), (1, 3, 2))], dtype=torch.int32)
    maps = torch.cat([vertices[..., :2] * 1.3 + 2, 0.6 + 0.4 * torch.rand(3, 24, 1, generator=g)], 2)
    if channels == 6:
        maps = torch.cat([maps, 30 - maps[..., :2], torch.rand(3, 24, 1, generator=g)], 2)
    facing = torch.zeros(2, 12, dtype=torch.int8)
    facing[:, 6:8] = 1  # they are wound so that their back is seen
    tables = Scenes(
        triangles=torch.stack([cells, cells.roll(1, 1)]),
        layers=torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4], dtype=torch.int32).expand(2, -1).contiguous(),
        facing=facing,
        offsets=torch.rand(2, 5, 2, generator=g) * 4,
        atlas=torch.randint(0, 255, (2, 40, 44, 3), generator=g, dtype=torch.int32).to(torch.uint8),
        extent=torch.tensor([[40, 44], [33, 37]], dtype=torch.int32),
        gain=torch.rand(2, 3, generator=g) + 0.5,
    )
    shown = torch.tensor([[8, 4, 6, 8], [8, 4, 6, 8], [8, 0, 0, NEVER]], dtype=torch.int32)
    return vertices, maps.contiguous(), torch.tensor([0, 1, 1]), shown, tables


def paint(backend: str, given: tuple, look: Look = LOOK) -> Painted:
    with kernels.use_backend(backend):
        return kernels.paint_scenes(*given, SIZE, look)


@pytest.mark.parametrize(("backend", "channels"), [("numba", 3), ("numba", 6), ("triton", 6)])
def test_backends_paint_the_same(backend: str, channels: int) -> None:
    given = scenes(channels)
    got, wanted = paint(backend, given), paint("reference", given)
    same = got.triangle == wanted.triangle
    assert (~same).float().mean() <= 0.004
    torch.testing.assert_close(got.maps[same], wanted.maps[same], atol=1e-3, rtol=1e-4)
    away = (got.rgb.int() - wanted.rgb.int()).abs().amax(-1)
    assert (away <= 1).float().mean() >= 0.995
    assert len(wanted.triangle.unique()) >= 10, "else little was painted"


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_the_inside_is_seen_through_the_opening_alone(backend: str) -> None:
    seen = paint(backend, scenes()).triangle
    assert ((seen[0] >= 8).sum()) > 20
    assert not ((seen[0] >= 4) & (seen[0] < 6)).any(), "the opening itself is not drawn"
    x = torch.nonzero(seen[0] >= 8)[:, 1]
    assert int(x.min()) >= 7
    assert int(x.max()) <= 13
    assert not (seen[2] >= 8).any(), "nothing inside where there is no opening"
    assert not ((seen >= 6) & (seen < 8)).any(), "what shows its back is left out"


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_edges_are_means_and_a_limit_holds(backend: str) -> None:
    given = scenes()
    soft, hard = paint(backend, given), paint(backend, given, LOOK._replace(most=1))
    changed = (soft.rgb != hard.rgb).any(-1)
    assert 20 < int(changed[0].sum()) < SIZE * SIZE // 2
    assert torch.equal(soft.triangle, hard.triangle)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # by the interpreter of Triton 3.7, of NaN
@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_broken_and_absent_meshes_are_black(backend: str) -> None:
    vertices, maps, scene, shown, tables = scenes()
    vertices[0], shown[1, 0] = float("nan"), 0
    got = paint(backend, (vertices, maps, scene, shown, tables))
    assert (got.triangle[:2] == -1).all()
    assert (got.rgb[:2] == 0).all()
    none = paint(backend, (vertices[:0], maps[:0], scene[:0], shown[:0], tables))
    assert none.rgb.shape == (0, SIZE, SIZE, 3)


@pytest.mark.parametrize(
    ("which", "wrong", "sentence"),
    [
        (0, lambda t: t[..., :2], r"vertices were expected as float32 \[R, V, 3\]"),
        (1, lambda t: t[..., :2], r"maps were expected as float32 \[3, 24, 3 or 6\]"),
        (2, lambda t: t.int(), r"scene was expected as int64 \[3\]"),
        (3, lambda t: t[:, :3], r"shown was expected as int32 \[3, 4\]"),
        (4, lambda t: t._replace(gain=t.gain[:1]), r"tables.gain was expected to hold 2 scenes"),
        (4, lambda t: t._replace(atlas=t.atlas.float()), r"tables.atlas was expected as torch.uint8"),
        (4, lambda t: t._replace(layers=t.layers[:, :3]), r"tables were expected with triangles \[A, F, 3\]"),
    ],
)
def test_misuse_is_told_in_a_sentence(which: int, wrong, sentence: str) -> None:
    given = list(scenes())
    given[which] = wrong(given[which])
    with pytest.raises(ValueError, match=sentence):
        kernels.paint_scenes(*given, SIZE, LOOK)
    with pytest.raises(ValueError, match="at least 1 x 1"):
        kernels.paint_scenes(*scenes(), 0, LOOK)
    with pytest.raises(ValueError, match=r"look.most was expected"):
        kernels.paint_scenes(*scenes(), SIZE, LOOK._replace(most=0))
