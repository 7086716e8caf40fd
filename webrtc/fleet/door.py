"""The door before several nodes: who comes in, and which node answers. It keeps nothing about sessions.

Names carry their node, so whoever has one is led there. Who has none yet goes to the emptiest node; an address that was
wished for is looked for at each node, in the address's own order. Requests are passed on; WHIP and WHEP clients that
can reach the nodes themselves are told where (307; RFC 9725, section 4.5). Media never pass here.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import PurePosixPath

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from engine.errors import EngineAway, EngineFull, VivifyError
from webrtc.access.addresses import NotYet, address_for, node_of
from webrtc.access.rights import Caller
from webrtc.fleet.merged_metrics import merged
from webrtc.fleet.nodes import Node, Nodes
from webrtc.fleet.passing import NodeGone, asked_of, fetched, join, open_socket, passed
from webrtc.http.admission import Gate
from webrtc.http.app import guard
from webrtc.http.bodies import read_body
from webrtc.http.lingering import Lingering
from webrtc.http.path_prefix import UnderPrefix, prefix_of
from webrtc.http.refusals import refuse, refuse_http, refused
from webrtc.http.schemas import SDP
from webrtc.live_session import UnknownSession
from webrtc.server_config import ServerConfig
from webrtc.service import Stopping

METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
JSON = "application/json"
NOT_HERE = (409, 503)  # of an address that is looked for
FULL = (503,)  # or leaving, or without its engine


class Door:
    """Leads each request to its node. ``closing``: nobody new is let in."""

    def __init__(self, nodes: Nodes, config: ServerConfig, redirects: bool) -> None:
        self.closing = False
        self._nodes = nodes
        self._config = config
        self._redirects = redirects

    async def open(
        self, request: Request, caller: Caller, avatar: str, wish: str | None, body: bytes | None
    ) -> Response:
        """A new session, or portrait, of ``avatar``'s node, or of the first that has room. Raises as the nodes do."""
        if self.closing:
            raise Stopping
        nodes = self._openers(caller, avatar, wish)
        return await self._first(request, nodes if body is not None else nodes[:1], body, opens=True)

    async def watch(self, request: Request, address: str, caller: Caller, body: bytes) -> Response:
        """A new viewer, at the node of the address, or at whichever has it. Raises NotYet."""
        return await self._first(request, self._holders(address), body, opens=False)

    async def steer(self, request: Request, name: str) -> Response:
        """What has a name already; any node answers where the name has none. Raises UnknownSession, EngineAway."""
        node = node_of(name)
        if node and self._nodes.named(node) is None:
            raise UnknownSession
        for one in [known] if (known := self._nodes.named(node)) else self._nodes.in_order(None):
            try:
                return await passed(request, one)
            except NodeGone:
                one.lost()
        raise EngineAway

    async def speak(self, socket: WebSocket, caller: Caller, session: str, avatar: str, wish: str | None) -> None:
        """A socket that pushes sound, into a session or into a new one."""
        if session:
            known = self._nodes.named(node_of(session))
            if known is None:
                raise UnknownSession
            return await self._first_socket(socket, [known], opens=False)
        if self.closing:
            raise Stopping
        await self._first_socket(socket, self._openers(caller, avatar, wish), opens=True)

    async def listen(self, socket: WebSocket, address: str) -> None:
        """A socket that watches motions."""
        await self._first_socket(socket, self._holders(address), opens=False)

    def _openers(self, caller: Caller, avatar: str, wish: str | None) -> list[Node]:
        """Whom to ask for a new session. Raises EngineFull, OtherSession, VivifyError for an odd wish."""
        if of := node_of(avatar):
            known = self._nodes.named(of)
            return [known] if known is not None else self._nodes.for_opening(None)[:1]
        named = wish is not None or caller.session is not None
        address = address_for(caller, wish, self._config.address_key) if named else None
        nodes = self._nodes.for_opening(address)
        if not nodes:
            raise self._none()
        return nodes

    def _holders(self, address: str) -> list[Node]:
        """Who may have the session that is watched at an address. Raises NotYet, EngineAway."""
        if of := node_of(address):
            known = self._nodes.named(of)
            if known is None:
                raise NotYet
            return [known]
        nodes = self._nodes.in_order(address)
        if not nodes:
            raise EngineAway
        return nodes

    async def _first(self, request: Request, nodes: list[Node], body: bytes | None, opens: bool) -> Response:
        """The first node's answer that settles it; the last one's, if none does. ``opens``: a session is to be."""
        if self._may_redirect(request) and (nodes[0].room > 0 if opens else len(nodes) == 1):
            if opens:
                nodes[0].sent()
            return RedirectResponse(self._place_of(nodes[0], request), 307)
        answer: Response | None = None
        for node in nodes:
            if opens:
                node.sent()
            try:
                answer = await passed(request, node, body)
            except NodeGone:
                node.lost()
                continue
            if opens:
                node.arrived(answer.status_code == 201)
            if answer.status_code not in (FULL if opens else NOT_HERE):
                return answer
        if answer is None:
            raise self._none()
        return answer

    async def _first_socket(self, socket: WebSocket, nodes: list[Node], opens: bool) -> None:
        """The same for a socket."""
        refusal: Response | None = None
        for node in nodes:
            if opens:
                node.sent()
            try:
                there = await open_socket(socket, node)
            except NodeGone:
                node.lost()
                continue
            if opens:
                node.arrived(not isinstance(there, Response))
            if not isinstance(there, Response):
                return await join(socket, there)
            refusal = there
            if there.status_code not in (FULL if opens else NOT_HERE):
                break
        await socket.send_denial_response(refusal or refused(self._none(), socket))

    def _none(self) -> VivifyError:
        """Why nobody can be let in."""
        if not self._nodes.slots:
            return EngineAway()
        most = self._nodes.slots
        return EngineFull(f"The server is full: all {most} places are taken; please try again in a little while.")

    def _may_redirect(self, request: Request) -> bool:
        """Programs that asked this machine itself; pages may ask nobody else, and a proxy has one address."""
        plain = "origin" not in request.headers and "x-forwarded-for" not in request.headers
        return self._redirects and plain and request.url.path.startswith(_standard(request))

    def _place_of(self, node: Node, request: Request) -> str:
        name = node.public or request.url.hostname or node.host
        host = f"[{name}]" if ":" in name else name
        asked = asked_of(request)
        return f"http://{host}:{node.port}{prefix_of(request)}{asked.target}"


