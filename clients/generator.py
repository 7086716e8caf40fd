"""An avatar of a running server that a program speaks through. For agents of LiveKit and others: clients/agents/.

    async with VideoGenerator("http://127.0.0.1:8080", rate=24_000) as avatar:
        await avatar.push_audio(pcm)              # bytes of PCM16 mono, or int16 [n], at any pace
        await avatar.push_audio(AudioSegmentEnd())
        async for frame in avatar:                # av.VideoFrame, av.AudioFrame, AudioSegmentEnd
            ...

Sound goes over a WebSocket, pictures and voice come back over WebRTC (WHEP); see webrtc/protocol.md.
"""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType

import numpy.typing as npt
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from clients.signalling import HTTP_TIMEOUT_S, TalkError, check_server, ice_servers
from engine.audio.voice_arrays import as_pcm16
from engine.contracts import DEFAULT_LOOK_AHEAD_MS
from webrtc.rtc.aiortc_patches import patch_aiortc

LONGEST_PIECE = 1 << 18  # bytes of one message
MOST_WAITING = 250  # frames nobody has taken yet; then the oldest go


@dataclass(frozen=True, slots=True)
class AudioSegmentEnd:
    """A stretch of speech is whole: pushed, it ends one; iterated, all of one has come back."""


Came = VideoFrame | AudioFrame | AudioSegmentEnd


class VideoGenerator:
    """Pushes a voice into a session of its own, or into ``session``, and iterates over what comes back.

    It is not LiveKit's class of that name: frames are PyAV's, sound comes without a pause, and went through a codec.

    Raises TalkError when the server cannot be reached or refuses.
    """

    def __init__(
        self,
        url: str,
        *,
        session: str | None = None,
        avatar: str | None = None,
        look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
        rate: int = 16_000,
        token: str | None = None,
    ) -> None:
        check_server(url)
        patch_aiortc()
        self.url = url.rstrip("/")
        self.session = session
        self.epoch = 0
        self._token = token
        fields: dict[str, str | int | None] = {"session": session} if session else {"avatar": avatar}
        asked = {**fields, "look_ahead_ms": look_ahead_ms, "rate": rate}
        self._query = urllib.parse.urlencode({name: value for name, value in asked.items() if value is not None})
        self._pc: RTCPeerConnection | None = None  # until it is opened
        self._came: asyncio.Queue[Came | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: ClientConnection | None = None
        self._address = ""  # where the session is watched

    async def __aenter__(self) -> VideoGenerator:
        try:
            await self._open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None):  # type: ignore[no-untyped-def]
        await self.aclose()

    async def push_audio(self, sound: bytes | npt.ArrayLike | AudioSegmentEnd) -> None:
        """Append sound, mono at the rate given at the start, or end a stretch of it.

        ``sound`` is PCM16 in bytes, or int16 or floats in [-1, 1] [n]. Raises VivifyError for what is no such sound,
        and TalkError once the generator is closed or the connection lost.
        """
        if isinstance(sound, AudioSegmentEnd):
            await self._say({"type": "flush"})
            return
        data = as_pcm16(sound)
        for at in range(0, len(data), LONGEST_PIECE):
            await self._send(data[at : at + LONGEST_PIECE])

    async def clear_buffer(self) -> None:
        """Barge-in: what was pushed and has not been spoken never is, and the mouth closes."""
        await self._say({"type": "clear"})

    def __aiter__(self) -> AsyncIterator[Came]:
        return self

    async def __anext__(self) -> Came:
        came = await self._came.get()
        if came is None:
            raise StopAsyncIteration
        return came

    async def aclose(self) -> None:
        """Leave; a session of its own ends soon after."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._pc is not None:
            await self._pc.close()
        self._came.put_nowait(None)

    async def _open(self) -> None:
        address = f"ws{self.url.removeprefix('http')}/api/voice?{self._query}"
        try:
            self._socket = await connect(address, additional_headers=self._headers(), max_size=1 << 16)
        except InvalidStatus as error:
            raise TalkError(_sentence(bytes(error.response.body or b""), error.response.status_code)) from None
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise TalkError(f"The server at {self.url} cannot be reached ({error}): is it running?") from None
        hello = json.loads(await self._socket.recv())
        self.session, self._address = hello["session"], hello["watch"]
        self._tasks.append(asyncio.create_task(self._listen()))
        self._pc = pc = RTCPeerConnection(await asyncio.to_thread(ice_servers, self.url, self._token))
        pc.on("track", self._on_track)
        for kind in ("audio", "video"):
            pc.addTransceiver(kind, direction="recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        answer = await asyncio.to_thread(self._watch, pc.localDescription.sdp)
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def _watch(self, offer: str) -> str:
        headers = {"Content-Type": "application/sdp", **self._headers()}
        request = urllib.request.Request(f"{self.url}/whep/{self._address}", offer.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as response:
                return str(response.read().decode())
        except OSError as error:
            raise TalkError(f"The session cannot be watched ({error}).") from None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _say(self, message: dict[str, object]) -> None:
        await self._send(json.dumps(message))

    async def _send(self, data: str | bytes) -> None:
        if self._socket is None:
            raise TalkError("The generator was expected to be open: use it as `async with VideoGenerator(...)`.")
        try:
            await self._socket.send(data)
        except ConnectionClosed:
            raise TalkError("The generator was expected to be open, but it is closed: make another one.") from None

    async def _listen(self) -> None:
        """The server's messages. Somebody else's barge-in is answered at once: what is pushed next is new."""
        assert self._socket is not None
        try:
            async for text in self._socket:
                message = json.loads(text)
                if message["type"] == "cleared":
                    self.epoch = message["epoch"]
                    await self._say({"type": "resume", "epoch": self.epoch})
                elif message["type"] == "played":
                    self._keep(AudioSegmentEnd())
        except ConnectionClosed:
            pass
        self._keep(None)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._receive(track)))

    async def _receive(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, (VideoFrame, AudioFrame))
                self._keep(frame)
        except MediaStreamError:
            pass  # the other side has ended; the socket tells

    def _keep(self, came: Came | None) -> None:
        while self._came.qsize() >= MOST_WAITING:
            self._came.get_nowait()
        self._came.put_nowait(came)


def _sentence(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return f"The server was expected to open a socket, but answered {status}: is it a Vivify server?"
