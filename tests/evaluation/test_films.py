"""A film beside another, through the real landmark network."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from pathlib import Path

import numpy as np
import pytest
from tiny_networks import tiny

from clients.films.film_writer import FilmWriter
from engine.contracts import Motion
from engine.errors import VivifyError
from engine.evaluation.film_figures import (
    Watched,
    face_crops,
    head_angles,
    judge,
    mouth_region,
    open_networks,
    watch,
)
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.face.measures import lip_distance
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu


def film(path: Path, jaw: float) -> Watched:
    """Twelve pictures of the bundled avatar that talks and turns, as a file, watched."""
    renderer = Renderer(Avatar.load(assets() / "avatars" / "astronaut"), 256)
    with FilmWriter(path, 256) as file:
        for k in range(12):
            beta = np.zeros(len(NAMES), np.float32)
            beta[INDEX["jawOpen"]] = jaw * np.sin(k) ** 2
            turn = rotation_matrix(radians(k - 6), 0, 0)
            file.picture(renderer.render(Motion(640 * k, beta, turn, np.zeros(3, np.float32))))
        file.sound(np.zeros(48_000 * 12 // 25, np.float32))
    return watch(path)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Watched, Watched]:
    folder = tmp_path_factory.mktemp("films")
    return film(folder / "still.mp4", 0.0), film(folder / "talks.mp4", 0.5)


def test_a_film_beside_itself_is_perfect_and_beside_another_is_not(films: tuple[Watched, Watched]) -> None:
    pytest.importorskip("torch", reason="hears a voice's beats by torch")
    still, talks = films
    same, other = judge(talks, talks), judge(still, talks)
    assert same["faces"] == 1
    assert same["psnr"] == 100
    assert same["ssim"] == pytest.approx(1)
    assert same["mouth_error"] == 0
    assert same["lip_distance"] < 1e-9
    assert other["psnr"] < 50
    assert other["mouth_error"] > 2
    assert other["lip_distance"] > 0.01
    assert same["pose_diversity"] == pytest.approx(same["pose_diversity_truth"])
    assert same["pose_diversity"] > 0.5
    assert same["beat_align"] == 0, "its sound is silence"
    assert same["blinks_a_minute"] == 0
    assert not {"fid", "diversity"} & set(same)


def test_the_turn_of_the_head_is_read(films: tuple[Watched, Watched]) -> None:
    yaw = head_angles(films[0].landmarks)[:, 0]
    assert np.corrcoef(yaw, np.arange(12))[0, 1] > 0.98


def test_regions_and_crops_lie_on_the_face(films: tuple[Watched, Watched]) -> None:
    watched = films[1]
    mask = mouth_region(watched.landmarks[0], (256, 256))
    y, x = np.argwhere(mask).mean(0)
    assert 0.003 < mask.mean() < 0.05
    assert np.linalg.norm(watched.landmarks[0, [13, 14], :2].mean(0) - (x, y)) < 8
    assert face_crops(watched).shape == (12, 224, 224, 3)
    turned = watched.landmarks[0] + np.array([30, -10, 0], np.float32)
    assert lip_distance(turned, watched.landmarks[0]) == pytest.approx(0, abs=1e-5), "where the face is does not count"


def test_films_that_cannot_be_compared_are_told(films: tuple[Watched, Watched], tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="hears a voice's beats by torch")
    small = replace(films[0], pictures=films[0].pictures[:, :128, :128])
    with pytest.raises(VivifyError, match="of one size, but they are 128 x 128 and 256 x 256"):
        judge(small, films[1])
    with pytest.raises(VivifyError, match="expected to be a film"):
        watch(tmp_path / "none.mp4")
    blank = tmp_path / "blank.mp4"
    with FilmWriter(blank, 256) as file:
        file.picture(np.zeros((256, 256, 3), np.uint8))
        file.sound(np.zeros(1920, np.float32))
    with pytest.raises(VivifyError, match="no face was found"):
        watch(blank)


def test_half_a_syncnet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="name both"):
        open_networks(sound=tmp_path / "sound.onnx")


def test_the_foreign_figures_come_with_their_networks(films: tuple[Watched, Watched], tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    given = open_networks(
        tiny(tmp_path / "i.onnx", (3, 299, 299)),
        tiny(tmp_path / "a.onnx", (3, 112, 112)),
        tiny(tmp_path / "s.onnx", (1, 13, 20)),
        tiny(tmp_path / "l.onnx", (3, 5, 224, 224)),
        tiny(tmp_path / "h.onnx", (3, 224, 224)),
    )
    figures = judge(films[1], films[1], given)
    assert figures["fid"] == pytest.approx(0, abs=1e-2)
    assert figures["csim"] == pytest.approx(1, abs=1e-4)
    assert figures["diversity"] > 0
    assert {"sync_distance", "sync_confidence", "sync_offset"} <= set(figures)
