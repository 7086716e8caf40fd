"""A socket that listens, and where it is found; quickly read, for it comes before all else."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable

from engine.errors import VivifyError

AfterStart = Callable[[str], Awaitable[bool]]  # gets the server's URL; False ends the service


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed; None means asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises VivifyError when the port is in use or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise VivifyError(f"Port {port} on {host} is already in use: choose another with --port.") from None
        raise VivifyError(f"Listening on {host}, port {port}, failed ({error.strerror}): check --host.") from None
    return sock


def url_of(sock: socket.socket) -> str:
    """Where a client of this machine finds the server."""
    host, port = sock.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    return f"http://{name}:{port}"
