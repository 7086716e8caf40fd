"""Sound without a microphone: a WebSocket pushes PCM16 into a session, a new one or one that is running.

The messages are protocol.md's. While a socket is there its voice is heard, and no microphone's.
"""

from __future__ import annotations

import asyncio
import functools
import time
import weakref
from collections import deque
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket

from engine.contracts import DEFAULT_LOOK_AHEAD_MS, SAMPLE_RATE
from engine.errors import VivifyError
from webrtc.budget import Budget
from webrtc.http.admission import Gate, subprotocol_of
from webrtc.http.refusals import refused
from webrtc.live_session import LiveSession
from webrtc.logs import SessionLog
from webrtc.media.playout import PIECE_S
from webrtc.media.pushed_sound import PushedVoice
from webrtc.media.voice_line import PIECE
from webrtc.messages import WORDS, Bye, Clear, Flush, Misunderstood, Motions, Ping, Played, Pong, Set, Told, read
from webrtc.service import Service, Wanted

LONGEST_PUSH = 1 << 20  # bytes of one message of sound
ALONE_LIMIT_S = 10.0  # a session that a socket opened waits so long for one to come back, if nobody needs its place
IDLE_LIMIT_S = 600.0  # a socket over which nothing comes for so long is not in use; a ping is something
OUTBOX = 64  # messages that wait for a slow client; one more ends its socket
MOTIONS_WAITING = 8  # of them, what motions may take up
SOUNDS = (1000.0, 4000)  # messages of sound a second, and at once: a synthesizer brings a minute in 20 ms pieces
SERVICE_RESTART = 1012  # a close code (RFC 6455's registry): come back
STALL_S = 0.2  # behind by more, the pace starts anew: sound is late, never lost


def routes(service: Service, gate: Gate) -> APIRouter:
    """``/api/voice``."""
    router = APIRouter()

    @router.websocket("/api/voice")
    async def push(
        socket: WebSocket,
        session: str | None = None,
        avatar: str | None = None,
        look_ahead_ms: Annotated[int, Query()] = DEFAULT_LOOK_AHEAD_MS,
        rate: Annotated[int, Query()] = SAMPLE_RATE,
        matte: bool = False,
        watch: str | None = None,
        badge: bool = False,
    ) -> None:
        """Push sound into ``session``, or into a new one."""
        try:
            caller = gate.admit_socket(socket, "speak")
            voice = PushedVoice(rate)
            live = (
                service.session(session, caller)
                if session
                else await service.open_for_socket(Wanted(caller, avatar, look_ahead_ms, matte, watch, badge))
            )
        except VivifyError as error:
            return await socket.send_denial_response(refused(error, socket))
        await Pusher(live, voice, socket, ends_alone=live.name not in service.connections).run()

    return router


