"""Visitors who send more than they should, each in a process of its own: for `scripts/bench_neighbour`.

``python -m clients.trials.rude_visitors CASE URL SECONDS [TOKEN]`` goes on for so long, and prints what it did.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from clients.trials.huge_picture import plain_png
from webrtc.rtc.ice_servers import no_servers

FLOODS: dict[str, str | bytes] = {
    "clear": '{"type":"clear"}',
    "set": '{"type":"set","controls":{"smile":0.5}}',
    "ping": '{"type":"ping","t":1}',
    "rubbish": "x",
    "sound": b"\0\1",
}
PUSHED_RATE = 24_000
JOINS_A_SECOND = 20
MEGAPIXELS = (8000, 5000)
MOST_BUFFERED = 1 << 20  # bytes that wait at the sender; a channel takes no more
PAUSE_S = 0.2  # before one who was sent away comes back
LONG_PING = '{"type":"ping","t":"' + 3900 * "x" + '"}'


@dataclass
class Visitor:
    """Where to, until when, and what was done."""

    url: str
    until: float
    token: str = ""
    did: Counter[str] = field(default_factory=Counter)

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.until

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        """The answer's JSON, or None; its status is counted."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind, **self.headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                self.did[f"{method} {response.status}"] += 1
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                self.did[f"{method} {error.code}"] += 1
        except OSError:
            self.did[f"{method} broken off"] += 1
        return None

    def socket(self, **query: Any) -> connect:
        """A WebSocket that takes and gives as fast as it can."""
        address = f"ws{self.url.removeprefix('http')}/api/voice?{urllib.parse.urlencode(query)}"
        return connect(
            address,
            additional_headers=self.headers,
            max_queue=None,
            compression=None,
            ping_interval=None,
            max_size=None,
        )


async def flood_socket(visitor: Visitor, what: str) -> None:
    while visitor.goes_on:
        try:
            async with visitor.socket(rate=8_000) as ws:
                reading = asyncio.create_task(_read_all(ws))
                while visitor.goes_on:
                    await ws.send(FLOODS[what])
                    visitor.did["sent"] += 1
                    if visitor.did["sent"] % 50 == 0:
                        await asyncio.sleep(0)
                reading.cancel()
        except (OSError, WebSocketException):
            visitor.did["sent away"] += 1
            await asyncio.sleep(PAUSE_S)


