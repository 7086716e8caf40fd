"""The pages in a real chromium below a proxy's path, with a token: they work, and no address they ask for holds it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mounting import proxied
from serving import running
from websockets.sync.client import connect

pytestmark = pytest.mark.browser

TOKEN = "a-token-of-good-length"
PREFIX = "/vivify"


def test_the_pages_work_and_never_ask_with_the_token_in_an_address(browser: Any) -> None:
    space = browser.new_context()
    asked: list[str] = []
    space.on("request", lambda request: asked.append(request.url))
    with (
        running(token=TOKEN, root_path=PREFIX) as server,
        proxied(server.url, PREFIX, Host="localhost") as (url, lines),
    ):
        watcher = space.new_page()
        address = watch_address(server.url)
        watcher.goto(f"{url}{PREFIX}/obs/{address}#token={TOKEN}")
        page = space.new_page()
        page.goto(f"{url}{PREFIX}/#token={TOKEN}")
        page.wait_for_selector("#start:enabled")
        page.wait_for_function("() => document.getElementById('portrait').naturalWidth === 512")
        page.wait_for_function(
            "() => [...document.querySelectorAll('#face-list img')].every((one) => one.naturalWidth > 0)"
        )
        page.check("input[value=sample]", force=True)
        page.click("#start")
        page.wait_for_selector("body[data-state=live]", timeout=20_000)
        page.click("#start")
        assert watcher.evaluate("document.body.dataset.state") == "waiting", "nobody speaks there yet"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with connect(
            f"ws{url.removeprefix('http')}{PREFIX}/api/voice?matte=true&watch=stage", additional_headers=headers
        ):
            watcher.wait_for_selector("body[data-state=live]", timeout=20_000)
        for kind in ("/api/avatars", "/portrait", "/api/sample", "/api/session", "/whep/stage-", "/api/ice-servers"):
            assert any(kind in one for one in asked), kind
        assert all(one.startswith((f"{url}{PREFIX}/", "blob:")) for one in asked)
        assert not [one for one in asked if TOKEN in one.partition("#")[0]]
        assert not [line for line in lines if TOKEN in line], "nor what came over the wire"
        page.goto(f"{url}{PREFIX}/?token={TOKEN}")  # as it used to be written
        page.wait_for_selector("#start:enabled")
        assert page.url == f"{url}{PREFIX}/#token={TOKEN}", "out of the address before anything else is asked for"
        assert [line for line in lines if TOKEN in line] == [f"GET {PREFIX}/?token={TOKEN} HTTP/1.1"]
        page.goto(f"{url}{PREFIX}/")
        page.wait_for_selector("#message:visible")
        assert "#token=" in page.inner_text("#message")
        assert page.inner_text("#state-text") == "Not let in"
    space.close()


def watch_address(url: str) -> str:
    """Where what this token wishes to call a stage is watched; told to whoever opened it once."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with connect(f"ws{url.removeprefix('http')}/api/voice?watch=stage", additional_headers=headers) as socket:
        hello = json.loads(socket.recv())
    from whip_peers import ask

    assert ask("DELETE", f"{url}/api/session/{hello['session']}", None, headers).status == 204
    return str(hello["watch"])
