"""A real chromium behind a network that loses pictures, and with them every request for a whole one."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from serving import Running

from clients.trials.relay import Relay

pytestmark = pytest.mark.browser

NACK, ASKING = 205, 206  # what asks for packets, and for whole pictures (RFC 4585)
WATCH = """
() => {
  window.seen = [];
  const look = (now) => { window.seen.push(Date.now() / 1000); video.requestVideoFrameCallback(look); };
  const video = document.getElementById("face");
  video.requestVideoFrameCallback(look);
}
"""


@pytest.fixture
def relay() -> Iterator[tuple[Relay, asyncio.AbstractEventLoop]]:
    relay, ready, over = Relay(0.0), threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        ready.set()
        await over.wait()
        relay.close()
        await asyncio.sleep(0.1)

    thread = threading.Thread(target=lambda: asyncio.run(work()), name="relay")
    thread.start()
    assert ready.wait(5)
    yield relay, loops[0]
    loops[0].call_soon_threadsafe(over.set)
    thread.join()


def test_a_lost_request_freezes_a_picture_for_two_seconds_at_most(
    browser: Any, server: Running, relay: tuple[Relay, asyncio.AbstractEventLoop]
) -> None:
    network, loop = relay

    def through(route: Any) -> None:
        offer = json.loads(route.request.post_data)
        reply = route.fetch(post_data=json.dumps({**offer, "sdp": network.hide(offer["sdp"])}))
        answer = reply.json()
        answer["sdp"] = asyncio.run_coroutine_threadsafe(network.stand_in(answer["sdp"]), loop).result(5)
        route.fulfill(response=reply, json=answer)

    space = browser.new_context()
    page = space.new_page()
    page.route("**/api/session", through)
    page.goto(server.url)
    page.check("input[value=sample]", force=True)
    page.click("#start")
    page.wait_for_selector("#stage.playing", timeout=20_000)
    page.evaluate(WATCH)
    time.sleep(1.5)
    for lost in (frozenset({NACK, ASKING}), frozenset(range(192, 224))):
        network.reports_lost = lost
        began = time.time()
        network.cut_off = True
        time.sleep(0.3)
        network.cut_off = False
        page.wait_for_timeout(2800)
        network.reports_lost = frozenset()
        seen = [t for t in page.evaluate("window.seen") if t > began - 0.5]
        assert np.diff([*seen, time.time()]).max() <= 0.3 + 2.0 + 0.4, "from the cut on, and at the end it still shows"
    space.close()
