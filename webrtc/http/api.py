"""The page's own routes: its session, its pictures, and how the server is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError

from engine import avatars
from engine.contracts import DEFAULT_LOOK_AHEAD_MS, LOOK_AHEADS_MS
from engine.enrolment.photos.photo_formats import media_types
from engine.enrolment.photos.visitors_films import MEDIA_TYPES as FILM_TYPES
from engine.errors import UnknownAvatar
from engine.marking.consent import LONGEST
from engine.paths import assets
from webrtc.access.rights import Caller
from webrtc.http.admission import Gate
from webrtc.http.bodies import UPLOAD_LIMIT_S, BadRequest, check_upload, media_type_of, read_body, save_body
from webrtc.http.path_prefix import prefix_of
from webrtc.http.schemas import (
    BODY,
    Answer,
    Avatars,
    Enrolment,
    Health,
    IceServerBody,
    IceServers,
    OfferBody,
    Ready,
    conditional,
    content,
    refusals,
    takes,
)
from webrtc.http.whip import RESTARTED, trickle, watch_link
from webrtc.service import Service, Stopping, Wanted
from webrtc.visitors.enrolment_job import Job
from webrtc.visitors.still_pictures import opaque, opaque_kept
from webrtc.visitors.visitor_portraits import NoPortraits

JSON = "application/json"
PHOTOS = ", ".join(media_types())
FILMS = ", ".join(FILM_TYPES)
MOST_PHOTO, MOST_FILM = 12 << 20, 200 << 20  # bytes: a telephone's minute at 1080 pixels has 60 to 130 MB
FILM_LIMIT_S = 600  # for all of a film to come


def routes(service: Service, gate: Gate) -> APIRouter:
    """Everything below ``/api/``, and ``/healthz``, ``/readyz``, ``/metrics``."""
    router = APIRouter()
    for group in (_sessions, _avatars, _figures):
        group(router, service, gate)
    return router


def _sessions(router: APIRouter, service: Service, gate: Gate) -> None:
    """A two-way session: opened, late candidates, ended."""
    speaks, opens = Depends(gate.needs("speak")), Depends(gate.needs("speak", opens=True))
    connects = [Depends(gate.needs("speak", "watch"))]

    @router.post(
        "/api/session",
        status_code=201,
        response_model=Answer,
        responses={
            201: {"headers": {name: {"schema": {"type": "string"}} for name in ("Location", "ETag", "Link")}},
            **refusals(*BODY, 403, 404, 409, 422, 429, 503),
        },
        openapi_extra=takes(JSON, OfferBody.model_json_schema()),
    )
    async def open_session(request: Request, response: Response, caller: Caller = opens) -> Answer:
        """Open a two-way session."""
        offer = _read_offer(await read_body(request, JSON, "Accept-Post"))
        wanted = Wanted(caller, offer.avatar or None, offer.look_ahead_ms, offer.matte, offer.watch, offer.badge)
        speaker, answer = await service.open(wanted, offer.sdp)
        session, connection = speaker.session, speaker.connection
        response.headers.update(
            {"Location": f"{prefix_of(request)}/api/session/{session.name}", "ETag": connection.etag}
        )
        response.headers.append("Link", watch_link(request, session))
        return Answer(
            sdp=answer, session=session.name, watch=session.address, avatar=session.avatar, codec=connection.codec
        )

    @router.delete("/api/session/{session}", status_code=204, response_class=Response, responses=refusals(404))
    async def close_session(session: str, caller: Caller = speaks) -> Response:
        """End a session."""
        await service.session(session, caller).close("The session was ended.")
        return Response(status_code=204)

    @router.patch(
        "/api/session/{session}",
        status_code=204,
        response_class=Response,
        responses={**RESTARTED, **refusals(*BODY, 404, 412, 422, 428)},
        openapi_extra=conditional(),
    )
    async def trickle_session(request: Request, session: str, caller: Caller = speaks) -> Response:
        """Late candidates, and ICE restarts, as WHIP takes them."""
        return await trickle(request, service.connection(session, caller))

    @router.get("/api/ice-servers", responses=refusals(), dependencies=connects)
    async def list_ice_servers() -> IceServers:
        """STUN and TURN servers for a connection that is about to be made."""
        servers = service.config.ice_servers_now()
        return IceServers(
            ice_servers=[IceServerBody(urls=s.url, username=s.username, credential=s.credential) for s in servers]
        )


def _avatars(router: APIRouter, service: Service, gate: Gate) -> None:
    """What can be chosen, and portraits that are brought."""
    looks = [Depends(gate.needs("speak", "watch", "enrol"))]
    enrols = [Depends(gate.needs("enrol"))]
    owns, brings = Depends(gate.needs("enrol")), Depends(gate.needs("enrol", opens=True))

    @router.get("/api/avatars", responses=refusals(), dependencies=looks)
    async def list_avatars() -> Avatars:
        """What can be chosen."""
        return Avatars(
            avatars=service.engine.avatars(),
            default=service.engine.default_avatar,
            look_aheads_ms=list(LOOK_AHEADS_MS),
            default_look_ahead_ms=DEFAULT_LOOK_AHEAD_MS,
            mover=service.engine.config.moved_by,
            portraits=service.config.portraits > 0,
            photos=list(media_types()),
            films=list(FILM_TYPES) if _films(service) else [],
            film_seconds=service.config.film_seconds,
            film_bytes=MOST_FILM,
        )

    @router.post(
        "/api/avatars",
        status_code=202,
        response_model=Enrolment,
        responses={
            202: {"headers": {"Location": {"schema": {"type": "string"}}}},
            **refusals(*BODY, 403, 429, 503, 507),
        },
        openapi_extra=takes(f"{PHOTOS}, {FILMS}", {"type": "string", "format": "binary"}),
    )
    async def bring_portrait(
        request: Request,
        response: Response,
        consent: Annotated[str, Query(max_length=LONGEST)] = "",
        photo_bytes: Annotated[int, Query(ge=0)] = 0,
        same_person: bool = False,
        caller: Caller = brings,
    ) -> Enrolment:
        """Make an avatar of a photograph, or of a film of the person; how far it is, is told at the Location.

        ``consent``: who agreed to what; films need it. ``photo_bytes``: the body begins with a photograph of so many
        bytes, which becomes the portrait, and the film comes behind it. ``same_person``: photo and film show one person
        alone, whatever their faces say.
        """
        if not service.config.portraits:
            raise NoPortraits
        if service.draining:
            raise Stopping
        film = media_type_of(request) in FILM_TYPES
        if film and not _films(service):
            raise NoPortraits("films")
        most, limit_s = (MOST_FILM, FILM_LIMIT_S) if film else (MOST_PHOTO, UPLOAD_LIMIT_S)
        check_upload(request, f"{PHOTOS}, {FILMS}" if _films(service) else PHOTOS, "Accept-Post", most + photo_bytes)
        if photo_bytes and not film:
            raise BadRequest("The parameter photo_bytes is for a photo before a film: send a photo alone without it.")
        if photo_bytes > MOST_PHOTO:
            raise BadRequest(f"The photo was expected to hold at most {MOST_PHOTO} bytes: give a smaller one.", 413)

        async def receive(job: Job) -> None:
            await save_body(request, job.source, most, limit_s, (job.photo, photo_bytes) if photo_bytes else None)

        seconds = service.config.film_seconds if film else 0
        job = await service.portraits.bring(caller, receive, consent.strip(), seconds, same_person)
        response.headers["Location"] = f"{prefix_of(request)}/api/enrolments/{job.name}"
        return _enrolment(job)

    @router.get("/api/enrolments/{enrolment}", responses=refusals(404), dependencies=enrols)
    async def enrolment(enrolment: str) -> Enrolment:
        """How far an enrolment is."""
        return _enrolment(service.portraits.job(enrolment))

    @router.delete("/api/enrolments/{enrolment}", status_code=204, response_class=Response, responses=refusals(404))
    async def stop_enrolment(enrolment: str, caller: Caller = owns) -> Response:
        """Stop an enrolment, and delete what came of it."""
        await service.forget_enrolment(enrolment, caller)
        return Response(status_code=204)

    @router.delete("/api/avatars/{avatar}", status_code=204, response_class=Response, responses=refusals(404))
    async def delete_portrait(avatar: str, caller: Caller = owns) -> Response:
        """Delete an avatar that one has brought, at once and with all that it was made of."""
        await service.forget_portrait(avatar, caller)
        return Response(status_code=204)

    @router.get(
        "/api/avatars/{avatar}/portrait",
        response_class=Response,
        responses={**content(200, "image/png", "The still picture."), **refusals(404)},
        dependencies=looks,
    )
    async def portrait(avatar: str) -> Response:
        """The still picture of an avatar."""
        picture = opaque if avatar in service.portraits.folders else opaque_kept  # what is deleted is nowhere
        return Response(await asyncio.to_thread(picture, _portrait(service, avatar)), media_type="image/png")

    @router.get(
        "/api/avatars/{avatar}/preview",
        response_class=Response,
        responses={**content(200, "image/png", "Its mesh and mask, and its face in motion."), **refusals(404)},
    )
    async def preview(avatar: str, caller: Caller = owns) -> Response:
        """What was understood of a photo or film that one has brought, on one sheet."""
        sheet = await asyncio.to_thread(service.portraits.preview, avatar, caller)
        return Response(sheet, media_type="image/png")

    @router.get(
        "/api/sample",
        response_class=Response,
        responses={**content(200, "audio/wav", "The speech."), **refusals()},
        dependencies=looks,
    )
    async def sample() -> Response:
        """The bundled speech."""
        return FileResponse(assets() / "speech.wav", media_type="audio/wav")


def _figures(router: APIRouter, service: Service, gate: Gate) -> None:
    """How the server is."""

    @router.get("/healthz", response_model=Health, responses={503: {"model": Health, "description": "Engine down."}})
    async def health() -> JSONResponse:
        """How the server is."""
        alive = service.engine.alive
        body = Health(ok=alive, sessions=len(service.sessions), max_sessions=service.config.engine.max_sessions)
        return JSONResponse(body.model_dump(), 200 if alive else 503)

    @router.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Not now."}})
    async def ready() -> JSONResponse:
        """Whether a new session would be let in."""
        reason = service.closed_because()
        body = Ready(ready=reason is None, reason=reason, free=0 if reason else service.free)
        return JSONResponse(body.model_dump(), 200 if reason is None else 503)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={**content(200, "text/plain", "Prometheus's text format."), **refusals()},
        dependencies=[Depends(gate.needs("figures"))],
    )
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _films(service: Service) -> bool:
    """Whether visitors may bring films."""
    return service.config.portraits > 0 and service.config.film_seconds > 0


def _enrolment(job: Job) -> Enrolment:
    return Enrolment(
        state=job.state,  # type: ignore[arg-type]
        progress=job.progress,
        share=job.share,
        avatar=job.avatar,
        warnings=job.warnings,
        error=job.error,
        overrule=job.overrule,
    )


EXPECTED = {
    "avatar": "The avatar was expected to be a name.",
    "watch": "The address to be watched at was expected to be a text.",
    "look_ahead_ms": f"The field look_ahead_ms was expected to be one of {', '.join(map(str, LOOK_AHEADS_MS))}.",
}


def _read_offer(body: bytes) -> OfferBody:
    """Raises BadRequest."""
    try:
        return OfferBody.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if problem["type"] == "json_invalid":
            raise BadRequest("The body was expected to be JSON, but it cannot be read.") from None
        field = str(problem["loc"][0]) if problem["loc"] else ""
        sentence = "The body was expected to be a JSON object that holds an offer: sdp as text, and type 'offer'."
        raise BadRequest(EXPECTED.get(field, sentence)) from None


def _portrait(service: Service, name: str) -> Path:
    """The portrait of an avatar; a name is looked up, it never becomes a path."""
    if name in service.portraits.folders:
        return service.portraits.folders[name] / "portrait.png"
    if name not in service.engine.avatars():
        raise UnknownAvatar("There is no avatar of that name here.")
    table = avatars.installed()
    if name in table:
        return table[name] / "portrait.png"
    return avatars.resolve(service.config.engine.avatar)[1] / "portrait.png"
