"""One voice and its face: the speaker's connection, an engine session, and the playout clock between them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from aiortc import RTCDataChannel
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from engine.clock import structural_delay_ms
from engine.errors import VivifyError
from engine.metrics import LatencyWindow
from engine.types import FRAMES_PER_SECOND, Frame
from engine.worker import EngineProcess, EngineSession
from webrtc.config import ServerConfig
from webrtc.link import BadOffer, Link, Offer, UnfitOffer, UnknownSession
from webrtc.logs import SessionLog
from webrtc.messages import Bye, Clear, Cleared, Hello, Mapping, Misunderstood, Pong, Stats, Told, read
from webrtc.metrics import FRAMES, STAGES, VOICE
from webrtc.playout import OPUS_DELAY, Playout
from webrtc.tracks import PictureTrack, SoundTrack
from webrtc.viewer import Viewer
from webrtc.voice import RATIO, VOICE_RATE, PcmArray

STATS_EVERY_S = 0.5
CONNECT_LIMIT_S = 20.0  # an offer whose sender never connects gives its place back
SILENT_LIMIT_S = 10.0  # a client that sends neither sound nor a message for so long has vanished
CHANNEL_WAIT_S = 1.0  # media starts with the control channel, or so long after the connection if it never opens


class Peer:
    """Answers one offer and keeps the stream going until either side ends it. ``on_closed`` is called once.

    ``two_way``: sound and pictures go back to the speaker. Otherwise (WHIP) they only go to the viewers.
    """

    def __init__(
        self,
        name: str,
        offer: Offer,
        look_ahead_ms: int,
        two_way: bool,
        config: ServerConfig,
        latency: LatencyWindow,
        on_closed: Callable[[Peer], None],
    ) -> None:
        _check(offer, two_way)
        self.name = name
        self.look_ahead_ms = look_ahead_ms
        self.latency = latency
        self.viewers: dict[str, Viewer] = {}
        self.link = Link(name, offer, config)
        self._two_way = two_way
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._started = asyncio.Event()
        self._playout = Playout(look_ahead_ms, time.monotonic())
        self._session: EngineSession | None = None
        self._channel: RTCDataChannel | None = None
        self._closing = False
        self._heard = self._opened = time.monotonic()  # the last sign of life; the start
        self._shown: deque[float] = deque(maxlen=2 * FRAMES_PER_SECOND)  # when the last pictures left
        self._talks = False  # the client has sent sound, or opened the control channel
        self._mapping_told = False
        self._speaking = False
        self._sound = SoundTrack(self._playout, self._started, self._feed, self._on_piece)
        self._picture = PictureTrack(self._playout, self._started, self._sound, self.latency, self._on_shown)
        self.link.pc.on("track", self._on_track)
        self.link.pc.on("datachannel", self._on_channel)
        self.link.pc.on("connectionstatechange", self._on_state)

    async def answer(self, engine: EngineProcess, avatar: str | None, seed: int) -> str:
        """Take the offer, open an engine session, and return the answer's SDP.

        Raises BadOffer, EngineFull, UnknownAvatar, or VivifyError of the engine.
        """
        if self._two_way:
            self.link.send(self._sound, self._picture, direction="sendrecv")
        await self.link.take()
        self._session = await asyncio.to_thread(
            engine.open, avatar, self.look_ahead_ms, seed, self._from_engine, self._engine_lost
        )
        self.avatar = avatar or engine.default_avatar
        self.size = engine.config.size
        sdp = await self.link.answer()
        if not self._two_way:
            self.link.spawn(self._pump(self._sound))
            self.link.spawn(self._pump(self._picture))
        self.link.spawn(self._watch())
        return sdp

    async def watch(self, viewer: Viewer) -> str:
        """Let a viewer see and hear what leaves this session; the SDP of its answer.

        Raises BadOffer, and UnknownSession when this one is ending.
        """
        if self._closing:
            raise UnknownSession
        self.viewers[viewer.name] = viewer
        try:
            return await viewer.answer(None if self._two_way else self._picture.note_sent)
        except BaseException:
            await viewer.close()
            raise

    def forget(self, viewer: Viewer) -> None:
        self.viewers.pop(viewer.name, None)

    async def close(self, reason: str = "") -> None:
        """End the connection and give the engine's place back. Calling it again does nothing."""
        if self._closing:
            return
        self._closing = True
        self._tell(Bye(reason=reason))
        self._sound.stop()
        self._picture.stop()
        self._picture.arrived()
        if self._session is not None:
            self._session.close()
        await asyncio.gather(*(viewer.close() for viewer in list(self.viewers.values())))
        await self.link.close()
        self._on_closed(self)

    def counts(self) -> dict[tuple[str, str], float]:
        """Pictures, and seconds of sound, since the start: what became of them."""
        playout, line = self._playout, self._playout.line
        engine_dropped = self._session.dropped if self._session else 0
        frames = {"shown": playout.shown, "dropped": playout.dropped + engine_dropped, "held": playout.held}
        voice = {name: getattr(line, name) / VOICE_RATE for name in VOICE}
        return {("frames", k): v for k, v in frames.items()} | {("voice", k): v for k, v in voice.items()}

    def stats(self) -> dict[str, Any]:
        """The figures of protocol.md's ``stats`` message."""
        measured = self._playout.measured_delay
        figures = self.latency.summary()
        now = time.monotonic()
        counts = self.counts()
        return {
            "type": "stats",
            "seconds": round(now - self._opened, 1),
            "fps": sum(t > now - 1 for t in self._shown),
            "frames": {name: counts["frames", name] for name in FRAMES},
            "delay_ms": {
                "structural": structural_delay_ms(self.look_ahead_ms),
                "margin": round(1000 * self._playout.margin.seconds, 1),
                "voice": None if measured is None else round(1000 * measured, 1),
            },
            "stages_ms": {name: figures.get(name, {}) for name in STAGES},
            "av_offset_ms": figures.get("av_offset", {}),
            "voice_ms": {name: round(1000 * counts["voice", name]) for name in VOICE},
            "speaking": self._speaking,
        }

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self.link.spawn(self._listen(track))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != "control" or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        self._talks = True
        channel.on("message", self._on_message)
        self._tell(
            Hello(
                session=self.name,
                avatar=self.avatar,
                size=self.size,
                fps=FRAMES_PER_SECOND,
                codec=self.link.codec,
                look_ahead_ms=self.look_ahead_ms,
                structural_delay_ms=structural_delay_ms(self.look_ahead_ms),
            )
        )
        self._start()

    def _on_message(self, message: str | bytes) -> None:
        self._heard = time.monotonic()
        try:
            command = read(message)
        except VivifyError as error:
            self._tell(Misunderstood(error=str(error)))
            return
        if isinstance(command, Clear):
            self._clear()
        else:
            self._tell(Pong(t=command.t))

    def _on_state(self) -> None:
        state = self.link.state
        if state in ("failed", "closed"):
            self.link.spawn(self.close("The connection was lost."))
        elif state == "connected":
            self._loop.call_later(CHANNEL_WAIT_S if self.link.offer.has_channel else 0, self._start)

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
            SessionLog(self.name).info("the voice ended")

    def _feed(self) -> None:
        if self._session is not None and not self._closing:
            for chunk in self._playout.line.chunks():
                self._session.push_audio(chunk)

    def _from_engine(self, frame: Frame) -> None:  # on the engine's reader thread
        self._loop.call_soon_threadsafe(self._on_frame, frame)

    def _engine_lost(self, reason: str) -> None:  # on the engine's reader thread
        self._loop.call_soon_threadsafe(lambda: self.link.spawn(self.close(reason)))

    def _on_frame(self, frame: Frame) -> None:
        if self._closing:
            return
        ledger = frame.ledger
        total = 1000 * (ledger.done - ledger.audio_in)
        stages = {"features": ledger.features_ms, "motion": ledger.motion_ms, "render": ledger.render_ms}
        compute = sum(stages.values())
        self.latency.add(**stages, compute=compute, queue=max(0.0, total - compute), total=total)
        self._playout.picture(frame, time.monotonic())
        self._picture.arrived()

    async def _pump(self, track: SoundTrack | PictureTrack) -> None:
        """Make a track go on its clock where no connection of the speaker's does."""
        try:
            while True:
                await track.next()
        except MediaStreamError:
            pass  # the session ended

    def _on_piece(self, index: int, pcm: PcmArray) -> None:
        for viewer in self.viewers.values():
            viewer.sound.offer((index, pcm))

    def _on_shown(self, frame: Frame) -> None:
        for viewer in self.viewers.values():
            viewer.picture.offer(frame)
        self._shown.append(time.monotonic())
        self._speaking = frame.speaking
        if not self._mapping_told and self._sound.first is not None:
            self._mapping_told = True
            sound = self._sound.first - OPUS_DELAY
            self._tell(Mapping(rate=VOICE_RATE, sound=sound, picture=RATIO * frame.position))

    def _clear(self) -> None:
        if self._session is not None:
            self._playout.clear(self._session.clear())
            self._tell(Cleared(epoch=self._playout.epoch))

    async def _watch(self) -> None:
        """Tell the figures twice a second, and end what has no other side any more."""
        while True:
            await asyncio.sleep(STATS_EVERY_S)
            now = time.monotonic()
            if self.link.state != "connected" and now - self._opened > CONNECT_LIMIT_S:
                break
            if self._started.is_set() and self._talks and now - self._heard > SILENT_LIMIT_S:
                break  # a mere watcher, who never says anything, is ICE's to miss
            self._tell(Stats.model_validate(self.stats()))
        await self.close("Nothing was heard from the client any more.")

    def _tell(self, message: Told) -> None:
        channel = self._channel
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount < 1 << 16:
            channel.send(message.model_dump_json())


def _check(offer: Offer, two_way: bool) -> None:
    """Raises BadOffer unless the lines of an offer are the ones its use needs."""
    if two_way and sorted(offer.kinds) != ["audio", "video"]:
        raise BadOffer(
            f"The offer was expected to hold one audio and one video line, but it holds {_listed(offer)}: "
            "send the microphone and ask to receive video."
        )
    if not two_way and offer.kinds != ("audio",):
        raise UnfitOffer(
            f"The offer was expected to hold one audio line and no other, but it holds {_listed(offer)}: "
            "publish the microphone alone."
        )
    for kind, direction in zip(offer.kinds, offer.directions, strict=True):
        if two_way and direction not in ("sendrecv", "recvonly"):
            raise BadOffer(f"The offer was expected to receive {kind}, but it does not: ask for it.")
        if not two_way and direction not in ("sendrecv", "sendonly"):
            raise UnfitOffer("The offer was expected to send audio, but it does not: publish the microphone.")


def _listed(offer: Offer) -> str:
    return ", ".join(offer.kinds) or "neither"
