"""Tokens: fixed ones that a server is told at its start, and short-lived ones that an application's back end signs.

A signed token is a JWT (RFC 7519, HS256): ``exp``, within a day; ``rights``, a list; and if wished ``sub``, whose
limits count, ``session``, the only one it is good for, by its name or by the address it is watched at, and ``badge``,
true for pictures that say for all to see that they are made. `sign` makes one; so does any JWT library in any language.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

from engine.errors import VivifyError
from webrtc.access.rights import ALL_RIGHTS, RIGHTS, Caller

SHORTEST_TOKEN = 16
SHORTEST_KEY = 32  # bytes: RFC 7518, section 3.2, of HS256
LONGEST_TOKEN = 4096  # characters
LONGEST_LIFE_S = 24 * 3600
LEEWAY_S = 10  # between the clocks of who signs and of who reads
LONGEST_CLAIM = 128  # characters of a subject, or a session
SHORTEST_SESSION = 16  # of whatever names one
AUDIENCE = "vivify"  # a token that names whom it is for must name this


class BadToken(VivifyError):
    """No token, or none that is known, signed as it should be, and still good."""


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A secret, and what it gives the right to."""

    secret: str = field(repr=False)
    rights: frozenset[str] = ALL_RIGHTS

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST_TOKEN:
            raise VivifyError(
                f"A token must have at least {SHORTEST_TOKEN} characters, but {len(self.secret)} were given: "
                "make one with 'openssl rand -hex 16'."
            )


def read_tokens(text: str | None) -> tuple[FixedToken, ...]:
    """Tokens as ``--token`` takes them: ``SECRET``, or ``SECRET:watch+figures``, several with commas between.

    Raises VivifyError.
    """
    return () if text is None else tuple(_fixed(part.strip()) for part in text.split(","))


def _fixed(text: str) -> FixedToken:
    secret, colon, rights = text.partition(":")
    return FixedToken(secret, read_rights(rights.split("+")) if colon else ALL_RIGHTS)


def read_rights(names: Iterable[str]) -> frozenset[str]:
    """Raises VivifyError for none, and for what is no right."""
    rights = frozenset(names)
    if not rights or rights - ALL_RIGHTS:
        raise VivifyError(
            f"The rights of a token were expected to be of {', '.join(RIGHTS)}, such as SECRET:{'+'.join(RIGHTS[:2])}, "
            "but something else was given; a secret itself has no colon in it."
        )
    return rights


def check_key(key: str) -> None:
    """Raises VivifyError for a key that is too short, or where nothing here can read what it signs."""
    if len(key.encode()) < SHORTEST_KEY:
        raise VivifyError(
            f"A key that signs tokens must have at least {SHORTEST_KEY} bytes, but {len(key.encode())} were given: "
            "make one with 'openssl rand -hex 32'."
        )
    if find_spec("jwt") is None:
        raise VivifyError("Signed tokens need PyJWT, which is not installed: pip install 'vivify[tokens]'.")


def sign(
    key: str,
    rights: Iterable[str] = ("speak", "watch"),
    seconds: float = 3600,
    subject: str | None = None,
    session: str | None = None,
    badge: bool = False,
) -> str:
    """A signed token. Raises VivifyError for a key, rights, names or a life that no server takes."""
    check_key(key)
    if not 0 < seconds <= LONGEST_LIFE_S:
        raise VivifyError(
            f"A signed token was expected to live {LONGEST_LIFE_S // 3600} hours at most, and more than none, but "
            f"{seconds / 60:g} minutes were given."
        )
    for name, value, least in (("subject", subject, 1), ("session", session, SHORTEST_SESSION)):
        if value is not None and not least <= len(value) <= LONGEST_CLAIM:
            raise VivifyError(
                f"A token's {name} was expected to have {least} to {LONGEST_CLAIM} characters, but {len(value)} came."
            )
    import jwt

    claims: dict[str, Any] = {"exp": int(time.time() + seconds), "rights": sorted(read_rights(rights))}
    named = {"sub": subject, "session": session, "badge": badge or None}
    return jwt.encode(claims | {name: value for name, value in named.items() if value is not None}, key, "HS256")


class Tokens:
    """All that a server takes. Without any, everybody has all rights."""

    def __init__(self, fixed: tuple[FixedToken, ...], key: str | None) -> None:
        self._fixed = fixed
        self._key = key

    @property
    def wanted(self) -> bool:
        """Whether one is; else everybody has all rights."""
        return bool(self._fixed) or self._key is not None

    def caller(self, shown: str, address: str) -> Caller:
        """Who shows a token, from which network. Raises BadToken.

        Every fixed token is compared, and each in constant time: how long it takes tells nothing.
        """
        if not self.wanted:
            return Caller(address, address)
        fits = [hmac.compare_digest(_bytes(shown), _bytes(token.secret)) for token in self._fixed]
        if any(fits):
            return Caller(f"token {_digest(shown)}", address, self._fixed[fits.index(True)].rights)
        if self._key is None or shown.count(".") != 2 or len(shown) > LONGEST_TOKEN:
            raise BadToken(
                "A valid token was expected, as 'Authorization: Bearer TOKEN'; behind a page's address, #token=TOKEN."
            )
        return replace(_signed(shown, self._key), address=address)


def _signed(shown: str, key: str) -> Caller:
    """Whose signed token this is, still without an address. Raises BadToken."""
    import jwt

    try:
        claims = jwt.decode(
            shown, key, ["HS256"], leeway=LEEWAY_S, options={"require": ["exp", "rights"], "verify_aud": False}
        )
        life = int(claims["exp"]) - time.time()
    except jwt.ExpiredSignatureError:
        raise BadToken("The token's time is over: get another one.") from None
    except Exception:  # whatever a stranger's bytes make of a parser
        raise BadToken(
            "A token was expected that this server knows, or that is signed with its key and holds exp and rights."
        ) from None
    rights, subject, session = claims["rights"], claims.get("sub"), claims.get("session")
    badge = claims.get("badge", False)
    audience = claims.get("aud", AUDIENCE)
    if life > LONGEST_LIFE_S + LEEWAY_S:
        raise BadToken(f"A signed token was expected to live {LONGEST_LIFE_S // 3600} hours at most.")
    if AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        raise BadToken(f"A signed token was expected to be for '{AUDIENCE}', where it names an audience.")
    if not isinstance(rights, list) or not rights or not all(right in RIGHTS for right in rights):
        raise BadToken(f"A signed token's rights were expected to be a list of {', '.join(RIGHTS)}.")
    for name, value in (("sub", subject), ("session", session)):
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= LONGEST_CLAIM):
            raise BadToken(f"A signed token's {name} was expected to be a text of 1 to {LONGEST_CLAIM} characters.")
    if not isinstance(badge, bool):
        raise BadToken("A signed token's badge was expected to be true or false.")
    owner = f"signed {_digest(shown)}" if subject is None else f"subject {subject}"
    return Caller(owner, "", frozenset(rights), session, subject is not None, badge)


def _digest(secret: str) -> str:
    return hashlib.sha256(_bytes(secret)).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
