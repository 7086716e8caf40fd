"""`--whip`: publishes picture and voice to a WHIP server or SFU, so that many viewers cost one encoder.

A thread with an event loop of its own holds the connection, tries again when it is lost, and takes pieces that other
threads give it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from typing import ClassVar

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError

from clients.outputs.output import Facts, Output, OutputError, Picture, Sound
from clients.outputs.streams.backing_off import BackingOff
from clients.outputs.streams.stream_formats import KEYFRAME_S
from clients.outputs.streams.whip_http import Answer, NamedServer, WhipError, ice_servers, publish, shown, unpublish
from clients.outputs.streams.whip_tracks import PushedTrack
from clients.url_parts import parts_of
from webrtc.rtc.aiortc_patches import patch_aiortc
from webrtc.rtc.sending.picture_sender import PictureSender

CONNECT_S = 15.0
CLOSE_S = 2.0  # less than an output may take to close
LOOK_EVERY_S = 1.0
REJECTED = re.compile(r"^m=(audio|video) 0 ", re.MULTILINE)


class Whip(Output):
    """One publication after another, to one endpoint."""

    name: ClassVar[str] = "whip"
    wants: ClassVar[frozenset[type]] = frozenset({Picture, Sound})

    def __init__(self, url: str, token: str | None = None) -> None:
        """Raises OutputError for what is no URL of a WHIP endpoint."""
        if parts_of(url, ("http", "https")) is None:
            raise OutputError(f"--whip was expected to be a URL such as https://sfu.example/whip/me, but '{url}' came.")
        patch_aiortc()
        self._url, self._token = url, token
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="whip", daemon=True)
        self._tracks: dict[type, PushedTrack] = {}  # of the connection there is
        self._backing_off = BackingOff()
        self._ice: list[NamedServer] = []
        self._words = f"connecting to {shown(url)}"
        self._live = False
        self._over: OutputError | None = None
        self._task: asyncio.Task[None] | None = None
        self._octets, self._earlier, self._rate = 0, 0, 0.0

    def start(self, facts: Facts) -> None:
        self._thread.start()

    def picture(self, piece: Picture) -> None:
        self._give(piece)

    def sound(self, piece: Sound) -> None:
        self._give(piece)

    @property
    def state(self) -> str:
        return self._words

    @property
    def figures(self) -> str:
        return f"{self._rate / 1e6:.1f} Mbit/s" if self._live else ""

    @property
    def up(self) -> bool:
        return self._live

    @property
    def sent(self) -> int:
        return self._earlier + self._octets

    def close(self) -> None:
        if self._thread.ident is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    def _give(self, piece: Picture | Sound) -> None:
        if self._over is not None:
            raise self._over
        if not self._live:
            self.left_out += 1
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._push, piece)

    def _push(self, piece: Picture | Sound) -> None:
        if (track := self._tracks.get(type(piece))) is not None:
            track.push(piece)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._publish_on())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())

    async def _publish_on(self) -> None:
        """Until it is cancelled, or told that it will never work."""
        self._ice = await asyncio.to_thread(ice_servers, self._url, self._token)
        while True:
            self._words, begun = f"connecting to {shown(self._url)}", time.monotonic()
            try:
                await self._publish()
                reason = f"{shown(self._url)}: the connection was lost"
            except WhipError as error:
                if error.lasting and not self.sent:  # who took it once may not have noticed yet that it ended
                    self._over = OutputError(str(error))
                    return
                reason = str(error).rstrip(".")
            wait = self._backing_off.wait(time.monotonic() - begun)
            self._words = f"{reason}; again in {wait:.0f} s"
            await asyncio.sleep(wait)

    async def _publish(self) -> None:
        """One publication, until its connection is lost. Raises WhipError where none comes about."""
        servers = [RTCIceServer(s.url, s.username, s.credential) for s in self._ice]
        pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        changed, resource = asyncio.Event(), None
        pc.on("connectionstatechange", changed.set)
        try:
            self._tracks = {Sound: PushedTrack("audio"), Picture: PushedTrack("video")}
            for track in self._tracks.values():
                pc.addTransceiver(track, direction="sendonly")
            await pc.setLocalDescription(await pc.createOffer())
            answer = await asyncio.to_thread(publish, self._url, pc.localDescription.sdp, self._token)
            resource = answer.resource
            self._ice = answer.ice or self._ice  # those named late are for the next attempt
            await self._take(pc, answer)
            await self._connected(pc, changed)
            await self._stay(pc)
        finally:
            self._live, self._rate = False, 0.0
            self.left_out += sum(track.left_out for track in self._tracks.values())
            self._tracks = {}
            self._earlier, self._octets = self.sent, 0
            ending = asyncio.gather(pc.close(), self._end(resource), return_exceptions=True)
            await asyncio.shield(ending)

    async def _end(self, resource: str | None) -> None:
        if resource is not None:
            await asyncio.to_thread(unpublish, resource, self._token)

    async def _take(self, pc: RTCPeerConnection, answer: Answer) -> None:
        declined = REJECTED.findall(answer.sdp)  # lines that aiortc cannot read where they are as bare as they may be
        if declined:
            raise self._declined(declined)
        try:
            await pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        except (ValueError, InvalidStateError, AssertionError, IndexError, KeyError) as error:
            raise WhipError(f"{shown(self._url)} answered with no SDP that fits the offer ({error})", True) from None
        declined = [t.kind for t in pc.getTransceivers() if t.stopped or t.currentDirection != "sendonly"]
        if declined:
            raise self._declined(declined)

    def _declined(self, kinds: list[str]) -> WhipError:
        what = " and the ".join({"audio": "sound", "video": "picture"}[kind] for kind in kinds)
        return WhipError(
            f"{shown(self._url)} was expected to take sound and picture, but declines the {what}: "
            "is it a server that hands streams on?",
            lasting=True,
        )

    async def _connected(self, pc: RTCPeerConnection, changed: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                while pc.connectionState in ("new", "connecting"):
                    changed.clear()
                    await changed.wait()
        if pc.connectionState != "connected":
            raise WhipError(f"{shown(self._url)} answered, but no connection came about: UDP may be blocked")

    async def _stay(self, pc: RTCPeerConnection) -> None:
        """Count what is sent, and make a keyframe every other second, until the connection is lost."""
        self._words, self._live = f"live at {shown(self._url)}", True
        looked, whole = time.monotonic(), time.monotonic()
        while pc.connectionState == "connected":
            await asyncio.sleep(LOOK_EVERY_S)
            now, octets = time.monotonic(), await _octets(pc)
            self._rate = 8 * (octets - self._octets) / (now - looked)
            self._octets, looked = octets, now
            if now - whole >= KEYFRAME_S:
                whole = now
                for sender in pc.getSenders():
                    if isinstance(sender, PictureSender):
                        sender.whole_picture()


async def _octets(pc: RTCPeerConnection) -> int:
    """Bytes that left, of both kinds."""
    reports = [report for sender in pc.getSenders() for report in (await sender.getStats()).values()]
    return sum(report.bytesSent for report in reports if report.type == "outbound-rtp")
