"""A face that a server draws, given to outputs: what `vivify out` is.

Motion comes by a socket, and where nothing else is wanted it leaves as it comes. Pictures and voice come by WHEP.
None of it says where it stands on the server's timeline, but what belongs together left together, and steps are known:
sound goes in pieces of 960 samples, and Opus gives it 312 late. So the arrival of the quickest ones tells it, to a step
of 20 ms, as far as pictures and sound take equally long to come and to be decoded: a busy machine puts pictures late.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from clients.live.leaving import Leaving
from clients.outputs.output import Facts, Movement, Picture, Sound
from clients.outputs.output_line import OutputLine
from clients.signalling import HTTP_TIMEOUT_S, TalkError, check_server, ice_servers
from engine.contracts import ByteArray, Frame, Ledger, Motion
from engine.motion.rotation import rotation_matrix
from webrtc.media.playout import OPUS_DELAY, Lead, Playout
from webrtc.media.voice_line import PIECE, RATIO, VOICE_RATE, PcmArray
from webrtc.messages import Moved
from webrtc.rtc.aiortc_patches import patch_aiortc
from webrtc.rtc.tracks import VIDEO_RATE

WAIT_S = 2.0  # between attempts, while nobody speaks there yet
FIRST_PICTURE_S = 20.0
MOST_MOTIONS = 50  # that wait for their pictures
SPENT = Ledger(0.0, 0.0, 0.0, 0.0, 0.0)  # the server's own is not told
NOTHING = np.zeros((0, 0), np.uint8)


class LongLead(Lead):
    """The quickest of half a minute: one that was not held up on its way is sure to be among them."""

    WINDOW = 1500  # pieces of sound; pictures and motions come half as often


class Placing:
    """Where something that comes stands on our timeline, by when the quickest came. ``step``: what places differ by."""

    def __init__(self, sound: Lead, step: int) -> None:
        self._sound, self._step = sound, step
        self._own = LongLead()
        self._shift: int | None = None

    def place(self, position: int, now: float) -> int | None:
        """Its index, given its own count of 48 kHz samples; None while too little has come."""
        self._own.add(position, now)
        if self._own.best is None or self._sound.best is None:
            return None
        raw = VOICE_RATE * (self._sound.best - self._own.best) - OPUS_DELAY
        if self._shift is None or abs(raw - self._shift) > 0.8 * self._step:
            self._shift = self._step * round(raw / self._step)
        return position + self._shift + OPUS_DELAY


class ServedFace:
    """Runs until the session ends. Everything happens on one event loop; outputs have threads of their own."""

    def __init__(self, url: str, address: str, lines: list[OutputLine], token: str | None = None) -> None:
        """Raises TalkError for what is no address of a server."""
        check_server(url)
        patch_aiortc()
        self.url, self.address = url.rstrip("/"), address
        self.lines = lines
        self.playout = Playout(0, time.monotonic())
        self.leaving = Leaving(self.playout, lines, self._forget)
        self._token = token
        self._sound_lead = LongLead()
        self._voice_shift: int | None = None
        self._pictures, self._motions = Placing(self._sound_lead, PIECE), Placing(self._sound_lead, PIECE)
        self._moved: deque[tuple[int, Moved]] = deque(maxlen=MOST_MOTIONS)
        self._first: asyncio.Future[int] | None = None  # the side of the first picture
        self._pc: RTCPeerConnection | None = None
        self._resource: str | None = None
        self._ended = asyncio.Event()
        self._error: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def wants(self, kind: type) -> bool:
        return any(kind in line.output.wants for line in self.lines)

    @property
    def media(self) -> bool:
        """Whether anybody wants pictures or sound; else motion alone is asked for."""
        return self.wants(Picture) or self.wants(Sound)

    @property
    def delay_s(self) -> float:
        """What is added to the server's own delay, so that all comes in time."""
        if not self.media:
            return 0.0
        measured = self.playout.measured_delay
        return self.playout.delay if measured is None else measured

    async def run(self) -> None:
        """Wait for the session, and give it to the outputs until it ends. Raises VivifyError for what cannot be had."""
        loop = asyncio.get_running_loop()
        self._first = loop.create_future()
        try:
            size = await self._watch() if self.media else 0
            await self.leaving.start(Facts(self.address, size, self.playout.delay))
            self._spawn(self._hear_motions())
            if self.media:
                self._spawn(self.leaving.sounds())
                self._spawn(self.leaving.frames())
            await self._ended.wait()
            if self._error is not None:
                raise self._error
        except TimeoutError:
            raise TalkError(
                f"No picture came from {self.url} within {FIRST_PICTURE_S:.0f} s: is UDP blocked?"
            ) from None
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._pc is not None:
                await self._pc.close()
            await asyncio.to_thread(self._leave)

    async def _watch(self) -> int:
        """Open the WHEP connection; while nobody speaks there (409), again and again. The pictures' side, or 0."""
        assert self._first is not None
        self._pc = pc = RTCPeerConnection(await asyncio.to_thread(ice_servers, self.url, self._token))
        pc.on("track", self._on_track)
        pc.on("connectionstatechange", self._on_state)
        for kind in ("audio", "video") if self.wants(Picture) else ("audio",):
            pc.addTransceiver(kind, direction="recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        while (answer := await asyncio.to_thread(self._offer, pc.localDescription.sdp)) is None:  # noqa: ASYNC110
            await asyncio.sleep(WAIT_S)  # another machine's
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(FIRST_PICTURE_S):
            return await self._first if self.wants(Picture) else 0

    def _offer(self, sdp: str) -> str | None:
        path = f"/whep/{urllib.parse.quote(self.address, safe='')}"
        try:
            with self._ask("POST", path, sdp.encode()) as response:
                self._resource = response.headers["Location"]
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            if error.code == 409:
                return None
            raise TalkError(_words(error.read(), error.code)) from None
        except OSError as error:
            raise TalkError(f"The server at {self.url} cannot be reached ({error}): is it running?") from None

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {"Content-Type": "application/sdp"}
        headers |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        address = urllib.parse.urljoin(f"{self.url}/", path)
        return urllib.request.urlopen(
            urllib.request.Request(address, body, headers, method=method), timeout=HTTP_TIMEOUT_S
        )

    def _leave(self) -> None:
        self.leaving.end()
        if self._resource is not None:
            with contextlib.suppress(OSError):
                self._ask("DELETE", self._resource).close()

    def _on_state(self) -> None:
        if self._pc is not None and self._pc.connectionState in ("failed", "closed"):
            self._ended.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._spawn(self._see(track) if track.kind == "video" else self._hear(track))

    async def _hear(self, track: MediaStreamTrack) -> None:
        async for frame in _frames(track):
            assert isinstance(frame, AudioFrame)
            assert frame.pts is not None
            pcm: PcmArray = np.ascontiguousarray(frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0])
            now = time.monotonic()
            self.playout.voice(frame.pts, pcm, now)
            shift = self.playout.line.newest - len(pcm) - frame.pts
            if self._voice_shift is not None:  # silence was left out or put in
                self._sound_lead.move(shift - self._voice_shift)
            self._voice_shift = shift
            self._sound_lead.add(frame.pts + shift, now)
        self._ended.set()

    async def _see(self, track: MediaStreamTrack) -> None:
        async for frame in _frames(track):
            assert isinstance(frame, VideoFrame)
            assert self._first is not None
            if frame.width != frame.height:
                if not self._first.done():
                    self._first.set_exception(
                        TalkError("The session was opened with its matte: outputs want plain pictures, open another.")
                    )
                return
            if not self._first.done():
                self._first.set_result(frame.width)
            assert frame.pts is not None
            at = self._pictures.place(frame.pts * VOICE_RATE // VIDEO_RATE, time.monotonic())
            if at is not None:
                self._came(at, frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False))

    async def _hear_motions(self) -> None:
        if not self.wants(Movement):
            return
        query = urllib.parse.urlencode({"watch": self.address})
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        while True:
            try:
                await self._listen(f"ws{self.url.removeprefix('http')}/api/motion?{query}", headers)
                break
            except InvalidStatus as error:
                if error.response.status_code != 409 or self.media:
                    raise TalkError(_words(bytes(error.response.body or b""), error.response.status_code)) from None
                await asyncio.sleep(WAIT_S)  # nobody speaks there yet
            except (InvalidHandshake, OSError) as error:
                raise TalkError(f"The server at {self.url} cannot be reached ({error}): is it running?") from None
        self._ended.set()

    async def _listen(self, address: str, headers: dict[str, str]) -> None:
        async with connect(address, additional_headers=headers) as socket:
            with contextlib.suppress(ConnectionClosed):
                async for text in socket:
                    self._on_motion(Moved.model_validate_json(text), time.monotonic())

    def _on_motion(self, message: Moved, now: float) -> None:
        if not self.media:
            motion = _motion(message.position, message)
            self.leaving.give(Frame(motion.position, 0, NOTHING, SPENT, message.speaking, motion=motion), now)
            return
        at = self._motions.place(message.position, now)
        if at is not None:
            self._moved.append((at, message))
            if not self.wants(Picture):
                self._came(at, NOTHING)

    def _came(self, at: int, planes: ByteArray) -> None:
        """A picture, or a motion where no pictures are wanted: it leaves with its sound."""
        moved = None
        while self._moved and self._moved[0][0] <= at:
            moved = self._moved.popleft()[1]
        motion = None if moved is None else _motion(at, moved)
        speaking = moved is not None and moved.speaking
        self.leaving.came(Frame(at // RATIO, self.playout.epoch, planes, SPENT, speaking, motion=motion))

    def _forget(self) -> None:
        """Nobody wants the timeline at 16 kHz."""
        self.playout.line.chunks()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._done)
        self._tasks.append(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
            self._ended.set()


async def _frames(track: MediaStreamTrack) -> AsyncIterator[object]:
    with contextlib.suppress(MediaStreamError):
        while True:
            yield await track.recv()


def _motion(at: int, message: Moved) -> Motion:
    head = message.head
    return Motion(
        at // RATIO,
        np.array(message.shapes, np.float32),
        rotation_matrix(head.yaw, head.pitch, head.roll),
        np.array([head.x, head.y, head.z], np.float32),
        np.array(message.lips, np.float32).reshape(-1, 3),
    )


def _words(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return f"The session was expected to be watchable, but the server answered {status}: is it Vivify's?"
