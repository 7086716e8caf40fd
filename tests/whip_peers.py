"""A publisher and a viewer as a stranger would write them: aiortc, HTTP, and nothing of ours but the microphone."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from webrtc.rtc.ice_servers import no_servers

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = "application/trickle-ice-sdpfrag"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    links: list[str] = field(default_factory=list)


def ask(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            raw, status, sent = response.read(), response.status, response.headers
    except urllib.error.HTTPError as error:
        with error:
            raw, status, sent = error.read(), error.code, error.headers
    return Reply(status, {k.lower(): v for k, v in sent.items()}, raw, sent.get_all("Link") or [])


async def ask_async(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
    return await asyncio.to_thread(ask, method, url, body, headers)


async def negotiate(
    pc: RTCPeerConnection, server: str, path: str, trickle: bool = False, token: str | None = None
) -> Reply:
    """Offer ``pc`` to an endpoint; with ``trickle`` the candidates follow in a PATCH."""
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp
    sent = re.sub(r"a=(candidate:|end-of-candidates).*\r\n", "", offer) if trickle else offer
    login = {"Authorization": f"Bearer {token}"} if token else {}
    reply = await ask_async("POST", server + path, sent.encode(), {**SDP, **login})
    assert reply.status == 201, reply
    await pc.setRemoteDescription(RTCSessionDescription(reply.body.decode(), "answer"))
    if trickle:
        headers = {"Content-Type": FRAGMENT, "If-Match": reply.headers["etag"], **login}
        patched = await ask_async("PATCH", server + reply.headers["location"], fragment(offer).encode(), headers)
        assert patched.status == 204, patched
    return reply


def page_offer() -> str:
    """The SDP that a page offers: a voice both ways, a face back, the control channel."""

    async def make() -> str:
        pc = RTCPeerConnection(no_servers())
        pc.addTransceiver("audio")
        pc.addTransceiver("video", direction="recvonly")
        pc.createDataChannel("control")
        await pc.setLocalDescription(await pc.createOffer())
        sdp = pc.localDescription.sdp
        await pc.close()
        return sdp

    return asyncio.run(make())


def offer_of(kind: str, direction: str) -> str:
    """The SDP of an offer with one line."""

    async def make() -> str:
        pc = RTCPeerConnection(no_servers())
        pc.addTransceiver(kind, direction=direction)
        await pc.setLocalDescription(await pc.createOffer())
        sdp = pc.localDescription.sdp
        await pc.close()
        return sdp

    return asyncio.run(make())


def fragment(offer: str) -> str:
    """The SDP fragment (RFC 8840, section 9) with all candidates of an offer's first media line."""
    lines = offer.split("\r\n")
    media = next(i for i, line in enumerate(lines) if line.startswith("m="))
    first = lines[media : next((i for i in range(media + 1, len(lines)) if lines[i].startswith("m=")), len(lines))]
    kept = ("a=mid:", "a=candidate:", "a=end-of-candidates")
    login = [line for line in first if line.startswith(("a=ice-ufrag:", "a=ice-pwd:"))]
    return "\r\n".join([*login, "m=audio 9 RTP/AVP 0", *(line for line in first if line.startswith(kept)), ""])


class Watcher:
    """A viewer that keeps the sound and the brightness of every picture."""

    def __init__(self, kinds: tuple[str, ...] = ("audio", "video")) -> None:
        self.pc = RTCPeerConnection(no_servers())
        self.sound: list[np.ndarray] = []  # mono int16
        self.pictures: list[np.ndarray] = []  # [512, 512] uint8
        self.times: list[float] = []  # of the pictures, on RTP's clock
        self.ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        for kind in kinds:
            self.pc.addTransceiver(kind, direction="recvonly")
        self.pc.on("track", lambda track: self._tasks.append(asyncio.ensure_future(self._take(track))))

    async def _take(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    self.sound.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
                elif isinstance(frame, VideoFrame):
                    self.pictures.append(frame.to_ndarray(format="gray"))
                    self.times.append(float(frame.pts * frame.time_base))
        except MediaStreamError:
            self.ended.set()

    async def seen(self, pictures: int, seconds: float = 20.0) -> None:
        """Wait until so many pictures have come."""
        async with asyncio.timeout(seconds):
            while len(self.pictures) < pictures:  # noqa: ASYNC110  # the frames come on this very loop
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        await self.pc.close()
        await asyncio.gather(*self._tasks)
