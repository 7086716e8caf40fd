"""Rights on a real server: each route wants its own, and a session is its opener's, whoever knows its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from serving import Running, running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from whip_peers import FRAGMENT, SDP, Reply, ask, fragment, offer_of

from webrtc.access.rights import RIGHTS
from webrtc.access.tokens import sign
from webrtc.http.admission import network_of

pytestmark = pytest.mark.net

KEY = "a key of thirty-two bytes, or more"
ALICE, MALLORY = "a-token-of-good-length", "another-token-of-good-length"
EACH = {right: f"the-token-that-may-{right}" for right in RIGHTS}
ANY, LOOKS = set(RIGHTS), {"speak", "watch", "enrol"}
ROUTES = [  # method, path, who may, what one who may gets
    ("POST", "/api/session", {"speak"}, 415),
    ("PATCH", "/api/session/none", {"speak"}, 404),
    ("DELETE", "/api/session/none", {"speak"}, 404),
    ("POST", "/whip/astronaut", {"speak"}, 415),
    ("GET", "/whip/astronaut", {"speak"}, 204),
    ("GET", "/whip/session/none", {"speak"}, 404),
    ("PATCH", "/whip/session/none", {"speak"}, 404),
    ("DELETE", "/whip/session/none", {"speak"}, 404),
    ("POST", "/whep/none", {"watch"}, 415),
    ("GET", "/whep/none", {"watch"}, 204),
    ("PATCH", "/whep/none/none", {"watch"}, 404),
    ("DELETE", "/whep/none/none", {"watch"}, 404),
    ("GET", "/whep/none/none", {"watch"}, 404),
    ("GET", "/api/ice-servers", {"speak", "watch"}, 200),
    ("GET", "/api/avatars", LOOKS, 200),
    ("GET", "/api/avatars/astronaut/portrait", LOOKS, 200),
    ("GET", "/api/avatars/astronaut/preview", {"enrol"}, 404),
    ("GET", "/api/sample", LOOKS, 200),
    ("POST", "/api/avatars", {"enrol"}, 415),
    ("GET", "/api/enrolments/none", {"enrol"}, 404),
    ("GET", "/metrics", {"figures"}, 200),
]
OPEN = {"/healthz", "/readyz"}


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in more.items()}}


def told(reply: Reply) -> str:
    return str(json.loads(reply.body)["error"])


@pytest.fixture(scope="module")
def guarded() -> Iterator[Running]:
    tokens = ",".join([ALICE, MALLORY, *(f"{token}:{right}" for right, token in EACH.items())])
    with running(token=tokens, token_key=KEY) as server:
        yield server


VOICE, EYES = offer_of("audio", "sendonly"), offer_of("video", "recvonly")


def publish(server: Running, token: str, path: str = "/whip/astronaut", sdp: str = VOICE) -> Reply:
    return ask("POST", server.url + path, sdp.encode(), {**SDP, **bearer(token)})


def speaks_in(server: Running, name: str, token: str, **options: Any) -> int:
    """The status of a socket that would speak in a session."""
    url = f"ws{server.url.removeprefix('http')}/api/voice?session={name}"
    try:
        with connect(url, **{"additional_headers": bearer(token), **options}) as socket:
            assert json.loads(socket.recv())["session"] == name
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize(("method", "path", "may", "status"), ROUTES)
def test_each_route_wants_its_right(guarded: Running, method: str, path: str, may: set[str], status: int) -> None:
    body = b"" if method in ("POST", "PATCH") else None
    headers = {"Content-Type": FRAGMENT if method == "PATCH" else "text/plain"}
    for token in (None, "a-token-that-nobody-gave"):
        reply = ask(method, guarded.url + path, body, {**headers, **(bearer(token) if token else {})})
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    for right, token in EACH.items():
        for shown in (token, sign(KEY, [right])):
            reply = ask(method, guarded.url + path, body, {**headers, **bearer(shown)})
            assert reply.status == (status if right in may else 403), right
            if right not in may:
                assert f"may {right}" in told(reply)
                assert all(one in told(reply) for one in may)
                assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]


def test_every_operation_is_guarded_or_named_as_open(guarded: Running) -> None:
    paths = json.loads(ask("GET", f"{guarded.url}/openapi.json").body)["paths"]
    asked = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert len(asked) > len(ROUTES)
    for method, path in asked:
        reply = ask(method, guarded.url + path.translate({ord("{"): None, ord("}"): None}), b"")
        is_open = path in OPEN or method == "OPTIONS"
        assert (reply.status == 401) != is_open, f"{method} {path} answered {reply.status}"


def test_a_socket_wants_the_right_to_speak(guarded: Running) -> None:
    url = f"ws{guarded.url.removeprefix('http')}/api/voice"
    for right, token in EACH.items():
        for options in ({"additional_headers": bearer(token)}, {"subprotocols": ["vivify", f"bearer.{token}"]}):
            if right == "speak":
                with connect(url, **options) as socket:
                    hello = json.loads(socket.recv())
                    assert socket.subprotocol == ("vivify" if "subprotocols" in options else None)
                ended = ask("DELETE", f"{guarded.url}/api/session/{hello['session']}", None, bearer(token))
                assert ended.status == 204
            else:
                with pytest.raises(InvalidStatus) as refused:
                    connect(url, **options)
                assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        connect(url, subprotocols=["vivify"])
    assert refused.value.response.status_code == 401


def test_who_knows_a_sessions_name_has_no_part_in_it(guarded: Running) -> None:
    """Nor who knows where it is watched, but to watch."""
    opened = publish(guarded, ALICE)
    location = opened.headers["location"]
    name = location.rsplit("/", 1)[1]
    (link,) = opened.links
    address = link[link.index("/whep/") + 6 : link.index(">")]
    assert address != name
    late = {"Content-Type": FRAGMENT, "If-Match": opened.headers["etag"]}
    for known in (name, address):
        assert speaks_in(guarded, known, MALLORY) == 404
        for path in (f"/whip/session/{known}", f"/api/session/{known}"):
            assert ask("DELETE", guarded.url + path, None, bearer(MALLORY)).status == 404
            reply = ask("PATCH", guarded.url + path, fragment(VOICE).encode(), {**late, **bearer(MALLORY)})
            assert reply.status == 404
            assert "for you" in told(reply)
        assert ask("GET", f"{guarded.url}/whip/session/{known}", None, bearer(MALLORY)).status == 404
    assert publish(guarded, MALLORY, f"/whep/{name}", EYES).status == 409, "as if it were not there"
    watched = publish(guarded, MALLORY, f"/whep/{address}", EYES)
    assert watched.status == 201
    stranger = bearer(EACH["watch"])
    assert ask("DELETE", guarded.url + watched.headers["location"], None, stranger).status == 404
    assert ask("DELETE", guarded.url + watched.headers["location"], None, bearer(ALICE)).status == 200, "her session"
    assert publish(guarded, ALICE, f"/whep/{name}", EYES).status == 201, "its opener may say its name"
    assert speaks_in(guarded, name, ALICE) == 101
    patched = ask("PATCH", guarded.url + location, fragment(VOICE).encode(), {**late, **bearer(ALICE)})
    assert patched.status == 204
    assert ask("DELETE", guarded.url + location, None, bearer(ALICE)).status == 200


def test_a_signed_token_may_be_told_to_steer_one_session(guarded: Running) -> None:
    opened = [publish(guarded, ALICE).headers["location"] for _ in range(2)]
    mine, other = (location.rsplit("/", 1)[1] for location in opened)
    assistant = sign(KEY, ["speak"], session=mine)
    assert speaks_in(guarded, mine, assistant) == 101
    assert speaks_in(guarded, other, assistant) == 404
    assert publish(guarded, assistant).status == 409, "it opens no other"
    assert ask("DELETE", guarded.url + opened[1], None, bearer(assistant)).status == 404
    assert ask("DELETE", guarded.url + opened[0], None, bearer(assistant)).status == 200
    assert ask("DELETE", guarded.url + opened[1], None, bearer(ALICE)).status == 200


def test_a_token_may_name_the_address_before_anybody_speaks(guarded: Running) -> None:
    """As an application does it: the speaker's token and the viewers' name one address that it has made up."""
    address = "an-address-nobody-guesses"
    viewer, speaker = sign(KEY, ["watch"], session=address), sign(KEY, ["speak"], subject="ann", session=address)
    early = publish(guarded, viewer, f"/whep/{address}", EYES)
    assert (early.status, early.headers["retry-after"]) == (409, "2")
    opened = publish(guarded, speaker)
    assert f"</whep/{address}>" in opened.links[0]
    assert publish(guarded, viewer, f"/whep/{address}", EYES).status == 201
    elsewhere = sign(KEY, ["watch"], session="another-address-of-anns")
    assert publish(guarded, elsewhere, f"/whep/{address}", EYES).status == 409
    renewed = sign(KEY, ["speak"], 60, subject="ann")
    assert ask("DELETE", guarded.url + opened.headers["location"], None, bearer(renewed)).status == 200


def test_a_wished_address_cannot_be_taken_by_another_owner(guarded: Running) -> None:
    hers, his = (publish(guarded, token, "/whip/astronaut?watch=stage") for token in (ALICE, MALLORY))
    assert hers.links != his.links
    assert all("</whep/stage-" in reply.links[0] for reply in (hers, his))
    for token, reply in ((ALICE, hers), (MALLORY, his)):
        assert ask("DELETE", guarded.url + reply.headers["location"], None, bearer(token)).status == 200
    again = publish(guarded, ALICE, "/whip/astronaut?watch=stage")
    assert again.links == hers.links, "the same every time"
    assert ask("DELETE", guarded.url + again.headers["location"], None, bearer(ALICE)).status == 200


def test_one_visitor_does_not_use_up_the_openings_of_all_who_share_a_token() -> None:
    """As a public page has it: one token, many addresses, told apart by the proxy before the server."""
    with running(token=ALICE, openings_per_minute=3) as server:

        def open_from(address: str) -> int:
            headers = {**SDP, **bearer(ALICE), "X-Forwarded-For": f"203.0.113.9, {address}"}
            return ask("POST", f"{server.url}/whep/none", EYES.encode(), headers).status

        assert [open_from("198.51.100.1") for _ in range(4)] == [409, 409, 409, 429]
        assert open_from("198.51.100.2") == 409
        assert [open_from(f"2001:db8::{n}") for n in range(4)] == [409, 409, 409, 429], "one line has 64 bits"
        assert open_from("2001:db8:0:1::") == 409


def test_addresses_are_networks() -> None:
    assert network_of("192.0.2.1") == network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")
    assert len(network_of("x" * 1000)) == 64


def test_a_server_without_a_token_answers_this_machine_alone() -> None:
    """Behind a proxy, too, whatever name it was asked by."""
    with running() as server:
        assert ask("GET", f"{server.url}/api/avatars").status == 200
        reply = ask("GET", f"{server.url}/api/avatars", None, {"X-Forwarded-For": "198.51.100.1", "Host": "localhost"})
        assert reply.status == 403
        assert "no token" in told(reply)
