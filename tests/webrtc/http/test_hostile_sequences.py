"""What strangers may do in sequence, over a real server: requests, sockets, messages, in any order, meant well or not.

Every answer is a right one or a refusal in a sentence, nothing is logged as an error, and somebody else's session goes
on as it was: more than 1,000 further generated inputs.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import logging
import time
import urllib.parse
from collections.abc import Iterator
from socket import SHUT_RDWR
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from serving import Running, running
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from whip_peers import FRAGMENT, SDP, ask, fragment, page_offer

from webrtc.messages import SERVER

pytestmark = pytest.mark.net

STRANGER, BYSTANDER = "the-token-of-a-stranger", "the-token-of-a-bystander"
WELL = {200, 201, 202, 204}
REFUSED = {400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 421, 422, 428, 429, 503}
PATHS = (
    *("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/api/avatars", "/api/sample", "/api/ice-servers"),
    *("/api/session", "/api/session/{}", "/whip/{}", "/whip/session/{}", "/whep/{}", "/whep/{}/{}", "/obs/{}", "/{}"),
    *("/api/avatars/{}/portrait", "/api/avatars/{}/preview", "/api/enrolments/{}", "/api/avatars"),
    *("/whip/astronaut", "/whip/astronaut?{}={}"),
)
METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD", "PUT", "TRACE", "BREW")
TYPES = (SDP["Content-Type"], FRAGMENT, "application/json", "image/png", "text/plain", "", "application/sdp; charset=x")
NASTY = (
    "",
    "..",
    "%00",
    "none",
    "astronaut",
    "é" * 40,
    "x" * 3000,
    "a/b",
    "?",
    "#",
    "%2e%2e%2f",
    "\U0001f600",
    "-1",
    "null",
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, -1, 40, 80, 1e308, 2**63]))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["happy", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)
CONTROLS = st.dictionaries(
    st.sampled_from(["smile", "brows", "blink", "gaze_left", "emotions", "expressiveness", "x", ""]), VALUES, max_size=4
)
MESSAGES = st.one_of(
    st.sampled_from(
        ['{"type":"clear"}', '{"type":"flush"}', "[" * 3000, "{}", "null", '{"type":"ping","t":NaN}', "\x00"]
    ),
    st.builds(lambda t: json.dumps({"type": "ping", "t": t}), VALUES),
    st.builds(
        lambda c, n: json.dumps({"type": "set", "controls": c, "look_ahead_ms": n}),
        CONTROLS,
        st.one_of(st.none(), NUMBERS),
    ),
    st.builds(lambda n: json.dumps({"type": "resume", "epoch": n}), NUMBERS),
    st.text(max_size=60),
    st.binary(max_size=200),
    st.integers(0, 5000).map(lambda n: b"\x01\x7f" * n),
)


REQUESTS = st.tuples(
    st.sampled_from(METHODS),
    st.sampled_from(PATHS),
    st.tuples(st.integers(0, 15), st.integers(0, 15)),  # which names go into the path
    st.sampled_from(TYPES),
    st.one_of(st.just(b""), st.binary(max_size=99), VALUES.map(lambda value: json.dumps(value).encode())),
    st.sampled_from([STRANGER, STRANGER, "", "nobody's-token-at-all", "\x7f" * 40]),
    st.sampled_from(["", "*", '"x"', '"x", *']),  # If-Match
)


class Errors(logging.Handler):
    """What is logged as a mistake."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "RTCPeerConnection.__connect" not in record.getMessage():  # aiortc's own, of one ended while it connects
            self.told.append(record.getMessage())


