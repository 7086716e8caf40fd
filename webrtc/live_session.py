"""One voice and its face, whoever brings the voice and whoever watches: an engine session on one playout clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc.mediastreams import MediaStreamError

from engine.clock import look_ahead_frames, structural_delay_ms
from engine.contracts import FRAMES_PER_SECOND, Frame
from engine.errors import VivifyError
from engine.latency import LatencyWindow
from engine.marking.installation import installation_id
from engine.marking.mark_code import MarkIds
from engine.process.keeper import EngineKeeper, KeptSession
from webrtc.access.rights import Caller
from webrtc.media.playout import OPUS_DELAY, Playout
from webrtc.media.voice_line import RATIO, VOICE_RATE, PcmArray, VoicePiece
from webrtc.messages import Bye, Hello, Mapping, Settings, Stats
from webrtc.metrics import FRAMES, STAGES, VOICE
from webrtc.participants import Participant, Participants
from webrtc.rtc.tracks import PictureTrack, SoundTrack
from webrtc.rtc.viewer import Viewer

STATS_EVERY_S = 0.5


class UnknownSession(VivifyError):
    """No session, or no viewer, of that name."""

    def __init__(self) -> None:
        super().__init__("There is no session of that name for you: it may have ended already.")


class LiveSession:
    """Takes a voice from one who brings it, and gives sound and pictures to tracks and viewers. Ends with `close`."""

    def __init__(
        self,
        name: str,
        address: str,
        opener: Caller,
        look_ahead_ms: int,
        matte: bool,
        latency: LatencyWindow,
        on_closed: Callable[[LiveSession], None],
        idle_s: float | None = None,
    ) -> None:
        self.name = name
        self.address = address  # where it is watched
        self.opener = opener  # whose it is, and whose limits it counts for
        self.look_ahead_ms = look_ahead_ms
        self.matte = matte
        self.latency = latency
        self.viewers: dict[str, Viewer] = {}
        self.avatar, self.size = "", 0
        self.marked = ""  # the ids that its pictures carry
        self.closing = False
        self.ended_because = ""
        self._on_closed = on_closed
        self._idle_s = idle_s  # without a voice, or a word of a client, for so long, it ends
        self._active = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = asyncio.Event()
        self._playout = Playout(look_ahead_ms, time.monotonic())
        self.participants = Participants(self._playout.new_sender)
        self._engine_session: KeptSession | None = None
        self._opened = time.monotonic()
        self._shown: deque[float] = deque(maxlen=2 * FRAMES_PER_SECOND)  # when the last pictures left
        self._mapping: Mapping | None = None
        self._speaking = False
        self._learned = 0  # pictures that networks finished
        self._on_sent: Callable[[Frame, float], None] | None = None
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()  # timeline index, what to do when it has left
        self.sound = SoundTrack(self._playout, self._started, self._feed, self._on_piece)
        self.picture = PictureTrack(self._playout, self._started, self.sound, latency, self._on_shown)

    async def open(self, engine: EngineKeeper, avatar: str | None, seed: int, badge: bool = False) -> None:
        """Take a place in the engine. Raises EngineFull, UnknownAvatar, NoConsent, or VivifyError of the engine."""
        asked = avatar, self.look_ahead_ms, seed, self._from_engine, self._engine_lost, self.matte, False, badge
        self._engine_session = await self._loop.run_in_executor(engine.openings, engine.open, *asked)
        self.avatar = avatar or engine.default_avatar
        self.size = engine.config.size
        self.marked = str(MarkIds(installation_id(), self._engine_session.mark)) if engine.config.mark else "nothing"
        self._spawn(self._report())

    def pump(self) -> None:
        """Make the tracks go on their clock where no connection asks for them."""
        self._on_sent = self.picture.note_sent
        for track in (self.sound, self.picture):
            self._spawn(self._pump(track))

    def start(self) -> None:
        """Media starts now: both tracks' first pieces belong to this instant. Calling it again does nothing."""
        if not self._started.is_set() and not self.closing:
            self._playout.restart(time.monotonic())
            self._started.set()

    @property
    def started(self) -> bool:
        return self._started.is_set()

    def greet(self, one: Participant, codec: str = "") -> None:
        """Tell somebody what this session is."""
        one.tell(
            Hello(
                session=self.name,
                watch=self.address,
                avatar=self.avatar,
                size=self.size,
                matte=self.matte,
                fps=FRAMES_PER_SECOND,
                codec=codec,
                look_ahead_ms=self.look_ahead_ms,
                structural_delay_ms=structural_delay_ms(self.look_ahead_ms),
            )
        )
        if self._mapping is not None:
            one.tell(self._mapping)

    def voice(self, one: Participant, pts: int, pcm: PcmArray) -> None:
        """Sound of ``one``: ``pcm`` [n] int16 mono 48 kHz, first sample at the sender's ``pts``."""
        self.hear(one, VoicePiece(pts, pcm))

    def hears(self, one: Participant) -> bool:
        """Whether the voice of ``one`` is heard now; nobody need decode it otherwise."""
        return one is self.participants.speaker and self.started and not self.closing

    def hear(self, one: Participant, piece: VoicePiece) -> None:
        """The same of a connection's voice, whose packets may come late or not at all."""
        if self.hears(one):
            self._playout.hear(piece, time.monotonic())
            self._feed()
            if not self._playout.line.in_silence:
                self._active = time.monotonic()

    def when_left(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all sound that has come has left; never, if a barge-in comes first."""
        self._marks.append((self._playout.line.written, then))

    def clear(self) -> int:
        """Barge-in: sound and pictures that have not left yet never do. Returns the new epoch."""
        self._active = time.monotonic()
        if self._engine_session is not None and not self.closing:
            self._feed(whole=False)  # the engine closes the frame that was filling
            self._playout.clear(self._engine_session.clear())
            self._marks.clear()
            for viewer in self.viewers.values():
                viewer.clear()
            self.participants.cleared(self._playout.epoch)
        return self._playout.epoch

    def set(self, look_ahead_ms: int | None, wishes: dict[str, Any], key: dict[str, Any] | None = None) -> None:
        """Wish something of the face, or another look-ahead; everybody is told what holds from now on.

        Raises VivifyError for a look-ahead that is not offered, or a control or key that is not known or out of range.
        """
        if self._engine_session is None or self.closing:
            return
        self._active = time.monotonic()
        if look_ahead_ms is not None:
            look_ahead_frames(look_ahead_ms)
        if key is not None:
            self._engine_session.set_key(key)
        controls = self._engine_session.set_controls(wishes)
        if look_ahead_ms is not None:
            self.look_ahead_ms = self._engine_session.set_look_ahead(look_ahead_ms)
            self._playout.set_look_ahead(self.look_ahead_ms)
        self.participants.tell(Settings(look_ahead_ms=self.look_ahead_ms, controls=controls.as_dict()))

    def is_steered_by(self, caller: Caller) -> bool:
        """Whether it is the caller's to speak in, to change and to end."""
        return caller.may_steer(self.opener, self.name, self.address)

    @property
    def epoch(self) -> int:
        return self._playout.epoch

    async def watch(self, viewer: Viewer) -> str:
        """Let a viewer see and hear what leaves; the SDP of its answer.

        Raises BadOffer, and UnknownSession when the session is ending.
        """
        if self.closing:
            raise UnknownSession
        self.viewers[viewer.name] = viewer
        self._active = time.monotonic()
        try:
            return await viewer.answer(self._on_sent)
        except BaseException:
            await viewer.close()
            raise

    def forget(self, viewer: Viewer) -> None:
        self.viewers.pop(viewer.name, None)

    async def close(self, reason: str = "", come_back_s: float | None = None) -> None:
        """End it for everybody and give the engine's place back. Calling it again does nothing.

        ``come_back_s``: in so many seconds clients may open another one in its stead, without asking anybody.
        """
        if self.closing:
            return
        self.closing = True
        self.ended_because = reason
        self.participants.tell(Bye(reason=reason, come_back_s=come_back_s))
        self.sound.stop()
        self.picture.stop()
        self.picture.arrived()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        if self._engine_session is not None:
            self._engine_session.close()
        await asyncio.gather(*(viewer.close() for viewer in list(self.viewers.values())))
        await self.participants.leave()
        self._on_closed(self)

    def end(self, reason: str) -> None:
        """`close`, without waiting for it."""
        self._spawn(self.close(reason))

    def counts(self) -> dict[tuple[str, str], float]:
        """Pictures, and seconds of sound, since the start: what became of them."""
        playout, line = self._playout, self._playout.line
        engine_dropped = self._engine_session.dropped if self._engine_session else 0
        frames = {"shown": playout.shown, "dropped": playout.dropped + engine_dropped, "held": playout.held}
        voice = {name: getattr(line, name) / VOICE_RATE for name in VOICE}
        made = {("frames", "learned"): self._learned}
        return {("frames", k): v for k, v in frames.items()} | made | {("voice", k): v for k, v in voice.items()}

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

    @property
    def deserted(self) -> bool:
        """Nobody who speaks is left in it: it waits for one to come back, and may go where its place is needed."""
        return self.started and not self.participants.members

    def _feed(self, whole: bool = True) -> None:  # less than a frame is of no use to the engine
        if self._engine_session is not None and not self.closing:
            for chunk in self._playout.line.chunks(whole):
                self._engine_session.push_audio(chunk)

    def _from_engine(self, frame: Frame) -> None:  # on the engine's reader thread
        self._loop.call_soon_threadsafe(self._on_frame, frame)

    def _engine_lost(self, reason: str) -> None:  # on the engine's reader thread
        self._loop.call_soon_threadsafe(self.end, reason)

    def _on_frame(self, frame: Frame) -> None:
        if self.closing:
            return
        ledger = frame.ledger
        total = 1000 * (ledger.done - ledger.audio_in)
        stages = {"features": ledger.features_ms, "motion": ledger.motion_ms, "render": ledger.render_ms}
        compute = sum(stages.values())
        self.latency.add(**stages, compute=compute, queue=max(0.0, total - compute), total=total)
        self._learned += frame.learned
        self._playout.picture(frame, time.monotonic())
        self.picture.arrived()

    def _on_piece(self, index: int, pcm: PcmArray) -> None:
        for viewer in self.viewers.values():
            viewer.sound.offer((index, pcm))
        while self._marks and self._marks[0][0] <= index + len(pcm):
            self._marks.popleft()[1]()

    def _on_shown(self, frame: Frame) -> None:
        for viewer in self.viewers.values():
            viewer.picture.offer(frame)
        self._shown.append(time.monotonic())
        self._speaking = frame.speaking
        self.participants.motions.show(frame)
        if self._mapping is None and self.sound.first is not None:
            sound = self.sound.first - OPUS_DELAY
            self._mapping = Mapping(rate=VOICE_RATE, sound=sound, picture=RATIO * frame.position)
            self.participants.tell(self._mapping)

    async def _pump(self, track: SoundTrack | PictureTrack) -> None:
        with contextlib.suppress(MediaStreamError):  # the session ended
            while True:
                await track.next()

    async def _report(self) -> None:
        """Tell the figures twice a second."""
        while True:
            await asyncio.sleep(STATS_EVERY_S)
            if self._idle_s is not None and time.monotonic() - self._active > self._idle_s:
                return self.end(f"Nothing was said here for {self._idle_s / 60:g} minutes.")
            self.participants.tell(Stats.model_validate(self.stats()))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
