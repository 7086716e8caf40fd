"""Whether the person of an avatar agreed to being moved, as whoever enrolled it says."""

from __future__ import annotations

from engine.errors import NoConsent
from engine.face.avatar import Avatar

LONGEST = 500  # characters


def demand_words(consent: str) -> None:
    """Of a film that is made of a photo. Raises NoConsent."""
    if not consent.strip():
        raise NoConsent(
            "A photo whose person's consent is filled in was expected (--require-consent): add --consent TEXT, once "
            "they gave it."
        )


def demand_consent(avatar: Avatar) -> None:
    """Raises NoConsent."""
    if not avatar.facts.get("consent", "").strip():
        raise NoConsent(
            f"An avatar whose person's consent is filled in was expected (--require-consent), but '{avatar.name}' has "
            "none: enrol it again with --consent TEXT, or fill in consent in its avatar.json, once they gave it."
        )
