"""The addresses that sessions are watched at: who knows one may watch there, and nothing else.

Where several nodes stand behind one door, names and addresses made here begin with their node's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from engine.errors import VivifyError
from webrtc.access.rights import Caller

_WISH = re.compile(r"[\w-]{1,64}", re.ASCII)
_NAMED = re.compile(r"[\w-]{16,128}", re.ASCII)
PORTRAIT = "own-"  # what names of visitors' portraits begin with
_NODE_ENDS = "."  # nobody can wish for it
_TAIL = 12  # bytes of an address that nobody guesses


class OtherSession(VivifyError):
    """A token that is good for one session alone."""

    def __init__(self) -> None:
        super().__init__("This token is good for one session alone, and not for opening another.")


class AddressTaken(VivifyError):
    """Another session is watched there."""

    def __init__(self) -> None:
        super().__init__("Another session is watched at that address: end it first, or choose another address.")


class NotYet(VivifyError):
    """Nobody is to be watched there yet (draft-ietf-wish-whep, section 4.2: 409)."""

    def __init__(self) -> None:
        super().__init__("There is nobody to be watched at that address yet: ask again in a little while.")


def fresh(node: str = "") -> str:
    """A name, or an address, that nobody guesses, and that tells which node it is of."""
    return f"{node}{_NODE_ENDS}{secrets.token_urlsafe(_TAIL)}" if node else secrets.token_urlsafe(_TAIL)


def node_of(name: str) -> str:
    """The node that made a name; '' where none did, as of addresses that somebody wished for."""
    node, ends, _ = name.removeprefix(PORTRAIT).partition(_NODE_ENDS)
    return node if ends else ""


def address_for(caller: Caller, wish: str | None, key: str | None, node: str = "") -> str:
    """Where a new session is watched. Raises OtherSession, or VivifyError for a wish that cannot be.

    A token that names a session names the address. Else a ``wish`` is the same address every time; with a ``key`` (None
    where there are no tokens) it gets a tail that nobody guesses and that belongs to this owner, so that nobody else is
    ever watched there. Without a wish it is another address each time.
    """
    if caller.session is not None:
        if wish not in (None, caller.session) or not _NAMED.fullmatch(caller.session):
            raise OtherSession
        return caller.session
    if wish is None:
        return fresh(node)
    if not _WISH.fullmatch(wish):
        raise VivifyError("A wished address was expected to have 1 to 64 letters, digits, - and _.")
    return wish if key is None else f"{wish}-{_tail(caller.owner, wish, key)}"


def _tail(owner: str, wish: str, key: str) -> str:
    """Of an owner whose token, or the ``key``, nobody knows."""
    digest = hmac.digest(key.encode(), f"{owner}\n{wish}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:_TAIL]).decode()
