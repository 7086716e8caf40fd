"""Datagrams to an app that never answers: who listens is known only where nobody does."""

from __future__ import annotations

import socket
import time

from clients.outputs.output import OutputError

FRESH_S = 1.0
LARGEST = 1400  # bytes of one datagram: within the MTU of ordinary networks, tunnels included


def host_and_port(text: str, port: int, option: str) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT``, ``[IPV6]:PORT``. Raises OutputError for anything else."""
    host, number = text, str(port)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        number = rest.removeprefix(":") or number
    elif text.count(":") == 1:
        host, number = text.split(":")
    if not host or not number.isdigit() or not 0 < int(number) < 65536:
        raise OutputError(
            f"{option} was expected to be HOST or HOST:PORT, such as 127.0.0.1:{port}, but '{text}' came."
        )
    return host, int(number)


class Datagrams:
    """A UDP socket to one address."""

    def __init__(self, host: str, port: int, option: str) -> None:
        """Raises OutputError for a name that is not known."""
        self._where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind)
            self._socket.setblocking(False)
            self._socket.connect(address)
        except OSError as error:
            raise OutputError(f"{option} cannot send to {self._where} ({error}): is the name right?") from None
        self._trouble, self._since = "", 0.0

    @property
    def state(self) -> str:
        """Where it sends to, or what came back within the last second."""
        fresh = self._trouble and time.monotonic() - self._since < FRESH_S
        return self._trouble if fresh else f"to {self._where}"

    def send(self, data: bytes) -> None:
        """Send, or drop: what a network cannot take now is stale a moment later."""
        try:
            self._socket.send(data)
        except ConnectionRefusedError:  # an earlier one came back: the port is closed
            self._note(f"nobody listens at {self._where}")
        except BlockingIOError:
            pass
        except OSError as error:
            self._note(f"{self._where} cannot be reached ({error.strerror})")

    def _note(self, trouble: str) -> None:
        self._trouble, self._since = trouble, time.monotonic()

    def close(self) -> None:
        self._socket.close()