def _standard(request: Request) -> tuple[str, str]:
    prefix = prefix_of(request)
    return f"{prefix}/whip/", f"{prefix}/whep/"


def create_door(door: Door, nodes: Nodes, config: ServerConfig) -> FastAPI:
    """The application: a node's own paths, each led to its node."""
    app = FastAPI(title="Vivify's door", docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    gate = Gate(config)
    app.middleware("http")(guard(gate, config))
    app.add_middleware(Lingering)
    app.add_middleware(UnderPrefix, prefix=config.root_path)
    app.add_exception_handler(VivifyError, refuse)
    app.add_exception_handler(HTTPException, refuse_http)
    _openings(app, door, gate)
    _sockets(app, door, gate)
    _figures(app, door, nodes, gate)
    _others(app, door, gate)
    return app


def _openings(app: FastAPI, door: Door, gate: Gate) -> None:
    speaks = Depends(gate.needs("speak", opens=True))
    watches, enrols = Depends(gate.needs("watch", opens=True)), Depends(gate.needs("enrol", opens=True))

    @app.post("/api/session")
    async def open_session(request: Request, caller: Caller = speaks) -> Response:
        body = await read_body(request, JSON, "Accept-Post")
        avatar, wish = _wanted(body)
        return await door.open(request, caller, avatar, wish, body)

    @app.post("/whip/{avatar}")
    async def publish(request: Request, avatar: str, watch: str | None = None, caller: Caller = speaks) -> Response:
        return await door.open(request, caller, avatar, watch, await read_body(request, SDP, "Accept-Post"))

    @app.post("/whep/{address}")
    async def watch(request: Request, address: str, caller: Caller = watches) -> Response:
        return await door.watch(request, address, caller, await read_body(request, SDP, "Accept-Post"))

    @app.post("/api/avatars")
    async def bring_portrait(request: Request, caller: Caller = enrols) -> Response:
        return await door.open(request, caller, "", None, None)


def _sockets(app: FastAPI, door: Door, gate: Gate) -> None:
    @app.websocket("/api/voice")
    async def voice(socket: WebSocket, session: str = "", avatar: str = "", watch: str | None = None) -> None:
        try:
            await door.speak(socket, gate.admit_socket(socket, "speak"), session, avatar, watch)
        except VivifyError as error:
            await socket.send_denial_response(refused(error, socket))

    @app.websocket("/api/motion")
    async def motion(socket: WebSocket, watch: str = "") -> None:
        try:
            gate.admit_socket(socket, "watch")
            await door.listen(socket, watch)
        except VivifyError as error:
            await socket.send_denial_response(refused(error, socket))


def _figures(app: FastAPI, door: Door, nodes: Nodes, gate: Gate) -> None:
    """How all nodes are together."""

    @app.get("/healthz")
    async def health() -> JSONResponse:
        alive = nodes.slots > 0
        body = {"ok": alive, "sessions": nodes.sessions, "max_sessions": nodes.slots}
        return JSONResponse(body, 200 if alive else 503)

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        free = 0 if door.closing else nodes.free
        reason = None if free else "All places are taken." if nodes.slots else "No node is up."
        reason = "The server is stopping." if door.closing else reason
        return JSONResponse({"ready": reason is None, "reason": reason, "free": free}, 503 if reason else 200)

    @app.get("/metrics", dependencies=[Depends(gate.needs("figures"))])
    async def metrics(request: Request) -> Response:
        up = nodes.in_order(None)
        asked = asked_of(request)
        answers = await asyncio.gather(
            *(fetched(one, asked.target, asked.headers) for one in up), return_exceptions=True
        )
        told = zip(up, answers, strict=True)
        texts = {one.name: got[1].decode() for one, got in told if isinstance(got, tuple) and got[0] == 200}
        return Response(merged(texts), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _others(app: FastAPI, door: Door, gate: Gate) -> None:
    """What has a name goes to its node, all else to any; tokens are checked there again, with what they may."""

    async def lead(request: Request, path: str) -> Response:
        if request.method != "OPTIONS" and path.partition("/")[0] in ("api", "whip", "whep"):
            gate.admit(request)
        return await door.steer(request, _name_in(path))

    app.add_api_route("/{path:path}", lead, methods=METHODS)


def _name_in(path: str) -> str:
    """The name that tells a path's node: a session's, a viewer's, an enrolment's, a portrait's; '' without one."""
    match PurePosixPath(path).parts:
        case ("api", "session" | "enrolments" | "avatars", name) | ("api", "avatars", name, "portrait" | "preview"):
            return name
        case ("whip", "session", name):
            return name
        case ("whep", _, name):
            return name
    return ""


def _wanted(body: bytes) -> tuple[str, str | None]:
    """Avatar and wished address of an offer; a node says what is wrong with an odd one."""
    try:
        offer = json.loads(body)
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(offer, dict):
        return "", None
    avatar, wish = offer.get("avatar"), offer.get("watch")
    return avatar if isinstance(avatar, str) else "", wish if isinstance(wish, str) else None
