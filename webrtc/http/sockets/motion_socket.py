"""What a face does, for programs that only watch: a WebSocket that sends `motion` messages and takes none."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from engine.errors import EngineFull, VivifyError
from webrtc.http.admission import Gate, subprotocol_of
from webrtc.http.refusals import refused
from webrtc.messages import Told
from webrtc.motion_feed import MotionFeed
from webrtc.service import Service

WAITING = 8  # motions for a slow client; then the oldest are dropped


def routes(service: Service, gate: Gate) -> APIRouter:
    """``/api/motion``."""
    router = APIRouter()

    @router.websocket("/api/motion")
    async def motion(socket: WebSocket, watch: str) -> None:
        """Send the motions of the session that is watched at ``watch``, until it ends or the client leaves."""
        try:
            feed = service.watched(watch, gate.admit_socket(socket, "watch")).participants.motions
            if len(feed) >= (most := service.config.max_viewers):
                raise EngineFull(f"All {most} places for motions of this session are taken; try again in a while.")
        except VivifyError as error:
            return await socket.send_denial_response(refused(error, socket))
        await _send(socket, feed)

    return router


async def _send(socket: WebSocket, feed: MotionFeed) -> None:
    queue: asyncio.Queue[Told] = asyncio.Queue(WAITING)

    def take(message: Told) -> None:
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(message)

    async def send() -> None:
        while True:
            await socket.send_text((await queue.get()).model_dump_json())

    async def listen() -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass  # nothing that is said here counts

    feed.want(queue, take)
    tasks: list[asyncio.Task[object]] = []
    try:
        await socket.accept(subprotocol_of(socket))
        tasks += [asyncio.create_task(work) for work in (send(), listen(), feed.over.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        feed.want(queue, None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if feed.over.is_set():
        await socket.close()
