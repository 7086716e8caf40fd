"""Anti-aliasing: edges are averaged, everything else stays one sharp tap."""

from __future__ import annotations

import numpy as np
import pytest

from engine.contracts import Motion
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix
from engine.render.renderer import Renderer
from kernels.cpu import edges, painting
from kernels.cpu import numba_kernels as nk

pytestmark = pytest.mark.cpu
SIZE = 32


def draw(vertices: np.ndarray, triangles: np.ndarray, maps: np.ndarray, layer: np.ndarray, texture: np.ndarray):
    """As the renderer draws; the picture in two parts, as two cores would share it, must be the same."""
    whole, count = drawn(vertices, triangles, maps, layer, texture, [(0, SIZE)])
    parts, counted = drawn(vertices, triangles, maps, layer, texture, [(0, 13), (13, SIZE)])
    assert np.array_equal(parts, whole)
    assert counted == count
    return whole, count


def drawn(
    vertices: np.ndarray,
    triangles: np.ndarray,
    maps: np.ndarray,
    layer: np.ndarray,
    texture: np.ndarray,
    parts: list[tuple[int, int]],
) -> tuple[np.ndarray, int]:
    depth, which = np.full((SIZE, SIZE), nk.FAR, np.float32), np.full((SIZE, SIZE), -1, np.int32)
    places, special = np.empty((2, SIZE, SIZE), np.float32), np.zeros(len(triangles), np.bool_)
    side = SIZE // nk.TILE
    slots, edged = np.empty((SIZE, SIZE), np.int32), np.zeros((SIZE, side), np.uint16)
    tiles, odd, ending = np.zeros((3, side, side), np.uint8)
    facing, wary = np.zeros(len(triangles), np.int8), np.zeros(len(triangles), np.bool_)
    wary[2:] = True  # the layer in front ends within the picture
    spots = [np.empty(len(triangles), np.int32) for _ in parts]
    for k, rows in enumerate(parts):
        view = depth, which, places, special, odd, ending, spots[k]
        nk.see(vertices, triangles, facing, maps, 2, wary, 3.0, rows, *view)
    count = 0
    for rows in parts:
        count = edges.find_edges(which, places, layer, 3.0, ending, rows, count, SIZE * SIZE, slots, edged, tiles)
    shape = (count, nk.SAMPLES)
    fine = np.full(shape, nk.FAR, np.float32), np.full(shape, -1, np.int32), np.empty((*shape, 3), np.float32)
    for k, rows in enumerate(parts):
        limits = rows[0], rows[1] - 1, 0, SIZE - 1
        points = slots, edged, tiles, np.ones(shape, np.uint8)
        nk.supersample(vertices, triangles, spots[k], limits, *points, 0, *fine[:2])
        nk.interpolate_points(vertices, triangles, maps, rows, slots, edged, *fine[1:])
    picture = np.empty((SIZE, SIZE, 3), np.uint8)
    texels = np.ascontiguousarray(np.pad(texture, ((0, 0), (0, 0), (0, 1))))
    seen, mesh = (which, places, slots, special), (vertices, triangles, maps)
    for rows in parts:
        look = np.ones(3, np.float32), 2.0, np.float32(0.2)
        given = np.zeros((2, 2), np.float32), layer, seen, mesh, fine[1:], edged, odd
        painting.paint(texels, *given, look, rows, picture)
    return picture, count


def quad(x: float, z: float) -> list[list[float]]:
    return [[x, -9, z], [60, -9, z], [x, 60, z], [60, 60, z]]


def two_layers(edge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """White behind, black in front of it to the right of ``edge``."""
    vertices = np.array(quad(-9, 5) + quad(edge, 1), np.float32)
    triangles = np.array([[0, 1, 2], [1, 3, 2], [4, 5, 6], [5, 7, 6]], np.int32)
    maps = np.array([[4, 4, 1]] * 4 + [[20, 4, 1]] * 4, np.float32)
    texture = np.zeros((9, 32, 3), np.uint8)
    texture[:, :12] = 255
    return vertices, triangles, maps, np.array([0, 0, 1, 1], np.int32), texture


@pytest.mark.parametrize("edge", [9.75, 10.0, 10.25])
def test_a_straight_edge_shows_its_coverage(edge: float) -> None:
    picture, count = draw(*two_layers(edge))
    assert 0 < count <= 3 * SIZE
    assert (picture[:, :9] == 255).all()
    assert (picture[:, 12:] == 0).all()
    wanted = 255 * np.clip(edge - 9.5, 0, 1)
    assert abs(float(picture[8:24, 10].mean()) - wanted) <= 255 / nk.SAMPLES + 1


def test_a_smooth_surface_is_copied_exactly() -> None:
    vertices = np.array(quad(-9, 5), np.float32)
    maps = np.c_[vertices[:, :2], np.ones(4)].astype(np.float32)
    texture = np.random.default_rng(0).integers(0, 255, (70, 70, 3)).astype(np.uint8)
    picture, count = draw(vertices, np.array([[0, 1, 2], [1, 3, 2]], np.int32), maps, np.zeros(2, np.int32), texture)
    assert count == 0
    assert np.array_equal(picture, texture[:SIZE, :SIZE])


def test_shade_darkens_and_warms() -> None:
    vertices = np.array(quad(-9, 5), np.float32)
    maps = np.tile(np.array([[4, 4, 0.5]], np.float32), (4, 1))
    texture = np.full((9, 9, 3), 200, np.uint8)
    picture, _ = draw(vertices, np.array([[0, 1, 2], [1, 3, 2]], np.int32), maps, np.zeros(2, np.int32), texture)
    red, green, blue = picture[10, 10]
    assert red == 100
    assert blue < green < red


def test_a_read_only_machine_compiles_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    from kernels.cpu.compiled import compiled

    original = numba.njit

    def refuse(*given: object, **options: object):  # what numba does where no cache folder can be written
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return original(*given, **options)

    monkeypatch.setattr(numba, "njit", refuse)
    assert compiled(lambda x: x + 1)(2) == 3


def test_edges_are_where_tiles_are_told_of_and_nowhere_else(astronaut: Avatar) -> None:
    """What is skipped holds none: looked for everywhere, there are the same."""
    beta = np.zeros(len(NAMES), np.float32)
    beta[INDEX["jawOpen"]] = 0.5
    for size, turn in ((256, (0.35, 0.14, -0.09)), (512, (-0.25, -0.1, 0.05))):
        renderer = Renderer(astronaut, size)
        renderer.planes(Motion(0, beta, rotation_matrix(*turn).astype(np.float32), np.zeros(3, np.float32)))
        canvas, layers = renderer.canvas, renderer.scene.layers
        found = canvas.edged.copy()
        assert canvas.ending.mean() < 0.5
        canvas.edged[:] = 0
        everywhere, step = np.ones_like(canvas.ending), 3.0 * max(astronaut.size / size, 1.0)
        numbers = (0, size), 0, len(canvas.fine_depth), canvas.slots, canvas.edged, canvas.tiles
        assert edges.find_edges(canvas.which, canvas.places, layers, step, everywhere, *numbers) > 300
        assert np.array_equal(canvas.edged, found)
