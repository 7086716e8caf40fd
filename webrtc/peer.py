"""One person's connection: a peer connection, an engine session, and the playout clock between them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from engine.clock import structural_delay_ms
from engine.errors import VivifyError
from engine.metrics import LatencyWindow
from engine.types import FRAMES_PER_SECOND, Frame
from engine.worker import EngineProcess, EngineSession
from webrtc.playout import OPUS_DELAY, Playout
from webrtc.tracks import PictureTrack, SoundTrack
from webrtc.transport import no_servers
from webrtc.voice import RATIO, VOICE_RATE

log = logging.getLogger("vivify")

PROTOCOL = 1  # of the control channel, see protocol.md
STATS_EVERY_S = 0.5
CONNECT_LIMIT_S = 20.0  # an offer whose sender never connects gives its place back
SILENT_LIMIT_S = 10.0  # a client that sends neither sound nor a message for so long has vanished
CHANNEL_WAIT_S = 1.0  # media starts with the control channel, or so long after the connection without one
LONGEST_MESSAGE = 4096  # characters of a control message
ENGINE_STAGES = ("features", "motion", "render", "queue")


class BadOffer(VivifyError):
    """The session description is not one a browser would send."""


class Peer:
    """Answers one offer and keeps the stream going until either side ends it. ``on_closed`` is called once."""

    def __init__(self, name: str, look_ahead_ms: int, codec: str | None, on_closed: Callable[[Peer], None]) -> None:
        self.name = name
        self.codec = ""
        self.look_ahead_ms = look_ahead_ms
        self.latency = LatencyWindow()
        self._on_closed = on_closed
        self._preferred = codec
        self._loop = asyncio.get_running_loop()
        self._pc = RTCPeerConnection(no_servers())
        self._started = asyncio.Event()
        self._playout = Playout(look_ahead_ms, time.monotonic())
        self._session: EngineSession | None = None
        self._channel: RTCDataChannel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._heard = self._opened = time.monotonic()  # the last sign of life; the start
        self._shown: deque[float] = deque(maxlen=2 * FRAMES_PER_SECOND)  # when the last pictures left
        self._talks = False  # the client has sent sound, or opened the control channel
        self._mapping_told = False
        self._speaking = False
        self._sound = SoundTrack(self._playout, self._started, self._feed)
        self._picture = PictureTrack(self._playout, self._started, self._sound, self.latency, self._on_shown)
        self._pc.on("track", self._on_track)
        self._pc.on("datachannel", self._on_channel)
        self._pc.on("connectionstatechange", self._on_state)

    async def answer(self, engine: EngineProcess, offer: str, avatar: str | None, seed: int) -> str:
        """Take the offer, open an engine session, and return the answer's SDP.

        Raises BadOffer, EngineFull, UnknownAvatar, or VivifyError of the engine.
        """
        await self._take(offer)
        self._session = await asyncio.to_thread(
            engine.open, avatar, self.look_ahead_ms, seed, self._from_engine, self._engine_lost
        )
        self.avatar = avatar or engine.default_avatar
        self.size = engine.config.size
        try:
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except Exception as error:
            raise BadOffer(f"The offer could not be answered ({_short(error)}): send a browser's own.") from error
        for transceiver in self._pc.getTransceivers():
            if transceiver.currentDirection not in ("sendrecv", "sendonly"):
                raise BadOffer(f"The offer was expected to receive {transceiver.kind}, but it does not: ask for it.")
        self.codec = _first_codec(self._pc.localDescription.sdp)
        self._spawn(self._watch())
        return self._pc.localDescription.sdp

    async def close(self, reason: str = "") -> None:
        """End the connection and give the engine's place back. Calling it again does nothing."""
        if self._closing:
            return
        self._closing = True
        self._tell({"type": "bye", "reason": reason})
        self._sound.stop()
        self._picture.stop()
        self._picture.arrived()
        if self._session is not None:
            self._session.close()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        try:
            async with asyncio.timeout(5):
                await self._pc.close()
        except Exception as error:
            log.warning("session %s: closing its connection failed: %s", self.name, _short(error))
        self._on_closed(self)

    def stats(self) -> dict[str, Any]:
        """The figures of protocol.md's ``stats`` message."""
        playout, line = self._playout, self._playout.line
        measured = playout.measured_delay
        figures = self.latency.summary()
        now = time.monotonic()
        engine_dropped = self._session.dropped if self._session else 0
        return {
            "type": "stats",
            "seconds": round(now - self._opened, 1),
            "fps": sum(t > now - 1 for t in self._shown),
            "frames": {
                "shown": playout.shown,
                "dropped": playout.dropped + engine_dropped,
                "held": playout.held,
            },
            "delay_ms": {
                "structural": structural_delay_ms(self.look_ahead_ms),
                "margin": round(1000 * playout.margin.seconds, 1),
                "voice": None if measured is None else round(1000 * measured, 1),
            },
            "stages_ms": {name: figures.get(name, {}) for name in (*ENGINE_STAGES, "encode", "total")},
            "av_offset_ms": figures.get("av_offset", {}),
            "voice_ms": {
                name: round(1000 * getattr(line, name) / VOICE_RATE)
                for name in ("received", "lost", "padded", "shed", "refused")
            },
            "speaking": self._speaking,
        }

    async def _take(self, offer: str) -> None:
        self._pc.addTrack(self._sound)
        self._pc.addTrack(self._picture)
        if self._preferred:
            _prefer(self._pc, self._preferred)
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        except Exception as error:  # aiortc's parser raises whatever its lines of code happen to
            raise BadOffer(
                f"The SDP was expected to be a WebRTC offer, but it cannot be read ({_short(error)})."
            ) from error
        kinds = [t.kind for t in self._pc.getTransceivers() if t.mid is not None]
        if sorted(kinds) != ["audio", "video"]:
            raise BadOffer(
                f"The offer was expected to hold one audio and one video line, but it holds {kinds or 'neither'}: "
                "send the microphone and ask to receive video."
            )

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._spawn(self._listen(track))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != "control" or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        self._talks = True
        channel.on("message", self._on_message)
        self._tell(
            {
                "type": "hello",
                "protocol": PROTOCOL,
                "session": self.name,
                "avatar": self.avatar,
                "size": self.size,
                "fps": FRAMES_PER_SECOND,
                "codec": self.codec,
                "look_ahead_ms": self.look_ahead_ms,
                "structural_delay_ms": structural_delay_ms(self.look_ahead_ms),
            }
        )
        self._start()

    def _on_message(self, message: str | bytes) -> None:
        self._heard = time.monotonic()
        try:
            if not isinstance(message, str) or len(message) > LONGEST_MESSAGE:
                raise ValueError(f"a JSON text of at most {LONGEST_MESSAGE} characters")
            body = json.loads(message)
            kind = body.get("type") if isinstance(body, dict) else None
            if kind == "clear":
                self._clear()
            elif kind == "ping":
                self._tell({"type": "pong", "t": body.get("t")})
            else:
                raise ValueError("an object whose type is 'clear' or 'ping'")
        except (ValueError, RecursionError) as error:
            expected = "valid JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else error
            self._tell({"type": "error", "error": f"A control message was expected to be {expected}."})

    def _on_state(self) -> None:
        state = self._pc.connectionState
        if state in ("failed", "closed"):
            self._spawn(self.close("The connection was lost."))
        elif state == "connected":
            self._loop.call_later(CHANNEL_WAIT_S, self._start)

    def _start(self) -> None:
        """Media starts now: both tracks' first pieces belong to this instant."""
        if not self._started.is_set() and not self._closing:
            self._heard = time.monotonic()
            self._playout.restart(self._heard)
            self._started.set()

    async def _listen(self, track: MediaStreamTrack) -> None:
        """Take the voice in until it ends."""
        mono = AudioResampler(format="s16", layout="mono", rate=VOICE_RATE)
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                pts = (frame.pts or 0) * VOICE_RATE // frame.sample_rate
                pcm = [f.to_ndarray().reshape(-1) for f in mono.resample(frame)]
                self._heard, self._talks = time.monotonic(), True
                if self._started.is_set() and pcm:
                    self._playout.voice(pts, np.concatenate(pcm), self._heard)
                    self._feed()
        except MediaStreamError:
            log.info("session %s: the voice ended", self.name)

    def _feed(self) -> None:
        if self._session is not None and not self._closing:
            for chunk in self._playout.line.chunks():
                self._session.push_audio(chunk)

    def _from_engine(self, frame: Frame) -> None:  # on the engine's reader thread
        self._loop.call_soon_threadsafe(self._on_frame, frame)

    def _engine_lost(self, reason: str) -> None:  # on the engine's reader thread
        self._loop.call_soon_threadsafe(lambda: self._spawn(self.close(reason)))

    def _on_frame(self, frame: Frame) -> None:
        if self._closing:
            return
        ledger = frame.ledger
        total = 1000 * (ledger.done - ledger.audio_in)
        stages = {"features": ledger.features_ms, "motion": ledger.motion_ms, "render": ledger.render_ms}
        self.latency.add(**stages, queue=max(0.0, total - sum(stages.values())), total=total)
        self._playout.picture(frame, time.monotonic())
        self._picture.arrived()

    def _on_shown(self, frame: Frame) -> None:
        self._shown.append(time.monotonic())
        self._speaking = frame.speaking
        if not self._mapping_told and self._sound.first is not None:
            self._mapping_told = True
            sound = self._sound.first - OPUS_DELAY
            self._tell({"type": "mapping", "rate": VOICE_RATE, "sound": sound, "picture": RATIO * frame.position})

    def _clear(self) -> None:
        if self._session is not None:
            self._playout.clear(self._session.clear())
            self._tell({"type": "cleared", "epoch": self._playout.epoch})

    async def _watch(self) -> None:
        """Tell the figures twice a second, and end what has no other side any more."""
        while True:
            await asyncio.sleep(STATS_EVERY_S)
            now = time.monotonic()
            if self._pc.connectionState != "connected" and now - self._opened > CONNECT_LIMIT_S:
                break
            if self._started.is_set() and self._talks and now - self._heard > SILENT_LIMIT_S:
                break  # a mere watcher, who never says anything, is ICE's to miss
            self._tell(self.stats())
        await self.close("Nothing was heard from the client any more.")

    def _tell(self, message: dict[str, Any]) -> None:
        channel = self._channel
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount < 1 << 16:
            channel.send(json.dumps(message, separators=(",", ":")))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _prefer(pc: RTCPeerConnection, codec: str) -> None:
    """Put ``codec`` before the others, where the offer holds it."""
    offered = RTCRtpSender.getCapabilities("video").codecs
    ordered = sorted(offered, key=lambda c: c.mimeType.lower() != f"video/{codec}".lower())
    for transceiver in pc.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(ordered)


def _first_codec(sdp: str) -> str:
    """Name of the video codec an answer settled on."""
    video = sdp[sdp.index("m=video") :]
    first = video.split(None, 4)[3]
    found = re.search(rf"a=rtpmap:{first} ([\w-]+)/", video)
    return found.group(1) if found else ""


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:120].splitlines()[0]
