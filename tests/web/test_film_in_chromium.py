"""Films in a real chromium, read back from a canvas: the colours that were meant, and no background where none is."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.films.film_writer import FilmWriter
from engine.config import SIZES

pytestmark = pytest.mark.browser

COLOURS = np.array(
    [
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)],
        [(0, 255, 255), (255, 0, 255), (200, 60, 40), (220, 170, 140)],
        [(40, 90, 60), (128, 128, 128), (255, 255, 255), (0, 0, 0)],
        [(230, 120, 20), (90, 40, 20), (60, 60, 200), (180, 30, 90)],
    ],
    np.uint8,
)
READ = """async (film) => {
    const video = document.createElement('video');
    video.src = film;
    document.body.replaceChildren(video);
    await new Promise((done, failed) => {
        video.onloadeddata = done;
        video.onerror = () => failed(video.error.message);
    });
    // before it has sought or played there may be nothing to draw, and for a moment after
    const presented = new Promise((done) => { video.requestVideoFrameCallback(done); });
    const sought = new Promise((done) => { video.onseeked = done; });
    video.currentTime = 0.05;
    await sought;
    await Promise.race([presented, new Promise((done) => { setTimeout(done, 3000); })]);
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    const step = canvas.width / 16;
    const read = (row, column) => context.getImageData(step * (column + .5) | 0, step * (row + .5) | 0, 1, 1).data;
    return [...Array(256).keys()].map((k) => [...read(k >> 4, k & 15)]);
}"""


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    page = browser.new_page()
    yield page
    page.close()


def shown(page: Any, film: Path) -> np.ndarray:
    """RGBA [16, 16, 4] of a grid of pixels of the film's first picture."""
    kind = "webm" if film.suffix == ".webm" else "mp4"
    address = f"data:video/{kind};base64,{base64.b64encode(film.read_bytes()).decode()}"
    return np.array(page.evaluate(READ, address)).reshape(16, 16, 4)


def patches(size: int) -> np.ndarray:
    at = np.arange(size) * 4 // size
    return COLOURS[at[:, None], at]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_colours_are_the_ones_that_were_meant(page: Any, tmp_path: Path, name: str, size: int) -> None:
    with FilmWriter(tmp_path / name, size) as film:
        for _ in range(2):
            film.picture(patches(size))
            film.sound(np.zeros(1920, np.float32))
    seen = shown(page, tmp_path / name)[..., :3]
    inner = seen.reshape(4, 4, 4, 4, 3)[:, 1:3, :, 1:3].mean((1, 3))
    assert np.abs(inner - COLOURS).max() <= 3


def test_what_is_transparent_is_transparent(page: Any, tmp_path: Path) -> None:
    matte = np.array([0, 255, 128, 255], np.uint8)[np.arange(256) * 4 // 256]
    picture = np.concatenate([patches(256), np.broadcast_to(matte[:, None, None], (256, 256, 1))], 2)
    with FilmWriter(tmp_path / "a.webm", 256, alpha=True) as film:
        for _ in range(2):
            film.picture(np.ascontiguousarray(picture))
            film.sound(np.zeros(1920, np.float32))
    seen = shown(page, tmp_path / "a.webm").reshape(4, 4, 4, 4, 4)[:, 1:3, :, 1:3].mean((1, 3))
    assert seen[..., 3] == pytest.approx(np.array([[0], [255], [128], [255]]).repeat(4, 1), abs=3)
    for row in (1, 2, 3):  # where nothing is to be seen, a canvas has no colours
        assert np.abs(seen[row, :, :3] - COLOURS[row]).max() <= 4, "colours are not multiplied by the matte"
