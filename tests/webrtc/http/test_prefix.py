"""Below a prefix nothing is open that was shut, and every address that is told leads back: mounted, behind proxies."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from mounting import mounted, proxied
from serving import engine, running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from whip_peers import SDP, ask, offer_of

from engine.errors import VivifyError
from webrtc.http.app import create_app
from webrtc.server_config import ServerConfig
from webrtc.service import Service

pytestmark = pytest.mark.net

TOKEN = "a-token-of-good-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PREFIX = "/vivify"
SHUT = ("/api/avatars", "/api/avatars/astronaut/portrait", "/api/ice-servers", "/api/sample", "/metrics")
ROUNDABOUT = (  # other ways to write a path that is shut
    "//api/avatars",
    "/./api/avatars",
    "/x/../api/avatars",
    "/%61pi/avatars",
    "/api%2favatars",
    "/%2fapi/avatars",
    "/api/avatars/",
    "/API/avatars",
    "/vivify/api/avatars",
    "/vivify/vivify/api/avatars",
    "/obs/..%2fapi/avatars",
    "/api/avatars;x",
    "/api/avatars%00",
)


@contextmanager
def below(how: str) -> Iterator[str]:
    """The URL of a server with a token below `PREFIX`."""
    if how == "mounted":
        with mounted(PREFIX, token=TOKEN) as url:
            yield url + PREFIX
        return
    with (
        running(token=TOKEN, root_path=PREFIX) as server,
        proxied(server.url, PREFIX if how == "taken off" else "", Host="localhost") as (url, _),
    ):
        yield url + PREFIX


@pytest.fixture(scope="module", params=["mounted", "taken off", "left on"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with below(request.param) as url:
        yield url


def test_what_wants_a_token_wants_it_there(url: str) -> None:
    for path in SHUT:
        for method in ("GET", "HEAD"):
            for host in ({}, {"Host": "localhost/x?"}, {"Host": "127.0.0.1:80"}, {"X-Forwarded-Prefix": "/api"}):
                assert ask(method, url + path, None, host).status in (401, 421), (method, path, host)
            assert ask(method, url + path, None, BEARER).status == 200
    for path in ("/whip/astronaut", "/whep/none", "/api/session", "/api/avatars"):
        assert ask("POST", url + path, b"v=0", SDP).status == 401
    for path in ("/api/session/none", "/whip/session/none", "/whep/none/none"):
        assert ask("DELETE", url + path).status == 401


def test_no_roundabout_way_leads_past_the_token(url: str) -> None:
    for path in ROUNDABOUT:
        reply = ask("GET", url + path)
        assert reply.status in (400, 401, 404), (path, reply.status)
        assert b"astronaut" not in reply.body


def test_a_socket_wants_the_token_there(url: str) -> None:
    address = f"ws{url.removeprefix('http')}/api/voice"
    with pytest.raises(InvalidStatus) as refused:
        connect(address)
    assert refused.value.response.status_code == 401
    with connect(address, additional_headers=BEARER) as socket:
        name = json.loads(socket.recv())["session"]
        assert ask("DELETE", f"{url}/api/session/{name}", None, BEARER).status == 204


def test_every_address_that_is_told_leads_back(url: str) -> None:
    origin = url.removesuffix(PREFIX)
    headers = {**SDP, **BEARER}
    opened = ask("POST", f"{url}/whip/astronaut", offer_of("audio", "sendonly").encode(), headers)
    assert opened.headers["location"].startswith(f"{PREFIX}/whip/session/")
    (link,) = opened.links
    assert link.startswith(f"<{PREFIX}/whep/")
    whep = link[1 : link.index(">")]
    watched = ask("POST", origin + whep, offer_of("video", "recvonly").encode(), headers)
    assert watched.headers["location"].startswith(f"{whep}/")
    for reply in (watched, opened):
        assert ask("GET", origin + reply.headers["location"], None, BEARER).status == 204
        assert ask("DELETE", origin + reply.headers["location"], None, BEARER).status == 200
    two_way = json.dumps({"type": "offer", "sdp": offer_of("audio", "sendrecv")}).encode()
    refused = ask("POST", f"{url}/api/session", two_way, {**BEARER, "Content-Type": "application/json"})
    assert refused.status == 422
    junk = ask("POST", f"{url}/api/avatars", b"junk", {**BEARER, "Content-Type": "image/png"})
    assert junk.headers["location"].startswith(f"{PREFIX}/api/enrolments/")
    assert ask("GET", origin + junk.headers["location"], None, BEARER).status == 200


def test_the_page_is_there_and_its_files_are_beside_it(url: str) -> None:
    for path in ("/", "/app.js", "/obs.js", "/style.css", "/obs/an-address"):
        assert ask("GET", url + path).status == 200, path
    for path in ("/", "/obs/an-address"):
        assert not re.findall(r'(?:src|href)="/', ask("GET", url + path).body.decode())


def test_what_is_not_ours_stays_the_parents() -> None:
    with mounted(PREFIX, token=TOKEN) as url:
        assert ask("GET", f"{url}/api/avatars").body == b'"the parent\'s own"'
        assert ask("GET", f"{url}/healthz").status == 404
        assert ask("GET", f"{url}{PREFIX}/healthz").status == 200


def test_the_prefix_alone_leads_to_the_page() -> None:
    with running(root_path=PREFIX) as server:
        assert ask("GET", server.url + PREFIX).body == ask("GET", f"{server.url}{PREFIX}/").body


SEGMENTS = ["", ".", "..", "api", "avatars", "metrics", "ice-servers", "sample", "whip", "whep", "astronaut", "vivify"]
SEGMENTS += ["session", "obs", "%2e%2e", "a%2fb", "API", "portrait", "x", "api;x", "metrics\0", "é", "healthz"]
ODD = st.lists(st.sampled_from(SEGMENTS), max_size=2).map("/".join)
KNOWN = st.sampled_from([path.removeprefix("/") for path in (*SHUT, "/whip/astronaut", "/whep/x", "/healthz", "/")])
PATHS = st.one_of(KNOWN, st.tuples(ODD, KNOWN).map("/".join), st.tuples(ODD, KNOWN, ODD).map("/".join))
HOSTS = st.sampled_from(["localhost", "127.0.0.1:8080", "localhost/healthz?", "[::1]", "", "/obs", "localhost#", "a@b"])
SECRETS = (b'"astronaut"', b"vivify_sessions", b'"ice_servers"', b"RIFF", b"PNG", b"a=candidate")


@pytest.fixture(scope="module")
def applications() -> list[FastAPI]:
    """Alone, below a proxy's path, mounted, and both."""
    made = []
    for prefix in ("", PREFIX):
        app = create_app(Service(engine(), ServerConfig(token=TOKEN, root_path=prefix)))
        parent = FastAPI()
        parent.mount("/api", app)
        made += [app, parent]
    return made


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(path=PATHS, method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PATCH"]), host=HOSTS, root=ODD)
def test_whatever_path_is_asked_for_nothing_shut_is_open(
    applications: list[FastAPI], path: str, method: str, host: str, root: str
) -> None:
    """960 requests without a token: what answers is a page, its files, the open routes, or a refusal."""

    async def all_of_them() -> list[tuple[int, bytes]]:
        return [await asked(app, method, f"/{path}", host, below) for app in applications for below in ("", f"/{root}")]

    for status, body in asyncio.run(all_of_them()):
        assert 200 <= status < 500
        if status < 300:
            assert method in ("GET", "HEAD")
            assert not any(word in body for word in SECRETS), body[:200]


async def asked(app: FastAPI, method: str, path: str, host: str, root: str) -> tuple[int, bytes]:
    """What an application answers to a scope as a server would make it."""
    headers = [(b"host", host.encode()), (b"content-type", b"application/sdp")]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": root}
    scope |= {"headers": headers, "query_string": b"", "scheme": "http", "http_version": "1.1"}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "asgi": {"version": "3.0"}}
    sent: list[dict[str, Any]] = []
    coming = [{"type": "http.request", "body": b"v=0", "more_body": False}]
    answered = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not coming:
            await answered.wait()
        return coming.pop() if coming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("path", ["vivify", "/", "/vivify/", "//x", "/../x", "/api", "/whip/x", "/a b", "/a?b", "/é"])
def test_a_prefix_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(VivifyError, match="such as /vivify"):
        ServerConfig(root_path=path)


@pytest.mark.parametrize("proxy", ["proxy.example", "10.0.0.0/99", "*", ""])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    assert ServerConfig(proxies=("10.0.0.0/8", "2001:db8::1")).proxies
    with pytest.raises(VivifyError, match="address or network"):
        ServerConfig(proxies=(proxy,))
