"""WHIP's few requests (RFC 9725): the offer, redirects followed; the end; the ICE servers that are named."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from clients.url_parts import parts_of
from engine.errors import VivifyError

HTTP_TIMEOUT_S = 10.0
MOST_REDIRECTS = 5
MOST_BYTES = 256 * 1024  # of an answer
REDIRECTS = (307, 308)  # the only ones after which a POST may stay one
AGAIN = (404, 408, 409, 425, 429, 500, 502, 503, 504)  # a stream not made yet, a busy server: worth another try
LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w-]+\s*(?:=\s*(?:"[^"]*"|[^\s,;"]*))?)*)')
PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s,;"]*))')
ICE_URL = re.compile(r"(stun|turns?):[\w.\-\[\]:]+(\?transport=(udp|tcp))?$")


class WhipError(VivifyError):
    """It did not work; ``lasting``: nor will it if it is tried again."""

    def __init__(self, sentence: str, lasting: bool = False) -> None:
        super().__init__(sentence)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A STUN or TURN server that a `Link` names."""

    url: str
    username: str | None
    credential: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered to an offer. ``resource`` is the stream's own URL, to be deleted at its end."""

    sdp: str
    resource: str | None
    ice: list[NamedServer] = field(default_factory=list)


def publish(url: str, offer: str, token: str | None) -> Answer:
    """Offer a stream. Raises WhipError."""
    for _ in range(MOST_REDIRECTS):
        status, headers, body = _ask("POST", url, token, offer.encode())
        if status == 201:
            resource = _led_to(url, headers.get("Location") or "")
            return Answer(body.decode(errors="replace"), resource, named_servers(headers.get_all("Link") or []))
        if status not in REDIRECTS:
            raise _refused(url, status, body)
        url = _redirected(url, headers.get("Location"))
    raise WhipError(f"{shown(url)} was expected to take a stream, but sends from one address to the next.")


def ice_servers(url: str, token: str | None) -> list[NamedServer]:
    """Those that the endpoint names before it is offered anything (RFC 9725, section 4.6); most name none there."""
    with contextlib.suppress(WhipError):
        return named_servers(_ask("OPTIONS", url, token)[1].get_all("Link") or [])
    return []


def unpublish(resource: str, token: str | None) -> None:
    """Tell the server that the stream is over. One that is gone cannot be told."""
    with contextlib.suppress(WhipError):
        _ask("DELETE", resource, token)


def named_servers(links: Iterable[str]) -> list[NamedServer]:
    """The STUN and TURN servers of `Link` headers; what is no such URL is left out."""
    found = []
    for url, rest in LINK.findall(", ".join(links)):
        words = {name.lower(): quoted or plain for name, quoted, plain in PARAMETER.findall(rest)}
        if "ice-server" in words.get("rel", "").split() and ICE_URL.match(url):
            found.append(NamedServer(url, words.get("username"), words.get("credential")))
    return found


def shown(url: str) -> str:
    """A URL without what may be a secret in it."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class _Stay(urllib.request.HTTPRedirectHandler):
    """urllib would make a GET of a redirected POST."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(method: str, url: str, token: str | None, body: bytes | None = None) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, body, method=method)
    if body is not None:
        request.add_header("Content-Type", "application/sdp")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=HTTP_TIMEOUT_S) as response:
            return response.status, response.headers, response.read(MOST_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read(MOST_BYTES)
    except (OSError, ValueError) as error:
        raise WhipError(f"{shown(url)} cannot be reached: {getattr(error, 'reason', None) or error}") from None


def _redirected(url: str, place: str | None) -> str:
    """Where a redirect leads. The token goes along, for a server may send to its own others, but not in the clear."""
    if not place:
        raise WhipError(f"{shown(url)} was expected to say where it redirects to, but names no Location.")
    there = _led_to(url, place)
    if there is None:
        raise WhipError(f"{shown(url)} redirects to an address that is not safe.", lasting=True)
    return there


def _led_to(url: str, place: str) -> str | None:
    """Where a ``Location`` leads from ``url``; None for none, and for what no token may be sent to."""
    try:
        there = urllib.parse.urljoin(url, place)
    except ValueError:
        return None
    safe = parts_of(there, ("https",) if url.startswith("https:") else ("http", "https"))
    return there if place and safe else None


def _refused(url: str, status: int, body: bytes) -> WhipError:
    words = ""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        said = json.loads(body)
        words = str(said.get("error") or said.get("detail") or "")[:200]
    if status in (401, 403):
        return WhipError(words or f"{shown(url)} wants another token ({status}): see --whip-token.", lasting=True)
    lasting = status not in AGAIN
    return WhipError(words or f"{shown(url)} was expected to answer 201, but answered {status}", lasting)
