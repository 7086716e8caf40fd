"""The OpenAPI document tells the truth: every operation in it is called, and what comes back is what it says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from serving import Running, running
from whip_peers import FRAGMENT, SDP, Reply, ask, fragment

import webrtc.http.schemas
from engine.contracts import LOOK_AHEADS_MS
from webrtc.rtc.ice_servers import no_servers

pytestmark = pytest.mark.net

JSON = {"Content-Type": "application/json"}
METHODS = ("get", "head", "post", "patch", "delete", "options")


@pytest.fixture(scope="module")
def document(server: Running) -> dict[str, Any]:
    return json.loads(ask("GET", f"{server.url}/openapi.json").body)


def offer(way: str) -> str:
    async def make() -> str:
        pc = RTCPeerConnection(no_servers())
        pc.addTransceiver("audio", direction="sendonly" if way == "whip" else "recvonly")
        if way != "whip":
            pc.addTransceiver("video", direction="recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        sdp = pc.localDescription.sdp
        await pc.close()
        return sdp

    return asyncio.run(make())


def truthful(document: dict[str, Any], method: str, template: str, reply: Reply) -> None:
    """The reply's status, type and body are among those the document gives for the operation."""
    responses = document["paths"][template][method.lower()]["responses"]
    told = responses.get(str(reply.status)) or (responses["default"] if reply.status >= 400 else None)
    assert told, f"{method} {template} answered {reply.status}, which is not documented"
    if method == "HEAD" or "content" not in told:
        assert reply.body == b"", (method, template)
        return
    kind = reply.headers["content-type"].partition(";")[0]
    assert kind in told["content"], (method, template, kind)
    if kind == "application/json":
        name = told["content"][kind]["schema"]["$ref"].rsplit("/", 1)[1]
        getattr(webrtc.http.schemas, name).model_validate_json(reply.body)
    elif kind == "application/sdp":
        assert reply.body.startswith(b"v=0")
    for header in {"Location", "ETag"} & set(told.get("headers", {})):
        assert header.lower() in reply.headers


def test_every_operation_answers_as_documented(document: dict[str, Any]) -> None:
    called: set[tuple[str, str]] = set()

    def call(method: str, template: str, names: dict[str, str], body: str = "", **headers: str) -> Reply:
        path = template.format(**names)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = ask(method, server.url + path, body.encode() if body else None, sent)
        truthful(document, method, template, reply)
        called.add((method.lower(), template))
        return reply

    with running(max_sessions=1) as server:
        known = {"avatar": "astronaut", "session": "none", "viewer": "none"}
        for path in ("/api/avatars", "/api/ice-servers", "/api/sample", "/healthz", "/readyz", "/metrics"):
            assert call("GET", path, {}).status == 200
        assert call("GET", "/api/avatars/{avatar}/portrait", known).status == 200
        assert call("POST", "/api/avatars", {}, "x", Content_Type="text/plain").status == 415
        assert call("GET", "/api/enrolments/{enrolment}", {"enrolment": "none"}).status == 404
        assert call("DELETE", "/api/enrolments/{enrolment}", {"enrolment": "none"}).status == 404
        assert call("DELETE", "/api/avatars/{avatar}", known).status == 404, "only what one has brought"
        for picture in ("portrait", "preview"):
            assert call("GET", f"/api/avatars/{{avatar}}/{picture}", {"avatar": "x"}).status == 404
        body = json.dumps({"type": "offer", "sdp": offer("page")})
        for way, template, resource, good in (
            ("page", "/api/session", "/api/session/{session}", body),
            ("whip", "/whip/{avatar}", "/whip/session/{session}", offer("whip")),
        ):
            kind = "application/json" if way == "page" else "application/sdp"
            assert call("POST", template, known, "x", Content_Type="text/plain").status == 415
            assert call("POST", template, known, "x", Content_Type=kind).status == 400
            assert call("POST", template, known, "x" * 70_000, Content_Type=kind).status == 413
            opened = call("POST", template, known, good, Content_Type=kind)
            assert opened.status == 201
            assert call("POST", template, known, good, Content_Type=kind).status == 503
            assert call("GET", "/readyz", {}).status == 503
            names = {**known, "session": opened.headers["location"].rsplit("/", 1)[1]}
            sdp = json.loads(good)["sdp"] if way == "page" else good
            trickled(call, resource, names, opened, sdp)
            if way == "whip":
                watched(call, names)
                for method in ("GET", "HEAD"):
                    assert call(method, "/whip/{avatar}", names).status == 204
                    assert call(method, resource, names).status == 204
                for path in (template, resource):
                    assert call("OPTIONS", path, names).status == 200
            assert call("DELETE", resource, names).status in (200, 204)
            assert call("DELETE", resource, names).status == 404
        bad = ask("POST", f"{server.url}/whip/astronaut?look_ahead_ms=soon", b"", SDP)
        assert bad.status == 400
        truthful(document, "POST", "/whip/{avatar}", bad)
    listed = {(m, path) for path, operations in document["paths"].items() for m in operations if m in METHODS}
    assert called == listed, "what is documented and what was called must be the same"


def trickled(call: Any, resource: str, names: dict[str, str], opened: Reply, sdp: str) -> None:
    tag = opened.headers["etag"]
    good = fragment(sdp)
    assert call("PATCH", resource, names, good, Content_Type=FRAGMENT).status == 428
    assert call("PATCH", resource, names, good, Content_Type=FRAGMENT, If_Match='"x"').status == 412
    assert call("PATCH", resource, names, "a=ice-ufrag:xyz\r\n", Content_Type=FRAGMENT, If_Match="*").status == 400
    restart = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n"
    assert call("PATCH", resource, names, restart, Content_Type=FRAGMENT, If_Match="*").status == 422, "not connected"
    assert call("PATCH", resource, names, "junk", Content_Type=FRAGMENT, If_Match=tag).status == 400
    assert call("PATCH", resource, names, good, Content_Type=FRAGMENT, If_Match=tag).status == 204
    gone = {"session": "none", "address": "none", "viewer": "none"}
    assert call("PATCH", resource, gone, good, Content_Type=FRAGMENT, If_Match=tag).status == 404


def watched(call: Any, names: dict[str, str]) -> None:
    template, resource = "/whep/{address}", "/whep/{address}/{viewer}"
    sdp = offer("whep")
    names = {**names, "address": names["session"]}  # its opener may say its name
    assert call("POST", template, {"address": "none"}, sdp, **{"Content_Type": "application/sdp"}).status == 409
    assert call("POST", template, names, offer("whip"), **{"Content_Type": "application/sdp"}).status == 422
    opened = call("POST", template, names, sdp, **{"Content_Type": "application/sdp"})
    assert opened.status == 201
    names = {**names, "viewer": opened.headers["location"].rsplit("/", 1)[1]}
    trickled(call, resource, names, opened, sdp)
    for path in (template, resource):
        for method in ("GET", "HEAD"):
            assert call(method, path, names).status == 204
        assert call("OPTIONS", path, names).status == 200
    assert call("DELETE", resource, names).status == 200
    assert call("GET", resource, names).status == 404


def test_the_document_is_whole(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    assert {"/api/session", "/whip/{avatar}", "/whep/{address}", "/metrics"} <= set(document["paths"])
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]
    assert "HTTPValidationError" not in text, "refusals have one form"
    body = document["paths"]["/api/session"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["look_ahead_ms"]["enum"] == list(LOOK_AHEADS_MS)
    ids = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(ids) == len(set(ids))
