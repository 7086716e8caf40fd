"""What schemathesis must be told for scripts/evaluate_api: how bodies of our types are sent, and what is a crash."""

from __future__ import annotations

from typing import Any

import schemathesis

from engine.enrolment.photos.photo_formats import media_types
from engine.enrolment.photos.visitors_films import MEDIA_TYPES


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag", *media_types(), *MEDIA_TYPES)
def as_bytes(context: Any, value: Any) -> bytes:
    """Text and bytes go as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.check
def no_crash(context: Any, response: Any, case: Any) -> None:
    """A full server says 503; any other 5xx is a mistake of ours."""
    assert response.status_code < 500 or response.status_code == 503, response.text
