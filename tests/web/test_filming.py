"""A film of oneself, made on the page: a real chromium with a file as its camera, up to the face that speaks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acted_film import fake_camera
from driven_page import opened, start, state
from serving import Running

from engine.face.png import read_png, write_png
from engine.paths import assets

pytestmark = pytest.mark.browser

TAKEN_S = 3.4


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_camera(tmp_path_factory.mktemp("camera") / "camera.y4m", TAKEN_S)


@pytest.fixture(scope="module")
def browser(microphone: Path, camera: Path, launched: Any) -> Iterator[Any]:
    """Chromium that sees a painting before its camera."""
    with launched(microphone, f"--use-file-for-fake-video-capture={camera}") as browser:
        yield browser


def test_a_face_is_made_of_a_film_taken_on_the_page(browser: Any, server: Running, tmp_path: Path) -> None:
    painted = read_png(assets() / "avatars" / "lady_in_black" / "portrait.png", 1 << 24)[..., :3]
    bluish = np.clip(painted * [0.7, 0.9, 1.4], 0, 255).astype(np.uint8)  # told from the film by its colours
    write_png(tmp_path / "me.png", bluish)
    page = next(pages := opened(browser, server.url))
    page.click("#film")
    page.click("#film-open")
    page.click("#film-record")
    page.wait_for_selector("#film-stop:visible")
    assert "Look into the camera" in page.inner_text("#film-prompt")
    began = time.monotonic()
    page.wait_for_function("() => document.getElementById('film-level').value > 0")  # it rests now and then
    page.wait_for_timeout(1000 * max(began + TAKEN_S - time.monotonic(), 0))
    assert page.evaluate("document.getElementById('film-done').value") > 0.05
    page.click("#film-stop")
    page.wait_for_selector("#film-message:has-text('half a minute')")
    assert 2.9 < page.evaluate("document.getElementById('film-view').duration") < 6, "its length is found"
    page.click("#film-send")
    assert "Tick the box" in page.inner_text("#film-message")
    page.check("#film-consent")
    page.set_input_files("#film-photo", str(assets() / "avatars" / "astronaut" / "portrait.png"))
    page.click("#film-send")
    page.wait_for_selector("#message:has-text('two people')", timeout=60_000)
    page.click("#film")
    assert "two people" in page.inner_text("#film-message")
    page.check("#film-same")
    page.set_input_files("#film-photo", str(tmp_path / "me.png"))
    page.wait_for_selector("#film-alike", state="hidden")  # another photo is another question
    page.click("#film-send")
    page.wait_for_selector("#making:visible", timeout=60_000)
    page.reload()
    page.wait_for_selector("#making:visible")
    page.wait_for_selector("#learned:visible", timeout=90_000)
    assert page.inner_text("#face-name") == "Yours"
    assert "The portrait is the photo." in page.inner_text("#learned-list"), "open of itself"
    (name,) = server.service.portraits.folders
    folder = server.service.portraits.folders[name]
    assert "on the page" in json.loads((folder / "avatar.json").read_text())["consent"]
    portrait = read_png(folder / "portrait.png", 1 << 24)
    assert portrait[..., 2].mean() > 1.1 * portrait[..., 0].mean(), "the photo is its portrait"
    page.reload()
    page.wait_for_selector(f"input[value={name}]:checked", state="attached")
    page.click("#learned summary")
    assert "The film shows the face" in page.inner_text("#learned-list"), "and told again"
    page.wait_for_function("() => document.getElementById('learned-sheet').naturalWidth === 960")
    start(page, "sample")
    page.wait_for_selector("#stage.speaking", timeout=15_000)
    assert next(iter(server.service.sessions.values())).avatar == name
    page.click("#start")
    assert state(page) == "idle"
    page.click("#forget")
    page.wait_for_selector(f"input[value={name}]", state="detached")
    assert not page.is_visible("#learned")
    assert not server.service.portraits.folders
    assert not list(server.service.portraits._home.iterdir())  # type: ignore[union-attr]
    next(pages, None)


def test_what_cannot_be_filmed_is_said_in_words(browser: Any, server: Running) -> None:
    blocked = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };"
    page = next(pages := opened(browser, server.url, blocked))
    page.click("#film")
    page.click("#film-open")
    page.wait_for_selector("#film-message:has-text('Camera or microphone is blocked')")
    page.set_input_files("#film-file", {"name": "me.txt", "mimeType": "text/plain", "buffer": b"x"})
    assert "choose an MP4" in page.inner_text("#film-message")
    page.set_input_files("#film-file", {"name": "me.mp4", "mimeType": "video/mp4", "buffer": b""})
    assert "is empty" in page.inner_text("#film-message")
    page.set_input_files("#film-file", {"name": "me.mp4", "mimeType": "video/mp4", "buffer": b"no film"})
    page.set_input_files("#film-photo", {"name": "me.txt", "mimeType": "text/plain", "buffer": b"x"})
    assert "choose a JPEG" in page.inner_text("#film-message")
    page.check("#film-consent")
    page.click("#film-send")
    page.wait_for_selector("#message:has-text('cannot be read')", timeout=30_000)
    page.wait_for_selector("#making", state="hidden")
    assert page.inner_text("#film") == "Look at your film", "which is kept until a face is made of it"
    next(pages, None)
