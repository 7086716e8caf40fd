"""`vivify token`: a short-lived token, as an application's back end makes them for its visitors."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.errors import VivifyError
from webrtc.access.tokens import sign


def token(
    rights: Annotated[str, typer.Option(help="Of speak, watch, enrol and figures, joined by a plus.")] = "speak+watch",
    minutes: Annotated[float, typer.Option(help="How long it is good for: a day at most.")] = 60,
    subject: Annotated[str | None, typer.Option(help="Whose it is: limits are counted by it.")] = None,
    session: Annotated[str | None, typer.Option(help="The only session it is good for: its name or address.")] = None,
    badge: Annotated[
        bool, typer.Option("--badge", help="Its sessions' pictures say that they are AI-generated.")
    ] = False,
    token_key: Annotated[
        str | None, typer.Option(envvar="VIVIFY_TOKEN_KEY", help="The server's key, which it is signed with.")
    ] = None,
) -> None:
    """Sign a short-lived token, as an application's back end does for its visitors."""
    if token_key is None:
        raise VivifyError("A key was expected, the server's own: give it with --token-key, or set VIVIFY_TOKEN_KEY.")
    print(sign(token_key, rights.split("+"), 60 * minutes, subject, session, badge))
