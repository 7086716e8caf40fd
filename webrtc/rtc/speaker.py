"""The connection of one who speaks: brings the voice to a stream, and takes its sound and pictures back."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from aiortc import RTCDataChannel
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from engine.errors import VivifyError
from webrtc.live_session import Stream
from webrtc.logs import SessionLog
from webrtc.media.voice_line import VOICE_RATE
from webrtc.messages import Clear, Misunderstood, Ping, Pong, Said, Set, Told, read
from webrtc.rtc.peer_connection import BadOffer, Link, Offer, UnfitOffer
from webrtc.server_config import ServerConfig

LOOK_EVERY_S = 0.5
CONNECT_LIMIT_S = 20.0  # an offer whose sender never connects gives its place back
SILENT_LIMIT_S = 10.0  # a client that sends neither sound nor a message for so long has vanished
CHANNEL_WAIT_S = 1.0  # media starts with the control channel, or so long after the connection if it never opens


class Peer:
    """Answers one offer and feeds its stream until either side ends it; its end is the stream's.

    ``two_way``: sound and pictures go back to the speaker. Otherwise (WHIP) they only go to the viewers.
    """

    def __init__(self, stream: Stream, offer: Offer, two_way: bool, config: ServerConfig) -> None:
        _check(offer, two_way)
        self.stream = stream
        self.link = Link(stream.name, offer, config)
        self._two_way = two_way
        self._loop = asyncio.get_running_loop()
        self._channel: RTCDataChannel | None = None
        self._heard = self._opened = time.monotonic()  # the last sign of life; the start
        self._talks = False  # the client has sent sound, or opened the control channel
        stream.company.join(self)
        stream.company.speak_for(self)
        self.link.pc.on("track", self._on_track)
        self.link.pc.on("datachannel", self._on_channel)
        self.link.pc.on("connectionstatechange", self._on_state)

    async def take(self) -> None:
        """Take the offer. Raises BadOffer."""
        if self._two_way:
            self.link.send(self.stream.sound, self.stream.picture, direction="sendrecv")
        await self.link.take()

    async def answer(self) -> str:
        """The answer's SDP. Raises BadOffer."""
        sdp = await self.link.answer()
        if not self._two_way:
            self.stream.pump()
        self.link.spawn(self._watch())
        return sdp

    async def leave(self) -> None:
        await self.link.close()

    def tell(self, message: Told) -> None:
        channel = self._channel
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount < 1 << 16:
            channel.send(message.model_dump_json())

    def cleared(self, epoch: int) -> None:
        """Nothing is kept here: what comes after a barge-in was said after it."""

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
        self.stream.greet(self, self.link.codec)
        self._start()

    def _on_message(self, message: str | bytes) -> None:
        self._heard = time.monotonic()
        try:
            self._obey(read(message))
        except VivifyError as error:
            self.tell(Misunderstood(error=str(error)))

    def _obey(self, command: Said) -> None:
        if isinstance(command, Clear):
            self.stream.clear()
        elif isinstance(command, Ping):
            self.tell(Pong(t=command.t))
        elif isinstance(command, Set):
            self.stream.set(command.look_ahead_ms, command.controls)
        else:
            raise VivifyError("Only who pushes sound over a socket was expected to flush or resume.")

    def _on_state(self) -> None:
        state = self.link.state
        if state in ("failed", "closed"):
            self.link.spawn(self.stream.close("The connection was lost."))
        elif state == "connected":
            self._loop.call_later(CHANNEL_WAIT_S if self.link.offer.has_channel else 0, self._start)

    def _start(self) -> None:
        if not self.stream.started:
            self._heard = time.monotonic()
            self.stream.start()

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
                if pcm:
                    self.stream.voice(self, pts, np.concatenate(pcm))
        except MediaStreamError:
            SessionLog(self.stream.name).info("the voice ended")

    async def _watch(self) -> None:
        """End what has no other side any more."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            if self.link.state != "connected" and now - self._opened > CONNECT_LIMIT_S:
                break
            if self.stream.started and self._talks and now - self._heard > SILENT_LIMIT_S:
                break  # a mere watcher, who never says anything, is ICE's to miss
        await self.stream.close("Nothing was heard from the client any more.")


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
