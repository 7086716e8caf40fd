"""What is done to pictures, against what it means and, where they are installed, against libraries that do the same."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation import canny, picture_figures
from engine.face.avatar import Avatar
from engine.imaging.neighbours import distance_to, nearest_known, nearest_points
from engine.imaging.resampling import covered, means, read_at, read_by, resized, to_bytes, warped
from engine.imaging.shapes import inside, polygon_mask, soft_lines, triangles_mask
from engine.imaging.smoothing import blur, grow, soften
from engine.imaging.triangulation import delaunay

pytestmark = pytest.mark.cpu


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.5, 1.7, 12.0])
def test_a_bell_is_scipys(sigma: float) -> None:
    from scipy.ndimage import gaussian_filter1d

    picture = noise(60, 90, 3)
    theirs = gaussian_filter1d(gaussian_filter1d(picture, sigma, axis=0, mode="mirror"), sigma, axis=1, mode="mirror")
    assert np.abs(blur(picture, sigma) - theirs).max() < 1e-5
    assert blur(picture[:1, :2], sigma).shape == (1, 2, 3), "smaller than the bell"


def test_softening_and_growing_are_scipys() -> None:
    from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

    picture = noise(40, 70)
    twice = uniform_filter(uniform_filter(picture, 13, mode="reflect"), 13, mode="reflect")
    assert np.abs(soften(picture, 6) - twice).max() < 1e-5
    assert np.array_equal(grow(picture, 3), maximum_filter(picture, 7, mode="nearest"))
    assert np.array_equal(grow(picture, -1), minimum_filter(picture, 3, mode="nearest"))
    assert np.array_equal(grow(picture, 0), picture)


@pytest.mark.parametrize("tall", [0.5, 1.0, 3.0])
def test_the_nearest_known_pixel(tall: float) -> None:
    known = noise(30, 50) < 0.02
    row, column = nearest_known(known, tall)
    assert known[row, column].all()
    y, x = np.mgrid[0:30, 0:50]
    places = np.argwhere(known)
    least = np.min([np.hypot(tall * (y - a), x - b) for a, b in places], axis=0)
    assert np.abs(np.hypot(tall * (y - row), x - column) - least).max() < 1e-4


def test_distances_from_an_area() -> None:
    area = np.zeros((40, 60), bool)
    area[10:20, 10:30] = True
    places = np.array([[12.0, 12.0], [10.0, 25.0], [35.0, 24.0], [59.0, 39.0]])
    assert distance_to(area, places) == pytest.approx([0, 6, np.hypot(6, 5), np.hypot(30, 20)], abs=1e-4)
    assert (distance_to(np.zeros((4, 5), bool), places[:1]) == 9).all(), "as far as can be"
    which, far = nearest_points(places, places[::-1])
    assert which.tolist() == [3, 2, 1, 0]
    assert not far.any()


def test_triangles_are_delaunays() -> None:
    from scipy.spatial import Delaunay

    points = 300 * noise(80, 2).astype(float)
    ours, theirs = (set(map(tuple, np.sort(t, axis=1))) for t in (delaunay(points), Delaunay(points).simplices))
    assert ours == theirs
    a, b, c = (points[delaunay(points)[:, k]] for k in range(3))
    assert ((b - a)[:, 0] * (c - a)[:, 1] > (b - a)[:, 1] * (c - a)[:, 0]).all(), "wound alike"


def test_a_grid_is_triangulated_though_its_points_lie_on_circles() -> None:
    points = np.stack(np.meshgrid(np.arange(7.0), np.arange(5.0)), -1).reshape(-1, 2)
    a, b, c = (points[delaunay(points)[:, k]] for k in range(3))
    areas = 0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert areas[areas > 1e-6] == pytest.approx(np.full(48, 0.5))


@pytest.mark.parametrize("kernel", ["linear", "cubic", "lanczos"])
def test_a_moved_picture(astronaut: Avatar, kernel: str) -> None:
    picture = astronaut.portrait
    same = warped(picture, np.array([[1.0, 0, 0], [0, 1, 0]]), 512, 512, kernel)
    assert np.array_equal(to_bytes(same), picture)
    shifted = warped(picture, np.array([[1.0, 0, 7], [0, 1, -3]]), 512, 512, kernel)
    assert np.array_equal(to_bytes(shifted)[:-3, 7:], picture[3:, :-7])
    assert np.array_equal(to_bytes(shifted)[:, :7], to_bytes(shifted)[:, 7:8].repeat(7, axis=1)), "the edge goes on"
    quarter = warped(picture, np.array([[0.0, 1, 0], [-1, 0, 511]]), 512, 512, kernel)
    assert np.array_equal(to_bytes(quarter), np.rot90(picture))


def test_what_a_moved_picture_shows() -> None:
    share, away = covered((10, 20, 3), np.array([[2.0, 0, 4], [0, 2, 0]]), 50, 30)
    assert share[10, 10] == 1
    assert share[10, 46] == 0
    assert away[10, 10] == 0
    assert away[10, 46] == pytest.approx(46 - (2 * 19 + 4))


def test_other_sizes(astronaut: Avatar) -> None:
    picture = astronaut.portrait
    assert resized(picture, 512, 512) is picture
    half = picture.reshape(256, 2, 256, 2, 3).mean((1, 3))
    assert np.abs(resized(picture, 256, 256) - half).max() <= 1
    assert np.abs(means(picture, 2) - half).max() <= 1
    there_and_back = resized(resized(picture, 1024, 1024), 512, 512)
    assert np.abs(there_and_back.astype(int) - picture).mean() < 1
    assert resized(picture[:1, :3], 1, 1).shape == (1, 1, 3)


def test_reading_between_pixels() -> None:
    ramp = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert read_at(ramp, np.array([0.5, 3, -2, 9]), np.array([0, 1.5, 0, 9])) == pytest.approx([0.5, 9, 0, 11])
    x, y = np.array([0.5, 1, 2.25]), np.array([0, 1, 1.5])
    assert read_by(ramp[..., None], x, y, "linear")[:, 0] == pytest.approx(read_at(ramp, x, y))
    assert read_by(ramp[..., None], np.array([1, 2]), np.array([1, 1]), "cubic")[:, 0] == pytest.approx(ramp[1, 1:3])


def test_polygons_and_triangles() -> None:
    ring = np.array([[2.0, 2], [12, 2], [12, 9], [2, 9]])
    mask = polygon_mask(ring, 20, 15)
    assert mask.sum() == 11 * 8
    assert mask[2:10, 2:13].all()
    assert not inside(np.array([13.0]), np.array([5.0]), ring)[0]
    assert polygon_mask(ring + 100, 20, 15).sum() == 0
    triangles = np.array([[[2, 2, 0], [12, 2, 0], [12, 9, 0]], [[2, 2, 0], [12, 9, 0], [2, 9, 0]]], np.float32)
    assert np.array_equal(triangles_mask(triangles, 20, 15), mask)
    lines = soft_lines([ring], 20, 15, np.array([[10.0, 7, 2]]))
    assert lines.max() <= 1
    assert lines[2, 5] > 0.7
    assert lines[5, 5] == 0
    assert lines[7, 12] > 0.5


def test_figures_are_scikit_images(astronaut: Avatar) -> None:
    feature = pytest.importorskip("skimage.feature", reason="compared with scikit-image, from the test extra")
    metrics = pytest.importorskip("skimage.metrics", reason="compared with scikit-image, from the test extra")
    grey = picture_figures.grey_of(astronaut.portrait).astype(np.float32) / 255
    assert np.array_equal(canny.edges(grey), feature.canny(grey, sigma=1.0))
    rough = to_bytes(astronaut.portrait + 40 * noise(512, 512, 3) - 20)
    theirs = metrics.structural_similarity(
        astronaut.portrait, rough, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert picture_figures.ssim(astronaut.portrait, rough) == pytest.approx(theirs, abs=1e-9)
