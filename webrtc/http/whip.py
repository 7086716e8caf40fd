"""Standard ways in and out: WHIP (RFC 9725) publishes a voice, WHEP (draft-ietf-wish-whep) watches its face.

Both end in the same `PeerConnection`; the page's session (`webrtc.http.api`) takes late candidates through `trickle` as
well.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from engine.contracts import DEFAULT_LOOK_AHEAD_MS, LOOK_AHEADS_MS
from webrtc.access.rights import Caller
from webrtc.http.admission import Gate
from webrtc.http.bodies import BadRequest, read_text
from webrtc.http.path_prefix import prefix_of
from webrtc.http.schemas import BODY, FRAGMENT, SDP, conditional, content, refusals, takes
from webrtc.live_session import LiveSession
from webrtc.rtc.peer_connection import PeerConnection
from webrtc.rtc.session_description import read_fragment
from webrtc.service import Service, Wanted

ENDPOINTS = ("/whip/{avatar}", "/whep/{address}")
LookAhead = Annotated[int, Query(json_schema_extra={"enum": list(LOOK_AHEADS_MS)})]
CREATED = content(201, SDP, "The answer.", "Location", "ETag", "Link")
RESTARTED = content(200, FRAGMENT, "ICE was restarted: this side's new credentials and candidates.", "ETag")
SESSIONS = ("/whip/session/{session}", "/whep/{address}/{viewer}")


def routes(service: Service, gate: Gate) -> APIRouter:
    """The endpoints, and the session resources they make."""
    router = APIRouter()
    for group in (_whip, _whep, _shown):
        group(router, service, gate)
    _preflights(router)
    return router


def _whip(router: APIRouter, service: Service, gate: Gate) -> None:
    """In: publish a voice, its late candidates, its end."""
    speaks, opens = Depends(gate.needs("speak")), Depends(gate.needs("speak", opens=True))

    @router.post(
        "/whip/{avatar}",
        status_code=201,
        response_class=Response,
        responses={**CREATED, **refusals(*BODY, 403, 404, 409, 422, 429, 503)},
        openapi_extra=takes(SDP),
    )
    async def publish(
        request: Request,
        avatar: str,
        look_ahead_ms: LookAhead = DEFAULT_LOOK_AHEAD_MS,
        matte: bool = False,
        watch: str | None = None,
        badge: bool = False,
        caller: Caller = opens,
    ) -> Response:
        """Speak: an offer that sends audio. A `Link` names where the face is watched; ``watch`` wishes for that."""
        offer = await read_text(request, SDP, "Accept-Post")
        wanted = Wanted(caller, avatar, look_ahead_ms, matte, watch, badge)
        speaker, answer = await service.open(wanted, offer, two_way=False)
        location = f"{prefix_of(request)}/whip/session/{speaker.session.name}"
        response = _created(answer, location, speaker.connection, service)
        response.headers.append("Link", watch_link(request, speaker.session))
        return response

    @router.patch(
        "/whip/session/{session}",
        status_code=204,
        response_class=Response,
        responses={**RESTARTED, **refusals(*BODY, 404, 412, 422, 428)},
        openapi_extra=conditional(),
    )
    async def trickle_in(request: Request, session: str, caller: Caller = speaks) -> Response:
        return await trickle(request, service.connection(session, caller))

    @router.delete("/whip/session/{session}", response_class=Response, responses=refusals(404))
    async def unpublish(session: str, caller: Caller = speaks) -> Response:
        """End the session, for its viewers as well."""
        await service.session(session, caller).close("The session was ended.")
        return Response(status_code=200)


def _whep(router: APIRouter, service: Service, gate: Gate) -> None:
    """Out: watch a session."""
    watches, opens = Depends(gate.needs("watch")), Depends(gate.needs("watch", opens=True))

    @router.post(
        "/whep/{address}",
        status_code=201,
        response_class=Response,
        responses={**CREATED, **refusals(*BODY, 409, 422, 429, 503)},
        openapi_extra=takes(SDP),
    )
    async def watch(request: Request, address: str, caller: Caller = opens) -> Response:
        """Watch: an offer that receives audio, video, or both."""
        viewer, answer = await service.watch(address, await read_text(request, SDP, "Accept-Post"), caller)
        location = f"{prefix_of(request)}/whep/{address}/{viewer.name}"
        return _created(answer, location, viewer.connection, service)

    @router.patch(
        "/whep/{address}/{viewer}",
        status_code=204,
        response_class=Response,
        responses={**RESTARTED, **refusals(*BODY, 404, 412, 422, 428)},
        openapi_extra=conditional(),
    )
    async def trickle_out(request: Request, address: str, viewer: str, caller: Caller = watches) -> Response:
        return await trickle(request, service.viewer(address, viewer, caller).connection)

    @router.delete("/whep/{address}/{viewer}", response_class=Response, responses=refusals(404))
    async def unwatch(address: str, viewer: str, caller: Caller = watches) -> Response:
        """Stop watching; the session goes on."""
        await service.viewer(address, viewer, caller).close()
        return Response(status_code=200)


def _shown(router: APIRouter, service: Service, gate: Gate) -> None:
    """GET and HEAD: there is nothing to be seen."""
    speaks, watches = Depends(gate.needs("speak")), Depends(gate.needs("watch"))

    async def whip(avatar: str, caller: Caller = speaks) -> Response:
        """RFC 9725, section 4.1: these resources have no representation."""
        return Response(status_code=204)

    async def whep(address: str, caller: Caller = watches) -> Response:
        """The same, whether somebody is to be watched there or not."""
        return Response(status_code=204)

    async def session(session: str, caller: Caller = speaks) -> Response:
        """The same; 404 where there is none."""
        service.session(session, caller)
        return Response(status_code=204)

    async def viewer(address: str, viewer: str, caller: Caller = watches) -> Response:
        """The same."""
        service.viewer(address, viewer, caller)
        return Response(status_code=204)

    shown: dict[str, Callable[..., Awaitable[Response]]] = dict(
        zip((*ENDPOINTS, *SESSIONS), (whip, whep, session, viewer), strict=True)
    )
    for path, show in shown.items():
        for method in ("GET", "HEAD"):
            router.add_api_route(
                path, show, methods=[method], status_code=204, response_class=Response, responses=refusals(404)
            )


def _preflights(router: APIRouter) -> None:
    """OPTIONS: what each resource takes."""
    for paths, methods, accept in (
        (ENDPOINTS, "GET, HEAD, OPTIONS, POST", {"Accept-Post": SDP}),
        (SESSIONS, "DELETE, GET, HEAD, OPTIONS, PATCH", {"Accept-Patch": FRAGMENT}),
    ):
        for path in paths:
            named = [_named(name) for name in re.findall(r"\{(\w+)\}", path)]
            router.add_api_route(
                path,
                _options(methods, accept),
                methods=["OPTIONS"],
                response_class=Response,
                openapi_extra={"parameters": named},
            )


async def trickle(request: Request, connection: PeerConnection) -> Response:
    """Take late candidates (204), or restart ICE (200, RFC 9725, section 4.3.3).

    Raises BadRequest when the precondition does not hold; NoRestart, BadFragment.
    """
    text = await read_text(request, FRAGMENT, "Accept-Patch")
    wanted = request.headers.get("if-match")
    if wanted is None:
        raise BadRequest("An If-Match header was expected, with the ETag that the session was opened with.", 428)
    if wanted.strip() != "*" and connection.etag not in [tag.strip() for tag in wanted.split(",")]:
        raise BadRequest("The If-Match header was expected to hold this session's ETag, but holds another.", 412)
    restarted = await connection.trickle(read_fragment(text))
    if restarted is None:
        return Response(status_code=204)
    return Response(restarted, 200, {"ETag": connection.etag}, FRAGMENT)


def _created(answer: str, location: str, connection: PeerConnection, service: Service) -> Response:
    response = Response(answer, 201, {"Location": location, "ETag": connection.etag}, SDP)
    for server in service.config.ice_servers_now():
        response.headers.append("Link", server.link)
    return response


def watch_link(request: Request, session: LiveSession) -> str:
    """Where a session is watched, as a ``Link`` header's value."""
    return f'<{prefix_of(request)}/whep/{session.address}>; rel="whep"'


def _named(name: str) -> dict[str, object]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _options(methods: str, accept: dict[str, str]) -> Callable[[], Awaitable[Response]]:
    async def options() -> Response:
        """What the resource takes; also the answer to a browser's preflight."""
        return Response(status_code=200, headers={"Allow": methods, **accept})

    return options
