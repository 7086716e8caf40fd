"""What we lean on inside uvicorn, which promises none of it: looked at when it is first asked for.

A server with other insides is refused at its start, in a sentence; otherwise it would only fail under strangers.
"""

from __future__ import annotations

from importlib.metadata import version

import uvicorn

from engine.errors import VivifyError

try:
    from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
except ImportError as missing:
    raise VivifyError(
        f"uvicorn 0.51 or newer was expected, but {version('uvicorn')} has no {missing.name}: install what "
        "constraints.txt names."
    ) from None

__all__ = ["H11Protocol", "WebSocketsSansIOProtocol", "check_names"]

CALLED: dict[type, str] = {  # what is overridden, or called under its own name
    H11Protocol: "connection_made data_received on_response_complete handle_websocket_upgrade connection_lost "
    "pause_writing resume_writing",
    WebSocketsSansIOProtocol: "data_received receive connection_lost resume_writing",
    uvicorn.Server: "startup handle_exit",
}
SET: dict[type, str] = {  # what their makers set, and we read or set
    H11Protocol: "connections cycle loop transport",
    RequestResponseCycle: "response_complete",
    WebSocketsSansIOProtocol: "conn frames loop read_paused transport writable",
    uvicorn.Server: "force_exit should_exit",
}


def check_names() -> None:
    """Raises VivifyError when one of them is not there."""
    for owner, names in CALLED.items():
        _check(owner, names, set(dir(owner)))
    for owner, names in SET.items():
        _check(owner, names, set(owner.__init__.__code__.co_names))  # type: ignore[misc]


def _check(owner: type, names: str, there: set[str]) -> None:
    missing = [name for name in names.split() if name not in there]
    if missing:
        raise VivifyError(
            f"uvicorn was expected to have {owner.__name__}.{missing[0]} as its version 0.54 has it, but in "
            f"{version('uvicorn')} it is not there: install uvicorn 0.54, for example with -c constraints.txt."
        )


check_names()