class Strangers(RuleBasedStateMachine):
    server: ClassVar[Running]
    restarts: ClassVar[int]  # of the engine, before: other tests may have ended it
    bystander: ClassVar[ClientConnection]
    known: ClassVar[dict[str, Any]]  # the bystander's hello
    offer: ClassVar[str]
    errors: ClassVar[Errors]
    count: ClassVar[int] = 0
    numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        parts = urllib.parse.urlsplit(self.server.url)
        self.http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        self.opened = contextlib.ExitStack()
        self.sockets: list[ClientConnection] = []
        self.locations: list[tuple[str, str]] = []  # of what a stranger opened, and its tag
        self.names = [self.known["session"], self.known["watch"], *NASTY]

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        type(self).count += 1
        try:
            self.http.request(method, urllib.parse.quote(path, safe="/?=&%"), body or None, headers)
            response = self.http.getresponse()
            text = response.read()
        except (http.client.HTTPException, OSError):
            self.http.close()  # a connection that the server was right to close
            return 0, {}, b""
        told = {name.lower(): value for name, value in response.getheaders()}
        assert response.status in WELL | REFUSED, (method, path, response.status, text[:300])
        if response.status >= 400 and method != "HEAD":
            error = json.loads(text).get("error") or json.loads(text).get("reason")
            assert error[0].isupper()
            assert error.endswith(".")
            assert "\n" not in error
            assert len(error) < 400
        if response.status in (429, 503) and path != "/readyz":
            assert "retry-after" in told
        return response.status, told, text

    @rule(requests=st.lists(REQUESTS, min_size=8, max_size=14))
    def request(self, requests: list[tuple[str, str, tuple[int, int], str, bytes, str, str]]) -> None:
        for method, path, picks, kind, body, token, match in requests:
            headers = {"Content-Type": kind, "If-Match": match, "Authorization": f"Bearer {token}"}
            names = [self.names[pick % len(self.names)] for pick in picks]
            self.ask(method, path.format(*names), body, {name: value for name, value in headers.items() if value})

    @rule(
        cuts=st.lists(
            st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(["", "m=", "\r\n", "9" * 20, "é"])),
            max_size=3,
        ),
        path=st.sampled_from(["/api/session", "/whip/astronaut", "/whep/{}", "/whip/{}"]),
        extra=st.dictionaries(st.sampled_from(["avatar", "look_ahead_ms", "matte", "watch", "x"]), VALUES, max_size=2),
    )
    def offer_something(self, cuts: list[tuple[float, int, str]], path: str, extra: dict[str, Any]) -> None:
        sdp = self.offer
        for where, length, piece in cuts or [(1.0, 0, "")]:
            at = int(where * len(sdp))
            sdp = sdp[:at] + piece + sdp[at + length :]
        if cuts or len(self.locations) < 1:
            self._open(path.format(self.known["watch"]), sdp, extra)

    def _open(self, path: str, sdp: str, extra: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {STRANGER}", **SDP}
        body = sdp.encode()
        if path == "/api/session":
            headers["Content-Type"], body = (
                "application/json",
                json.dumps({"type": "offer", "sdp": sdp, **extra}).encode(),
            )
        status, told, _ = self.ask("POST", path, body, headers)
        if status == 201:
            self.locations.append((told["location"], told["etag"]))

    @rule(
        method=st.sampled_from(["PATCH", "PATCH", "DELETE", "GET", "POST"]),
        text=st.one_of(st.just(""), st.text(max_size=40)),
        whole=st.booleans(),
    )
    def turn_to_own(self, method: str, text: str, whole: bool) -> None:
        if not self.locations:
            return
        location, tag = self.locations[-1]
        body = fragment(self.offer) if whole else f"a=ice-ufrag:abcd\r\na=ice-pwd:{'p' * 22}\r\n{text}"
        headers = {"Authorization": f"Bearer {STRANGER}", "Content-Type": FRAGMENT, "If-Match": tag}
        status, _, _ = self.ask(method, location, body.encode() if method != "GET" else b"", headers)
        if method == "DELETE" and status in WELL:
            self.locations.pop()

    @rule(
        pick=st.integers(0, 15),
        rate=st.sampled_from([16000, 8000, 48000, 1, -1, "x"]),
        look_ahead=st.sampled_from([0, 80, 120, 81, "x"]),
        into=st.booleans(),
    )
    def open_socket(self, pick: int, rate: object, look_ahead: object, into: bool) -> None:
        if len(self.sockets) == 2:
            return
        asked = {"session" if into else "avatar": self.names[pick % len(self.names)]}
        query = urllib.parse.urlencode({**asked, "rate": rate, "look_ahead_ms": look_ahead})
        type(self).count += 1
        try:
            self.sockets.append(self.opened.enter_context(_socket(self.server, query, STRANGER)))
        except InvalidStatus as answer:
            refused(answer)
        except (ConnectionClosed, OSError, EOFError, http.client.HTTPException):
            pytest.fail("a socket is refused by an answer")

    @rule(messages=st.lists(MESSAGES, min_size=4, max_size=12), pick=st.integers(0, 1))
    def say(self, messages: list[str | bytes], pick: int) -> None:
        if not self.sockets:
            return
        socket = self.sockets[pick % len(self.sockets)]
        type(self).count += len(messages)
        with contextlib.suppress(ConnectionClosed, UnicodeEncodeError):
            for message in messages:
                socket.send(message)

    @rule(whole=st.booleans())
    def leave(self, whole: bool) -> None:
        if not self.sockets:
            return
        socket = self.sockets.pop()
        if whole:
            with contextlib.suppress(ConnectionClosed):
                number = next(self.numbers)
                socket.send(json.dumps({"type": "ping", "t": f"left {number}"}))
                _until(socket, f"left {number}")
            socket.close()
        else:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(SHUT_RDWR)  # as if its machine had gone

    def teardown(self) -> None:
        self.opened.close()
        headers = {"Authorization": f"Bearer {STRANGER}"}
        for name in [n for n, s in self.server.service.sessions.copy().items() if n != self.known["session"]]:
            self.ask("DELETE", f"/api/session/{name}", b"", headers)
        self.http.close()
        number = next(self.numbers)
        self.bystander.send(json.dumps({"type": "ping", "t": f"here {number}"}))
        heard = _until(self.bystander, f"here {number}")
        assert {message["type"] for message in heard} <= {"stats", "pong", "mapping"}, "nobody else changed anything"
        session = self.server.service.sessions[self.known["session"]]
        assert (session.epoch, session.look_ahead_ms) == (0, 80), "watched perhaps, but not changed"
        assert self.server.service.engine.alive
        assert self.server.service.engine.restarts == self.restarts
        assert not self.errors.told, self.errors.told[:3]


def refused(answer: InvalidStatus) -> None:
    assert answer.response.status_code in REFUSED
    assert json.loads(answer.response.body)["error"].endswith(".")


def _socket(server: Running, query: str, token: str) -> connect:
    address = f"ws{server.url.removeprefix('http')}/api/voice?{query}"
    headers = {"Authorization": f"Bearer {token}"}
    return connect(address, additional_headers=headers, close_timeout=2, max_queue=None)


def _until(socket: ClientConnection, sign: str) -> list[dict[str, Any]]:
    """Messages up to the pong that carries ``sign``; each is one that the protocol knows."""
    heard, until = [], time.monotonic() + 20
    while time.monotonic() < until:
        message = SERVER.validate_json(socket.recv(timeout=20)).model_dump()
        heard.append(message)
        if message["type"] == "pong" and message["t"] == sign:
            return heard
    raise AssertionError("no answer came")


def test_whatever_strangers_do_in_whatever_order() -> None:
    errors = Errors()
    loggers = [logging.getLogger(name) for name in ("", "uvicorn.error", "vivify", "asyncio")]
    with running(token=f"{STRANGER},{BYSTANDER}", portraits=0) as server:
        Strangers.server, Strangers.errors, Strangers.offer = server, errors, page_offer()
        Strangers.restarts = server.service.engine.restarts
        with _socket(server, "", BYSTANDER) as bystander:
            Strangers.bystander, Strangers.known = bystander, json.loads(bystander.recv())
            for logger in loggers:
                logger.addHandler(errors)
            try:
                run_state_machine_as_test(
                    Strangers,
                    settings=settings(
                        max_examples=40,
                        stateful_step_count=30,
                        deadline=None,
                        derandomize=True,
                        database=None,
                        phases=[Phase.generate],  # a server with clocks is not the same twice
                        suppress_health_check=list(HealthCheck),
                    ),
                )
            finally:
                for logger in loggers:
                    logger.removeHandler(errors)
            # Hypothesis draws constants of whatever modules are loaded: alone, the same machine says far more
            assert Strangers.count > 400, Strangers.count
            ask(
                "DELETE",
                f"{server.url}/api/session/{Strangers.known['session']}",
                None,
                {"Authorization": f"Bearer {BYSTANDER}"},
            )
