"""A peer connection that answers one offer: its answer, late candidates, ICE restarts, its tasks and its end."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import MediaStreamTrack, RTCIceCandidate, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtcicetransport import candidate_to_aioice

from engine.errors import VivifyError
from webrtc.logs import SessionLog
from webrtc.media.packet_order import VoicePacket
from webrtc.rtc.ice_restart import HeardConnection, RestartableConnection, connection_of
from webrtc.rtc.ice_servers import configuration
from webrtc.rtc.negotiation import BadOffer
from webrtc.rtc.session_description import BadFragment, Fragment, Offer, short, unreadable
from webrtc.rtc.voice_receiver import VoiceReceiver
from webrtc.server_config import ServerConfig

MOST_CANDIDATES = 64  # of one connection: each is an address this machine sends packets to
MOST_RESTARTS = 16  # of one connection's ICE
CLOSE_LIMIT_S = 5
# An offer whose sender never shows gives its place back: so long after the answer, or after the last late candidate.
# One of whom something has come has longer: checks may wait for a relay, and the keys must still be agreed on.
CONNECT_LIMIT_S, AGREE_LIMIT_S = 5.0, 15.0
SILENT_S = 7.0  # a client that lives sends something more often: at least ICE's checks, every 4 to 6 s (RFC 7675)
_CREDENTIALS = (re.compile(r"[A-Za-z0-9+/]{4,256}"), re.compile(r"[A-Za-z0-9+/]{22,256}"))  # RFC 8839, section 5.4


class NoRestart(VivifyError):
    """An ICE restart was asked for that cannot be done now."""


class PeerConnection:
    """One connection. Set it up with `tracks` and `take`, end the negotiation with `answer`."""

    def __init__(
        self, name: str, offer: Offer, config: ServerConfig, on_ice_failed: Callable[[str], None] = lambda how: None
    ) -> None:
        self.name = name
        self.offer = offer
        self.codec = ""
        self.etag = _tag()  # of the ICE session, which a restart ends
        self.pc = RTCPeerConnection(configuration(config.ice_servers_now()))
        self._on_ice_failed = on_ice_failed
        self._failed = False
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._preferred = config.codec
        self._candidates = offer.candidates
        self._credentials = offer.credentials
        self._restarts = 0
        self._asked = time.monotonic()  # when the other side was last told, or told us, how to connect
        if offer.candidates > MOST_CANDIDATES:
            raise BadOffer(f"The offer was expected to hold at most {MOST_CANDIDATES} candidates, but more came.")

    @property
    def state(self) -> str:
        return self.pc.connectionState

    def send(self, *tracks: MediaStreamTrack, direction: str) -> None:
        """Add what will be sent; before `take`."""
        for track in tracks:
            transceiver = self.pc.addTransceiver(track, direction=direction)
            if track.kind == "video" and self._preferred:
                _prefer(transceiver, self._preferred)

    def hand_over_voice(self, take: Callable[[VoicePacket], None]) -> None:
        """Let ``take`` have what comes on the audio line, packet by packet; between `take` and `answer`."""
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == "audio":
                assert isinstance(transceiver.receiver, VoiceReceiver)
                transceiver.receiver.hand_over(take)

    async def take(self) -> None:
        """Take the offer. Raises BadOffer."""
        try:
            await self.pc.setRemoteDescription(RTCSessionDescription(self.offer.fitted.sdp, "offer"))
        except Exception as error:
            raise BadOffer(unreadable(error)) from error

    async def answer(self) -> str:
        """The answer's SDP, with all candidates of this side. Raises BadOffer."""
        try:
            await self.pc.setLocalDescription(await self.pc.createAnswer())
        except Exception as error:
            raise BadOffer(f"The offer could not be answered ({short(error)}): send a browser's own.") from error
        self._asked = time.monotonic()
        sdp = self.offer.fitted.answer(self.pc.localDescription.sdp)
        self.codec = _first_codec(self.pc.localDescription.sdp)
        return sdp.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n")  # RFC 9725, section 4.4.1

    async def connects(self) -> bool:
        """Wait until it is connected; False when the other side never came."""
        began = time.monotonic()
        while self.state not in ("connected", "failed", "closed"):
            now, heard = time.monotonic(), connection_of(self.pc).heard
            limit = min(self._asked + CONNECT_LIMIT_S, began + AGREE_LIMIT_S) if not heard else began + AGREE_LIMIT_S
            if now >= limit:
                SessionLog(self.name).info("no connection came about within %.0f s", now - began)
                self._tell_failure("never")
                return False
            await asyncio.sleep(min(limit - now, 0.1))
        SessionLog(self.name).info("connected %.1f s after the answer", time.monotonic() - began)
        return True

    def note_end(self) -> str:
        """Why it ended, in a sentence; one that failed is counted, once."""
        ice = connection_of(self.pc)
        if self.state != "failed" and not ice.vanished:
            return "The client closed the connection."
        self._tell_failure("lost" if ice.connected else "never")
        return "The connection was lost."

    def _tell_failure(self, how: str) -> None:
        if not self._failed:
            self._failed = True
            self._on_ice_failed(how)

    @property
    def present(self) -> bool:
        """Whether the other side has been heard of lately."""
        return self.state == "connected" and time.monotonic() - connection_of(self.pc).heard < SILENT_S

    async def trickle(self, fragment: Fragment) -> str | None:
        """Add late candidates; those that cannot be used are passed over.

        Other credentials than the known ones restart ICE, from when on the `etag` is another: returns this side's new
        fragment then, else None. Raises BadFragment for too many candidates or credentials that are none, NoRestart.
        """
        ours = zip(fragment.credentials, self._credentials, strict=True)
        renewed = any(came is not None and came != known for came, known in ours)
        answer = await self._restart(fragment.credentials) if renewed else None
        self._candidates += len(fragment.candidates)
        if self._candidates > MOST_CANDIDATES:
            raise BadFragment(f"A session was expected to need at most {MOST_CANDIDATES} candidates, but more came.")
        self._asked = time.monotonic()
        for candidate in fragment.candidates:
            self.spawn(self._add(candidate))
        if fragment.complete and self._restarts:  # a first connection waits for whoever knocks, told of or not
            self.spawn(self._add(None))
        return answer

    async def _restart(self, credentials: tuple[str | None, str | None]) -> str:
        """Begin an ICE restart; the old connection goes on until the new one is proven. Returns our fragment."""
        username, password = credentials
        if not all(form.fullmatch(came or "") for form, came in zip(_CREDENTIALS, credentials, strict=True)):
            raise BadFragment("To restart ICE, ice-ufrag and ice-pwd were both expected, 4 and 22 characters at least.")
        connection = connection_of(self.pc)
        if not connection.connected or self._restarts == MOST_RESTARTS:
            raise NoRestart(
                f"ICE can be restarted once it is connected, and {MOST_RESTARTS} times: this session goes on as it was."
            )
        self._restarts += 1
        fresh = await connection.restart(username or "", password or "")
        self._credentials, self._candidates = credentials, 0
        self.etag = _tag()
        self.spawn(self._prove(connection, fresh))
        lines = [f"a=ice-ufrag:{fresh.local_username}", f"a=ice-pwd:{fresh.local_password}"]
        first = self.pc.getTransceivers()[0]
        lines += [f"m={first.kind} 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{first.mid}"]
        lines += [f"a=candidate:{candidate.to_sdp()}" for candidate in fresh.local_candidates]
        return "\r\n".join([*lines, "a=end-of-candidates", ""])

    async def _prove(self, connection: RestartableConnection, fresh: HeardConnection) -> None:
        proven = await connection.prove(fresh)
        SessionLog(self.name).info("ICE was restarted" if proven else "an ICE restart failed")
        if not proven:
            self._on_ice_failed("restart")

    async def _add(self, candidate: RTCIceCandidate | None) -> None:
        try:
            if self._restarts:  # aiortc takes no more candidates once it was told that there are none
                known = None if candidate is None else candidate_to_aioice(candidate)
                await connection_of(self.pc).add_remote_candidate(known)
            else:
                await self.pc.addIceCandidate(candidate)
        except Exception as error:  # RFC 9725, section 4.3.2: what cannot be used is discarded silently
            SessionLog(self.name).info("a candidate was passed over: %s", short(error))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something as long as the connection lives."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End the connection and all its tasks but the one that asks for it."""
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self.pc.close()
        except Exception as error:
            SessionLog(self.name).warning("closing its connection failed: %s", short(error))


def _tag() -> str:
    return f'"{secrets.token_urlsafe(6)}"'


def _prefer(transceiver: Any, codec: str) -> None:
    """Put ``codec`` before the others, where the offer holds it."""
    offered = RTCRtpSender.getCapabilities("video").codecs
    ordered = sorted(offered, key=lambda c: c.mimeType.lower() != f"video/{codec}".lower())
    transceiver.setCodecPreferences(ordered)


def _first_codec(sdp: str) -> str:
    """Name of the video codec an answer settled on; empty without video."""
    _, line, video = sdp.partition("m=video")
    if not line:
        return ""
    first = video.split(None, 3)[2]
    found = re.search(rf"a=rtpmap:{first} ([\w-]+)/", video)
    return found.group(1) if found else ""