async def flood_frames(visitor: Visitor) -> None:
    """Frames that no application sees: pings, whose answers are not read."""
    parts = urllib.parse.urlsplit(visitor.url)
    key = f"Authorization: Bearer {visitor.token}\r\n" if visitor.token else ""
    ask = (
        f"GET /api/voice HTTP/1.1\r\nHost: {parts.netloc}\r\n{key}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    pings = b"\x89\x80\0\0\0\0" * 1000
    while visitor.goes_on:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(ask.encode())
            await reader.readuntil(b"\r\n\r\n")
            while visitor.goes_on:
                writer.write(pings)
                async with asyncio.timeout(max(visitor.until - time.monotonic(), 0.01)):
                    await writer.drain()
                visitor.did["sent"] += 1000
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            visitor.did["sent away"] += 1
            await asyncio.sleep(PAUSE_S)
        finally:
            writer.transport.abort()


async def flood_channel(visitor: Visitor, what: str) -> None:
    while visitor.goes_on:
        pc = RTCPeerConnection(no_servers())
        try:
            pc.addTransceiver("audio")
            pc.addTransceiver("video", direction="recvonly")
            channel = pc.createDataChannel("control")
            if await _open(visitor, pc) is None:
                await asyncio.sleep(PAUSE_S)
                continue
            while visitor.goes_on and pc.connectionState not in ("failed", "closed"):
                if channel.readyState == "open" and channel.bufferedAmount < MOST_BUFFERED:
                    for _ in range(50):
                        channel.send(FLOODS[what])
                    visitor.did["sent"] += 50
                elif channel.readyState == "closed":
                    break
                await asyncio.sleep(0.001)
        except OSError:
            visitor.did["broken off"] += 1
        finally:
            await pc.close()


class Camera(VideoStreamTrack):
    """720p30, a new picture each time; ``taken`` counts how many somebody wanted to have."""

    taken = 0

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        grey = VideoFrame.from_ndarray(np.full((1080, 1280), self.taken % 255, np.uint8), format="yuv420p")
        grey.pts, grey.time_base = pts, time_base
        self.taken += 1
        return grey


async def camera(visitor: Visitor) -> None:
    """A page that offers its camera although only a face comes back."""
    pc, eye = RTCPeerConnection(no_servers()), Camera()
    pc.addTrack(AudioStreamTrack())
    pc.addTrack(eye)
    pc.createDataChannel("control")
    await _open(visitor, pc)
    while visitor.goes_on:  # noqa: ASYNC110  # the camera runs by itself
        await asyncio.sleep(0.2)
    visitor.did["pictures taken"] = eye.taken
    await pc.close()


async def burst(visitor: Visitor) -> None:
    """A synthesizer: a minute of speech at once, in the pieces in which it was made; then the next one."""
    piece = np.round(3000 * np.sin(np.arange(PUSHED_RATE // 50) * 0.1)).astype("<i2").tobytes()
    async with visitor.socket(rate=PUSHED_RATE) as ws:
        reading = asyncio.create_task(_read_all(ws))
        while visitor.goes_on:
            for _ in range(60 * 50):
                await ws.send(piece)
            visitor.did["minutes pushed"] += 1
            await asyncio.sleep(2.0)
            await ws.send(FLOODS["clear"])
        reading.cancel()


async def joins(visitor: Visitor) -> None:
    """Twenty a second come, and go at once."""
    offer = await _an_offer()
    body = json.dumps({"type": "offer", "sdp": offer}).encode()

    def visit() -> None:
        if (answer := visitor.ask("POST", "/api/session", body)) is not None:
            visitor.ask("DELETE", f"/api/session/{answer['session']}")

    due, going = time.monotonic(), set()
    while visitor.goes_on:
        task = asyncio.ensure_future(asyncio.to_thread(visit))
        going.add(task)
        task.add_done_callback(going.discard)
        due += 1 / JOINS_A_SECOND
        await asyncio.sleep(max(due - time.monotonic(), 0.0))
    await asyncio.gather(*going)


async def portraits(visitor: Visitor) -> None:
    """First joins: every face that nobody has asked for yet, one after the other."""
    offer = await _an_offer()
    known = await asyncio.to_thread(visitor.ask, "GET", "/api/avatars")
    for avatar in known["avatars"]:
        body = json.dumps({"type": "offer", "sdp": offer, "avatar": avatar}).encode()
        answer = await asyncio.to_thread(visitor.ask, "POST", "/api/session", body)
        await asyncio.sleep(0.3)
        if answer is not None:
            await asyncio.to_thread(visitor.ask, "DELETE", f"/api/session/{answer['session']}")
        if not visitor.goes_on:
            return


async def upload(visitor: Visitor) -> None:
    """A picture of 40 megapixels in 120 KB, again and again."""
    picture = plain_png(*MEGAPIXELS)
    while visitor.goes_on:
        await asyncio.to_thread(visitor.ask, "POST", "/api/avatars", picture, "image/png")
        await asyncio.sleep(PAUSE_S)


async def reader(visitor: Visitor) -> None:
    """One who asks for much and reads nothing: a socket's answers, and files over twenty connections."""
    parts = urllib.parse.urlsplit(visitor.url)
    key = f"Authorization: Bearer {visitor.token}\r\n" if visitor.token else ""
    request = f"GET /api/sample HTTP/1.1\r\nHost: {parts.netloc}\r\n{key}\r\n".encode()
    deaf = []
    for _ in range(20):
        line = socket.create_connection((parts.hostname, parts.port))
        line.setblocking(False)
        line.send(50 * request)
        deaf.append(line)
    address = f"ws{visitor.url.removeprefix('http')}/api/voice"
    async with connect(address, additional_headers=visitor.headers, max_queue=1, ping_interval=None) as ws:
        while visitor.goes_on:
            try:
                async with asyncio.timeout(0.5):
                    await ws.send(LONG_PING)
                visitor.did["asked"] += 1
            except (TimeoutError, WebSocketException):
                await asyncio.sleep(PAUSE_S)
    for line in deaf:
        line.close()


async def _read_all(ws: ClientConnection) -> None:
    with contextlib.suppress(WebSocketException):
        async for _ in ws:
            pass


async def _open(visitor: Visitor, pc: RTCPeerConnection) -> str | None:
    """A session by ``pc``'s offer; its name, or None where the server refuses."""
    await pc.setLocalDescription(await pc.createOffer())
    body = json.dumps({"type": "offer", "sdp": pc.localDescription.sdp}).encode()
    answer = await asyncio.to_thread(visitor.ask, "POST", "/api/session", body)
    if answer is None:
        return None
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    return str(answer["session"])


async def _an_offer() -> str:
    pc = RTCPeerConnection(no_servers())
    pc.addTransceiver("audio")
    pc.addTransceiver("video", direction="recvonly")
    pc.createDataChannel("control")
    await pc.setLocalDescription(await pc.createOffer())
    sdp: str = pc.localDescription.sdp
    await pc.close()
    return sdp


Case = Callable[[Visitor], Coroutine[Any, Any, None]]


def _flood(way: Callable[[Visitor, str], Coroutine[Any, Any, None]], what: str) -> Case:
    return lambda visitor: way(visitor, what)


CASES: dict[str, Case] = {
    "portraits": portraits,  # first of all: later they have been loaded
    "camera": camera,
    **{f"socket-{what}": _flood(flood_socket, what) for what in FLOODS},
    "socket-frames": flood_frames,
    **{f"channel-{what}": _flood(flood_channel, what) for what in FLOODS},
    "burst": burst,
    "joins": joins,
    "upload": upload,
    "reader": reader,
}


def main() -> None:
    name, url, seconds, token = [*sys.argv[1:], ""][:4]
    visitor = Visitor(url, time.monotonic() + float(seconds), token)
    asyncio.run(CASES[name](visitor))
    print(json.dumps(dict(visitor.did)))


if __name__ == "__main__":
    main()
