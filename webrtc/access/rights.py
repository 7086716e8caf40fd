"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

RIGHTS = ("speak", "watch", "enrol", "figures")
ALL_RIGHTS = frozenset(RIGHTS)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who stands behind a request. None of it is a secret: it may be kept and compared.

    ``owner``: whose sessions these are, and whose limits count: a token's, or its subject's; without tokens, the
    address's. ``address``: the network they ask from. ``personal``: the owner is one person, at whatever address; a
    token that is no subject's may be in many hands. ``session``: the only one they may have to do with, by its name or
    by the address it is watched at; None leaves it open. ``badge``: pictures of
    sessions that they open carry the visible badge.
    """

    owner: str
    address: str
    rights: frozenset[str] = ALL_RIGHTS
    session: str | None = None
    personal: bool = False
    badge: bool = False

    @property
    def visitor(self) -> str:
        """The smallest group of people this one can be told from: of one token at one address."""
        return f"{self.owner} {self.address}"

    def may_steer(self, opener: Caller, *names: str) -> bool:
        """Whether the session of these ``names`` is theirs to speak in, to change and to end."""
        return self.owner == opener.owner if self.session is None else self.session in names

    def is_again(self, opener: Caller) -> bool:
        """Whether this is who opened a session, come back."""
        return self.owner == opener.owner and (self.personal or self.address == opener.address)
