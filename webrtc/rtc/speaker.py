"""The connection of one who speaks: brings the voice to a session, and takes its sound and pictures back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiortc import RTCDataChannel
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from engine.errors import VivifyError
from webrtc.budget import Budget
from webrtc.logs import SessionLog
from webrtc.media.packet_order import VoicePacket
from webrtc.media.voice_stream import VoiceStream
from webrtc.messages import WORDS, Clear, Misunderstood, Motions, Ping, Pong, Said, Set, Told, read
from webrtc.rtc.peer_connection import PeerConnection
from webrtc.rtc.session_description import Offer
from webrtc.server_config import ServerConfig

if TYPE_CHECKING:  # the session stands above: it is handed in
    from webrtc.live_session import LiveSession

PACKETS = (500.0, 1000)  # of the voice a second, and at once: the shortest of Opus last 2.5 ms
MOTIONS_WAITING = 1 << 14  # bytes: a quarter of what a channel may hold back in all
FLOOD = 300  # messages beyond the budget: no program that means well sends so many
CHANNEL_WAIT_S = 1.0  # media starts with the control channel, or so long after the connection if it never opens


class Speaker:
    """Answers one offer and feeds its session until either side ends it; its end is the session's.

    ``two_way``: sound and pictures go back to the speaker. Otherwise (WHIP) they only go to the viewers.
    """

    def __init__(
        self,
        session: LiveSession,
        offer: Offer,
        two_way: bool,
        config: ServerConfig,
        on_ice_failed: Callable[[str], None],
    ) -> None:
        self.session = session
        self.connection = PeerConnection(session.name, offer, config, on_ice_failed)
        self._two_way = two_way
        self._loop = asyncio.get_running_loop()
        self._channel: RTCDataChannel | None = None
        self._opened = time.monotonic()
        self._voice: VoiceStream | None = None  # while it is heard
        self._packets = Budget(*PACKETS)
        self._words = Budget(*WORDS)
        session.participants.join(self)
        session.participants.speak_for(self)
        self.connection.pc.on("track", self._on_track)
        self.connection.pc.on("datachannel", self._on_channel)
        self.connection.pc.on("connectionstatechange", self._on_state)

    async def take(self) -> None:
        """Take the offer. Raises BadOffer."""
        if self._two_way:
            self.connection.send(self.session.sound, direction="sendrecv")
            self.connection.send(self.session.picture, direction="sendonly")
        await self.connection.take()
        self.connection.hand_over_voice(self._on_voice)

    async def answer(self) -> str:
        """The answer's SDP. Raises BadOffer."""
        sdp = await self.connection.answer()
        if not self._two_way:
            self.session.pump()
        self.connection.spawn(self._watch())
        return sdp

    async def leave(self) -> None:
        await self.connection.close()

    @property
    def present(self) -> bool:
        return self.connection.present

    def tell(self, message: Told) -> None:
        channel = self._channel
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount < 1 << 16:
            channel.send(message.model_dump_json())

    def _moved(self, message: Told) -> None:
        """A motion: where others wait already, it is dropped."""
        if self._channel is not None and self._channel.bufferedAmount < MOTIONS_WAITING:
            self.tell(message)

    def cleared(self, epoch: int) -> None:
        """Nothing is kept here: what comes after a barge-in was said after it."""

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self.connection.spawn(self._listen(track))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != "control" or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)
        self.session.greet(self, self.connection.codec)
        self._start()

    def _on_message(self, message: str | bytes) -> None:
        if self._words.wait(time.monotonic()):
            self._too_much()
            return
        try:
            self._obey(read(message))
        except VivifyError as error:
            self.tell(Misunderstood(error=str(error)))

    def _too_much(self) -> None:
        """A data channel cannot be read more slowly: what is beyond the budget is dropped, a flood ends the session."""
        if self._words.owed <= 1:  # the first beyond it
            self.tell(Misunderstood(error=f"At most {WORDS[0]:.0f} messages a second are taken: this one was dropped."))
        elif self._words.owed > FLOOD and not self.session.closing:
            self.connection.spawn(self.session.close("Too many messages came."))

    def _obey(self, command: Said) -> None:
        if isinstance(command, Clear):
            self.session.clear()
        elif isinstance(command, Ping):
            self.tell(Pong(t=command.t))
        elif isinstance(command, Set):
            self.session.set(command.look_ahead_ms, command.controls, command.key)
        elif isinstance(command, Motions):
            self.session.participants.motions.want(self, self._moved if command.wanted else None)
        else:
            raise VivifyError("Only who pushes sound over a socket was expected to flush or resume.")

    def _on_state(self) -> None:
        state = self.connection.state
        if state in ("failed", "closed"):
            self.connection.spawn(self.session.close(self.connection.note_end()))
        elif state == "connected":
            self._loop.call_later(CHANNEL_WAIT_S if self.connection.offer.has_channel else 0, self._start)

    def _start(self) -> None:
        if not self.session.started:
            self.session.start()

    def _on_voice(self, packet: VoicePacket) -> None:
        """A voice that nobody hears, since somebody else speaks, is not decoded; nor is a flood."""
        now = time.monotonic()
        if not self.session.hears(self):
            self._voice = None
            return
        if self._packets.take(now):
            self._voice = self._voice or VoiceStream()
            for piece in self._voice.push(packet, now):
                self.session.hear(self, piece)

    async def _listen(self, track: MediaStreamTrack) -> None:
        """Tell of the voice's end; its packets go past the track, see `_on_voice`."""
        try:
            while True:
                await track.recv()
        except MediaStreamError:
            SessionLog(self.session.name).info("the voice ended")

    async def _watch(self) -> None:
        """End what never had another side. One that vanishes later stops answering ICE's checks, see `_on_state`.

        Silence tells nothing: a microphone may be taken away, muted, or send nothing while nobody speaks.
        """
        if not await self.connection.connects():
            await self.session.close("The client never connected.")