class Pusher:
    """One socket and the session it speaks for. A session that has no other speaker ends some time after it."""

    def __init__(self, session: LiveSession, voice: PushedVoice, socket: WebSocket, ends_alone: bool) -> None:
        self._session = session
        self._voice = voice
        self._socket = socket
        self._ends_alone = ends_alone
        self._outbox: asyncio.Queue[Told | None] = asyncio.Queue(OUTBOX)
        self._fenced_by = 0  # epoch of somebody else's barge-in that this client has not heard of yet
        self._flushes = 0
        self._flushed: deque[int] = deque()  # which are still to be played
        self._position = 0
        self._words, self._sounds = Budget(*WORDS), Budget(*SOUNDS)
        self._heard = time.monotonic()  # when the last message came

    async def run(self) -> None:
        """Until the client leaves or the session ends."""
        session = self._session
        if isinstance(session.participants.speaker, Pusher):  # perhaps its client's own, from before a broken line
            session.participants.speaker.give_way()
        session.participants.join(self)
        session.participants.speak_for(self)
        session.greet(self)
        session.start()
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._socket.accept(subprotocol_of(self._socket))
            tasks += [asyncio.create_task(work) for work in (self._send(), self._listen(), self._speak(), self._idle())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            session.participants.part(self)
            SessionLog(session.name).info("the socket is gone")
            if self._ends_alone and not session.closing:
                asyncio.get_running_loop().call_later(ALONE_LIMIT_S, _end_if_alone, weakref.ref(session))

    def tell(self, message: Told) -> None:
        if self._outbox.full():
            self._outbox.get_nowait()  # a client that does not read loses what is oldest
        self._outbox.put_nowait(message)

    def _moved(self, message: Told) -> None:
        """A motion: where others wait already, it is dropped."""
        if self._outbox.qsize() < MOTIONS_WAITING:
            self._outbox.put_nowait(message)

    def cleared(self, epoch: int) -> None:
        self._voice.clear()
        self._flushed.clear()
        self._fenced_by = epoch

    def give_way(self) -> None:
        """Another socket speaks from now on."""
        self.tell(Bye(reason="Another socket speaks in this session now."))
        self._end()

    async def leave(self) -> None:
        self._end()

    @property
    def present(self) -> bool:
        return True  # uvicorn's pings see to that

    def _end(self) -> None:
        if self._outbox.full():
            self._outbox.get_nowait()
        self._outbox.put_nowait(None)

    async def _send(self) -> None:
        code = 1000
        while (message := await self._outbox.get()) is not None:
            await self._socket.send_text(message.model_dump_json())
            if isinstance(message, Bye) and message.come_back_s is not None:
                code = SERVICE_RESTART
        await self._socket.close(code)

    async def _listen(self) -> None:
        """Take messages in, no faster than their budgets: TCP then holds the sender back, and nobody else waits."""
        while (message := await self._socket.receive())["type"] == "websocket.receive":
            self._heard = time.monotonic()
            sound = message.get("bytes") is not None
            await asyncio.sleep((self._sounds if sound else self._words).wait(self._heard))
            try:
                if sound:
                    self._push(message["bytes"])
                else:
                    self._obey(message["text"])
            except VivifyError as error:
                self.tell(Misunderstood(error=str(error)))

    def _push(self, data: bytes) -> None:
        if not self._fenced_by:
            self._voice.push(data)

    def _obey(self, text: str) -> None:
        command = read(text)
        if isinstance(command, Clear):
            self._session.clear()
            self._fenced_by = 0  # its own: what it pushes next is new
        elif isinstance(command, Ping):
            self.tell(Pong(t=command.t))
        elif isinstance(command, Set):
            self._session.set(command.look_ahead_ms, command.controls, command.key)
        elif isinstance(command, Motions):
            self._session.participants.motions.want(self, self._moved if command.wanted else None)
        elif isinstance(command, Flush):
            self._voice.flush()
            self._flushes += 1
            self._flushed.append(self._flushes)
        elif command.epoch >= self._fenced_by:
            self._fenced_by = 0

    async def _idle(self) -> None:
        """Until nothing has come for too long."""
        while (left := self._heard + IDLE_LIMIT_S - time.monotonic()) > 0:  # noqa: ASYNC110  # seldom
            await asyncio.sleep(left)
        await self._socket.send_text(Bye(reason="Nothing came over this socket any more.").model_dump_json())
        await self._socket.close()

    async def _speak(self) -> None:
        """A piece every 20 ms, as a microphone would."""
        due = time.monotonic()
        while True:
            due += PIECE_S
            now = time.monotonic()
            if now - due > STALL_S:
                due = now
            await asyncio.sleep(max(due - now, 0.0))
            piece, ended = self._voice.next()
            self._session.voice(self, self._position, piece)
            self._position += PIECE
            for _ in range(ended):
                played = Played(flush=self._flushed.popleft())
                self._session.when_left(functools.partial(self.tell, played))


def _end_if_alone(known: weakref.ref[LiveSession]) -> None:
    session = known()
    if session is not None and session.participants.speaker is None and not session.closing:
        session.end("Nobody speaks here any more.")
