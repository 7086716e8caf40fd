"""Connects to a Vivify server: the offer over HTTP, sound and pictures over WebRTC, figures over the data channel."""

from __future__ import annotations

import asyncio
import json
import tempfile
import urllib.error
import urllib.request
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from clients.microphone import Microphone
from clients.recording import Recording
from clients.trials.light_client import SpokenBefore
from clients.trials.monitor import Monitor
from clients.trials.relay import Relay
from clients.url_parts import parts_of
from engine.errors import VivifyError
from webrtc.rtc.aiortc_patches import patch_aiortc
from webrtc.server_config import CODECS

HTTP_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 15.0
PING_EVERY_S = 2.0


class TalkError(VivifyError):
    """The server, or the way to it, failed."""


class Connection:
    """One session with a server. ``lost`` tells why it ended, while it should not have.

    Without ``ice`` it uses the STUN and TURN servers that the server names.
    """

    def __init__(
        self,
        microphone: Microphone | SpokenBefore,
        recording: Recording | Monitor,
        codec: str | None = None,
        relay: Relay | None = None,
        ice: RTCConfiguration | None = None,
    ) -> None:
        patch_aiortc()
        self.hello: dict[str, Any] | None = None
        self.mapping: dict[str, Any] | None = None
        self.stats: dict[str, Any] | None = None
        self.lost: str | None = None
        self._microphone = microphone
        self._recording = recording
        self._relay = relay
        self._greeted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._codec = codec
        self._ice = ice
        self._pc: RTCPeerConnection | None = None  # until `open`
        self._channel: RTCDataChannel | None = None

    async def open(self, url: str, look_ahead_ms: int, avatar: str | None, token: str | None) -> None:
        """Negotiate, and start the microphone once the server has greeted. Raises TalkError."""
        pc = self._connect(await asyncio.to_thread(ice_servers, url, token) if self._ice is None else self._ice)
        await pc.setLocalDescription(await pc.createOffer())
        sdp = pc.localDescription.sdp
        offer = {
            "sdp": sdp if self._relay is None else self._relay.hide(sdp),
            "type": "offer",
            "look_ahead_ms": look_ahead_ms,
            "avatar": avatar,
        }
        answer = await asyncio.to_thread(_post, url, offer, token)
        sdp = answer["sdp"] if self._relay is None else await self._relay.stand_in(answer["sdp"])
        await pc.setRemoteDescription(RTCSessionDescription(sdp, answer["type"]))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._greeted.wait()
        except TimeoutError:
            raise TalkError(
                f"The server answered, but no connection came about within {CONNECT_TIMEOUT_S:.0f} s: "
                "UDP between here and there may be blocked."
            ) from None
        if self.lost is not None:
            raise TalkError(f"The connection was lost at its start: {self.lost}")
        self._microphone.start()
        self._spawn(self._ping())

    def _connect(self, ice: RTCConfiguration) -> RTCPeerConnection:
        """What will be offered: the microphone, a face in return, the control channel."""
        self._pc = pc = RTCPeerConnection(ice)
        pc.addTrack(self._microphone)
        video = pc.addTransceiver("video", direction="recvonly")
        if self._codec is not None:
            video.setCodecPreferences(_only(self._codec))
        self._channel = pc.createDataChannel("control")
        self._channel.on("message", self._on_message)
        pc.on("track", self._on_track)
        pc.on("connectionstatechange", self._on_state)
        return pc

    def send(self, message: dict[str, Any]) -> None:
        """A message over the control channel, once it is open."""
        assert self._channel is not None
        self._channel.send(json.dumps(message))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._pc is not None:
            self._pc.remove_all_listeners("connectionstatechange")
            await self._pc.close()
        if self._relay is not None:
            self._relay.close()

    def _on_message(self, message: str | bytes) -> None:
        body = json.loads(message)
        kind = body.get("type")
        if kind == "hello":
            self.hello = body
            self._greeted.set()
        elif kind == "mapping":
            self.mapping = body
            if isinstance(self._recording, Monitor):
                self._recording.mapping = body
        elif kind == "stats":
            self.stats = body
        elif kind == "bye":
            self._end(body.get("reason") or "the server ended it.")

    def _on_state(self) -> None:
        assert self._pc is not None
        if self._pc.connectionState in ("failed", "closed"):
            self._end(f"the connection is {self._pc.connectionState}.")

    def _end(self, reason: str) -> None:
        self.lost = self.lost or reason
        self._greeted.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._spawn(self._receive(track))

    async def _receive(self, track: MediaStreamTrack) -> None:
        add: Any = self._recording.add_picture if track.kind == "video" else self._recording.add_sound
        try:
            while True:
                add(await track.recv())
        except MediaStreamError:
            pass  # the other side ended; `lost` or the stall tells
        except OSError as error:  # pictures wait on the disk
            self._end(f"what comes cannot be kept ({error.strerror}): make room in {tempfile.gettempdir()}.")

    async def _ping(self) -> None:
        """Tell the server that someone is here, whatever the sound does."""
        while self._channel is not None and self._channel.readyState == "open":
            self._channel.send('{"type":"ping"}')
            await asyncio.sleep(PING_EVERY_S)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _only(codec: str) -> list[Any]:
    if codec not in CODECS:
        raise TalkError(f"The codec was expected to be one of {', '.join(CODECS)}, but '{codec}' was given.")
    known = RTCRtpReceiver.getCapabilities("video")
    assert known is not None
    return [c for c in known.codecs if c.mimeType in (f"video/{codec}", "video/rtx")]


def check_server(url: str) -> None:
    """Raises TalkError for what is no address of a server."""
    if parts_of(url, ("http", "https")) is None:
        raise TalkError(f"A server's URL such as http://127.0.0.1:8080 was expected, but '{url}' was given.")


def ice_servers(url: str, token: str | None) -> RTCConfiguration:
    """The STUN and TURN servers that the server at ``url`` names, with logins for now. Raises TalkError."""
    named = _ask(url, "/api/ice-servers", token)["ice_servers"]
    return RTCConfiguration([RTCIceServer(s["urls"], s.get("username"), s.get("credential")) for s in named])


def _post(url: str, body: dict[str, Any], token: str | None) -> dict[str, Any]:
    """Send the offer. Raises TalkError."""
    return _ask(url, "/api/session", token, json.dumps(body).encode())


def _ask(url: str, path: str, token: str | None, body: bytes | None = None) -> dict[str, Any]:
    """GET, or POST of a JSON ``body``. Raises TalkError with the server's sentence, or with what failed on the way."""
    check_server(url)
    request = urllib.request.Request(url.rstrip("/") + path, body)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        raise TalkError(_sentence(url, error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise TalkError(f"The server at {url} cannot be reached ({reason}): is 'vivify serve' running?") from None


def _sentence(url: str, error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"The server at {url} was expected to open a session, but answered {error.code}: is it a Vivify server?"
