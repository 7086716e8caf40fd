"""What goes over HTTP, as the OpenAPI document (``/openapi.json``) tells it."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from engine.contracts import DEFAULT_LOOK_AHEAD_MS

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
LookAhead = Literal[0, 40, 80, 120]  # engine.contracts.LOOK_AHEADS_MS


class Body(BaseModel):
    """What the server sends: these fields, all of them, and no others."""

    model_config = ConfigDict(extra="forbid")


class Refusal(Body):
    """Why a request was refused."""

    error: str = Field(description="One sentence: what was expected, what came, what to do.")


class OfferBody(BaseModel):
    """An offer to open a two-way session. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    type: Literal["offer"]
    sdp: str = Field(pattern=r"\S")
    avatar: str | None = None
    look_ahead_ms: LookAhead = cast(LookAhead, DEFAULT_LOOK_AHEAD_MS)
    watch: str | None = Field(None, description="A wish for the address it is watched at, the same each time.")
    matte: bool = Field(False, description="Pictures twice as wide: the person, and beside it the matte as grey.")
    badge: bool = Field(False, description="Pictures with words in a corner: AI-generated.")


class Answer(Body):
    """The answer to an offer."""

    type: Literal["answer"] = "answer"
    sdp: str
    session: str = Field(description="The session's name, for who opened it.")
    watch: str = Field(description="The address it is watched at: /whep/ADDRESS, /obs/ADDRESS.")
    avatar: str
    codec: str


class Avatars(Body):
    """What can be chosen."""

    avatars: list[str]
    default: str
    look_aheads_ms: list[int]
    default_look_ahead_ms: int
    mover: str = Field(description="Who moves heads and upper faces; style, guidance and keys are for `prior`.")
    portraits: bool = Field(description="Whether visitors may bring a portrait.")
    photos: list[str] = Field(description="The media types such a portrait may have.")
    films: list[str] = Field(description="Those that a film of the person may have; empty where none are taken.")
    film_seconds: int = Field(description="How many seconds of such a film are used.")
    film_bytes: int = Field(description="How long its file may be.")


class Enrolment(Body):
    """How a portrait is becoming an avatar."""

    state: Literal["working", "done", "refused"]
    progress: str
    share: float = Field(description="How much of it is done, 0 to 1.")
    avatar: str | None = Field(description="The avatar's name, once it is there: who knows it may use it.")
    warnings: list[str]
    error: str | None
    overrule: str | None = Field(description="The parameter with which the same would be taken all the same, if any.")


class IceServerBody(Body):
    """As a browser's RTCPeerConnection takes it."""

    urls: str
    username: str | None = None
    credential: str | None = None


class IceServers(Body):
    """STUN and TURN servers; logins are good for some hours."""

    ice_servers: list[IceServerBody]


class Health(Body):
    """How the server is."""

    ok: bool
    sessions: int
    max_sessions: int


class Ready(Body):
    """Whether a new session would be let in, and why not; how many would be."""

    ready: bool
    reason: str | None
    free: int


WHY = {
    403: "Not taken here, or not with this token.",
    400: "The request is not what was expected.",
    404: "There is nothing of that name.",
    408: "The body did not come in time.",
    409: "Nobody is to be watched there yet; or, of a session to be opened, its address is taken.",
    412: "The If-Match header holds another session's ETag.",
    413: "The body is too long.",
    415: "The body is of another type.",
    422: "The request can be read, but asks for what is not offered here, or not now.",
    428: "The If-Match header is missing.",
    429: "Too many openings, or sessions, of this token or address.",
    503: "The server is full, or its engine is down.",
    507: "The server's disk has no room for it.",
}
BODY = (400, 408, 413, 415)  # of every request with a body

Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Responses:
    """The documented refusals of a route; any other (401, 403, 421) is told in the same form."""
    told: Responses = {status: {"model": Refusal, "description": WHY[status]} for status in statuses}
    for status in {409, 429, 503} & set(told):
        told[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return {**told, "default": {"model": Refusal, "description": "Any other refusal."}}


def content(status: int, media_type: str, description: str, *headers: str) -> Responses:
    """A response whose body is text or bytes, not JSON."""
    schema = {} if media_type.startswith(("text/", SDP, FRAGMENT)) else {"format": "binary"}
    return {
        status: {
            "description": description,
            "content": {media_type: {"schema": {"type": "string", **schema}}},
            "headers": {name: {"schema": {"type": "string"}} for name in headers},
        }
    }


def takes(media_type: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """The documented request body of a route that reads it itself; several types have commas between."""
    types = {one: {"schema": schema or {"type": "string"}} for one in media_type.split(", ")}
    body = {"required": True, "content": types}
    return {"requestBody": body}


def conditional() -> dict[str, Any]:
    """The same for late candidates, with their precondition."""
    tag = {"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}}
    return {**takes(FRAGMENT), "parameters": [tag]}
