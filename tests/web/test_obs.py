"""The bare page for OBS in a real chromium: its screenshot is transparent around the person, and opaque on the face."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import av
import numpy as np
import pytest
from serving import Running
from websockets.sync.client import connect
from whip_peers import ask, page_offer

from engine.marking.mark_reader import find_mark

pytestmark = pytest.mark.browser

SIDE = 512


@pytest.fixture
def page(browser: Any) -> Any:
    space = browser.new_context(viewport={"width": SIDE, "height": SIDE})
    page = space.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    space.close()
    assert not problems


def pixels(page: Any) -> np.ndarray:
    """What the page shows, with its own transparency: RGBA [512, 512, 4]."""
    shot = page.screenshot(omit_background=True)
    with av.open(io.BytesIO(shot)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgba")


@pytest.fixture(scope="module")
def offer() -> str:
    """Made before playwright has its own event loop here."""
    return page_offer()


def test_the_background_is_transparent_and_the_face_is_not(offer: str, page: Any, server: Running) -> None:
    body = json.dumps({"type": "offer", "sdp": offer, "watch": "stage"}).encode()
    silent = ask("POST", f"{server.url}/api/session", body, {"Content-Type": "application/json"}).headers["location"]
    page.goto(f"{server.url}/obs/stage")
    while server.sessions and not any(session.viewers for session in server.service.sessions.values()):
        page.wait_for_timeout(50)  # on a machine so busy that the silent one ends by itself, there is nobody to watch
    assert pixels(page)[..., 3].max() == 0, "without a picture nothing is shown"
    assert ask("DELETE", server.url + silent).status in (204, 404)  # the page goes on, although no picture came
    with connect(f"ws{server.url.removeprefix('http')}/api/voice?matte=true&watch=stage") as socket:
        hello = json.loads(socket.recv())
        assert hello["matte"]
        page.wait_for_selector("body[data-state=live]", timeout=20_000)
        time.sleep(1.0)  # the first pictures are coarse
        shown = pixels(page)
        alpha = shown[..., 3]
        for rows in (slice(0, 12), slice(30, 60)):
            assert alpha[rows, :12].max() == 0, "the upper corners are background"
            assert alpha[rows, -12:].max() == 0
        face = alpha[200:400, 200:320]
        assert face.min() == 255, "the face lets nothing through"
        edge = (alpha > 0) & (alpha < 255)
        assert 0 < edge.mean() < 0.1, "a soft edge, and only there"
        assert shown[250:350, 220:300, :3].std() > 10, "a picture, not a plane"
        found = find_mark(shown[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))
        assert found is not None, "the person's own pixels tell whose session it is"
        assert str(found.ids) == server.service.sessions[hello["session"]].marked
        assert ask("DELETE", f"{server.url}/api/session/{hello['session']}").status == 204
    page.wait_for_selector("body[data-state=waiting]", timeout=20_000)
    assert pixels(page)[..., 3].max() == 0, "what has ended is not left standing"
    while server.sessions:
        time.sleep(0.05)
