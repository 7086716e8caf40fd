"""How a server stops: nobody new comes in, those who are there may finish, then they are told to come back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from webrtc.service import Service

COME_BACK_S = 2.0  # after the goodbye: a server that is started anew takes some seconds, another one is there at once
LOOK_EVERY_S = 0.1

log = logging.getLogger("vivify")


class Draining:
    """Begins with the first `signalled` and calls ``on_end`` when the last session has ended by itself, after the
    service's ``drain_seconds``, or at once with the second `signalled`."""

    def __init__(self, service: Service) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self._service = service
        self._seconds = service.config.drain_seconds
        self._hurried = False
        self._task: asyncio.Task[None] | None = None

    def signalled(self) -> None:
        """Stop; a second time: stop now. On the server's event loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())
        elif not self._hurried:
            self._hurried = True
        else:
            self.on_end()

    async def _drain(self) -> None:
        service = self._service
        service.draining = True
        if service.sessions:
            count, most = len(service.sessions), round(self._seconds)
            log.warning("stopping: %d sessions may finish within %d s; a second signal ends them at once", count, most)
        deadline = time.monotonic() + self._seconds
        while service.sessions and not self._hurried and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)
        left = len(service.sessions)
        await service.close_all(COME_BACK_S)
        log.info("stopped; %d sessions were told to come back", left)
        self.on_end()
