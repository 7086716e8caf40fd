"""The parts of a URL that somebody typed, or that a server answered with."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection


def parts_of(url: str, schemes: Collection[str]) -> urllib.parse.SplitResult | None:
    """The parts of a URL of one of the ``schemes`` that names a host; None for whatever else there is."""
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # ValueError for what is none
    except ValueError:
        return None
    return parts if parts.scheme in schemes and parts.hostname else None
