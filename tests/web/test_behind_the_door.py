"""The page and the page for OBS in a real chromium, through the door; the page comes back from a node that leaves."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from fleet_serving import fleet

pytestmark = pytest.mark.browser


def test_the_page_and_obs_go_through_the_door_and_outlive_a_node(browser: Any) -> None:
    with fleet() as two:
        space = browser.new_context(viewport={"width": 1280, "height": 800})
        page, overlay = space.new_page(), space.new_page()
        problems: list[str] = []
        asked: list[str] = []
        for one in (page, overlay):
            one.on("pageerror", lambda error: problems.append(str(error)))
            one.on("request", lambda request: asked.append(request.url))
        page.goto(two.url)
        page.wait_for_selector("body[data-state=idle]")
        with page.expect_response(lambda reply: reply.url.endswith("/api/session") and reply.status == 201) as answer:
            page.click("#start")
        page.wait_for_selector("body[data-state=live]", timeout=20_000)
        opened = answer.value.json()
        overlay.goto(f"{two.url}/obs/{opened['watch']}")
        overlay.wait_for_selector("body[data-state=live]", timeout=20_000)
        os.kill(two.node_pid(opened["session"].split(".")[0]), signal.SIGTERM)  # it drains for a second, then says bye
        with page.expect_response(
            lambda reply: reply.url.endswith("/api/session") and reply.status == 201, timeout=20_000
        ) as answer:
            began = time.monotonic()
        again = answer.value.json()
        assert again["session"] != opened["session"], "another node's, or that of the one which took its place"
        assert time.monotonic() - began < 10
        page.wait_for_selector("body[data-state=live]", timeout=20_000)
        assert all(url.startswith((two.url, "blob:")) for url in asked), "a page asks the door alone"
        space.close()
        assert not problems
