"""What one asker may do: so much a minute, so much at a time; and everything that waits has a bound, named here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from growing_things import found, growing
from serving import running
from websockets.sync.client import connect
from whip_peers import ask

from engine.errors import VivifyError
from webrtc.http import rate_limit as limits
from webrtc.http.rate_limit import Rate
from webrtc.server_config import ServerConfig

ONE, OTHER = "a-token-of-good-length", "another-token-of-good-length"


@pytest.mark.cpu
def test_so_many_at_once_then_as_they_come_back() -> None:
    rate = Rate(6)
    assert [rate.wait("a", 0.0) for _ in range(6)] == [0.0] * 6
    assert rate.wait("a", 0.0) == pytest.approx(10)
    assert rate.wait("b", 0.0) == 0.0, "others are not held up"
    assert rate.wait("a", 5.0) == pytest.approx(5)
    assert rate.wait("a", 10.1) == 0.0
    assert rate.wait("a", 10.2) > 0
    assert [rate.wait("a", 1000.0) for _ in range(7)].count(0.0) == 6, "a long pause saves up no more than a minute's"


@pytest.mark.cpu
def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KNOWN", 3)
    rate = Rate(1)
    for name in "abcd":
        rate.wait(name, 0.0)
    assert rate.wait("a", 0.0) == 0.0, "forgotten"
    assert rate.wait("d", 0.0) > 0


@pytest.mark.cpu
def test_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(VivifyError, match="1 at least"):
        ServerConfig(openings_per_minute=0)
    with pytest.raises(VivifyError, match="at least 16"):
        ServerConfig(token=f"{ONE},short")


@pytest.mark.net
def test_each_token_has_its_own_limits() -> None:
    def url(token: str) -> str:
        return f"ws{server.url.removeprefix('http')}/api/voice?token={token}"

    def status(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        return ask("POST", f"{server.url}/whep/none", b"v=0", headers).status

    settings = {"token": f"{ONE}, {OTHER}", "openings_per_minute": 6, "sessions_per_token": 1}
    with running(max_sessions=3, **settings) as server, connect(url(ONE)) as first, connect(url(OTHER)):
        assert first.recv()
        with pytest.raises(Exception, match="429"):
            connect(url(ONE))
        assert [status(ONE) for _ in range(5)] == [409, 409, 409, 409, 429]
        assert status(OTHER) == 409
        assert status("a-token-that-is-not-known") == 401
        headers = {"Authorization": f"Bearer {ONE}"}
        assert ask("GET", f"{server.url}/api/avatars", None, headers).status == 200, "reading is not opening"
        reply = ask("POST", f"{server.url}/whep/none", b"", headers)
        assert 0 < int(reply.headers["retry-after"]) <= 10


ROOT = Path(__file__).resolve().parents[3]
WATCHED = (  # where things wait or are kept while strangers are served
    *(
        "webrtc",
        "engine/process",
        "engine/session.py",
        "engine/scheduler.py",
        "engine/quality.py",
        "engine/pipeline.py",
    ),
    *("engine/latency.py", "engine/audio/chunker.py", "engine/audio/vad.py"),
)
SENDERS = ("clients",)  # of which queues alone are watched: a film or a benchmark keeps what it makes
BOUNDS = {  # what can grow, and the number that holds it
    "clients/agents/speech_queue.py:SpeechQueue._parts": "clients.agents.talking_face.MOST_WAITING_S",
    "clients/generator.py:VideoGenerator._came": "clients.generator.MOST_WAITING",
    "clients/outputs/output_line.py:OutputLine._waiting": "clients.outputs.output_line.MOST_WAITING",
    "clients/outputs/streams/whip_tracks.py:PushedTrack._queue": "clients.outputs.streams.whip_tracks.MOST_WAITING",
    "engine/audio/chunker.py:SpeechChunker._kept": "engine.session.LONGEST_SPEECH_SECONDS",
    "engine/process/engine_process.py:EngineProcess._outbox": "engine.process.engine_process.MOST_UNSENT",
    "engine/process/engine_worker.py:Worker._commands": "engine.process.engine_worker.MOST_COMMANDS",
    "engine/quality.py:Painters._prepared": "engine.quality.MOST_PREPARED",
    "engine/session.py:Session._arrivals": "engine.session.MAX_PENDING_SECONDS",
    "engine/session.py:Session._pending": "engine.session.MAX_PENDING_SECONDS",
    "webrtc/bounded_transports.py:FewSources.known": "webrtc.bounded_transports.MOST_SOURCES",
    "webrtc/http/rate_limit.py:Rate._buckets": "webrtc.http.rate_limit.MOST_KNOWN",
    "webrtc/http/voice_socket.py:Pusher._flushed": "webrtc.media.pushed_sound.MOST_ENDS",
    "webrtc/http/voice_socket.py:Pusher._outbox": "webrtc.http.voice_socket.OUTBOX",
    "webrtc/live_session.py:LiveSession._marks": "webrtc.media.pushed_sound.MOST_ENDS",  # while 4 s of sound leave
    "webrtc/media/playout.py:Playout._pictures": "webrtc.media.playout.PICTURE_QUEUE",
    "webrtc/media/pushed_sound.py:PushedVoice._ending": "webrtc.media.pushed_sound.MOST_ENDS",
    "webrtc/media/pushed_sound.py:PushedVoice._ends": "webrtc.media.pushed_sound.MOST_ENDS",
    "webrtc/media/pushed_sound.py:PushedVoice._waiting": "webrtc.media.pushed_sound.MOST_WAITING_S",
    "webrtc/media/voice_line.py:VoiceLine._chunks": "webrtc.media.voice_line.CAPACITY",  # samples
    "webrtc/media/voice_stream.py:VoiceStream._heard": "webrtc.media.voice_stream.KEPT",
    "webrtc/rtc/jitter_buffers.py:PictureBuffer._waiting": "webrtc.rtc.jitter_buffers.PictureBuffer.PATIENCE",
    "webrtc/rtc/peer_connection.py:PeerConnection._tasks": "webrtc.rtc.peer_connection.MOST_CANDIDATES",
    "webrtc/rtc/sending/outgoing.py:Outgoing._kept": "webrtc.rtc.sending.outgoing.RTP_HISTORY_SIZE",
    "webrtc/rtc/voice_receiver.py:VoiceReceiver._sources": "webrtc.rtc.voice_receiver.MOST_SOURCES",
    "webrtc/visitors/visitor_portraits.py:VisitorPortraits._coming": "webrtc.visitors.visitor_portraits.MOST_COMING",
    "webrtc/visitors/visitor_portraits.py:VisitorPortraits._jobs": "webrtc.visitors.visitor_portraits.JOBS",
}
HELD = {  # what can grow, and what holds it
    "clients/agents/face_clock.py:FaceClock._leaving": "its delay's worth: a frame time goes in as one comes out",
    "clients/agents/face_clock.py:FaceClock._pictures": "its delay's worth: what is late is dropped",
    "clients/agents/talking_face.py:TalkingFace._out": "UNTAKEN_PICTURES, and UNTAKEN_S of sound",
    "engine/latency.py:LatencyWindow._values": "the stages' names, a bounded deque each",
    "engine/pipeline.py:Pipeline._threads": "a step hands out one picture a session, and waits for all",
    "engine/process/engine_process.py:EngineProcess._avatars": "the bundled avatars",
    "engine/process/engine_process.py:EngineProcess._opening": "places: Service.full",
    "engine/process/engine_process.py:EngineProcess._sessions": "places: Service.full",
    "engine/process/engine_worker.py:Worker._loaded": "the bundled avatars, and visitors' portraits",
    "engine/process/engine_worker.py:Worker._loader": "places: Service.full",
    "engine/process/engine_worker.py:Worker._loading": "places: Service.full",
    "engine/process/engine_worker.py:Worker._sessions": "rows of the pipeline",
    "engine/process/keeper.py:EngineKeeper._added": "visitors' portraits",
    "engine/process/keeper.py:EngineKeeper._sessions": "places: Service.full",
    "engine/process/keeper.py:EngineKeeper.openings": "places: Service.full",
    "engine/process/keeper.py:KeptSession._wished": "the controls' names",
    "engine/process/labels.py:Labels._badges": "rows of the pipeline",
    "engine/process/labels.py:Labels._marks": "rows of the pipeline",
    "engine/process/waiting_commands.py:Commands._waiting": "the number it is made with",
    "engine/quality.py:Painters._canvases": "the threads that paint at once: one is made where all are in use",
    "engine/scheduler.py:Scheduler._sessions": "rows of the pipeline",
    "webrtc/fleet/door_server.py:Closing._tasks": "an operator's signals",
    "webrtc/fleet/on_ray/door_deployment.py:FleetDoor._actors": "Limits.most",
    "webrtc/fleet/on_ray/door_deployment.py:FleetDoor._looking": "Limits.most",
    "webrtc/fleet/on_ray/node_actor.py:NodeActor._tasks": "two",
    "webrtc/fleet/on_ray/ray_fleet.py:_Service._tasks": "an operator's signals",
    "webrtc/fleet/on_ray/ray_keeper.py:RayKeeper.made": "Limits.most",
    "webrtc/fleet/node_keeper.py:NodeKeeper._tasks": "two a node",
    "webrtc/fleet/node_keeper.py:NodeKeeper.kept": "--nodes",
    "webrtc/fleet/nodes.py:Node._sent": "openings of the last seconds: Rate",
    "webrtc/http/fair_socket.py:FairWebSocket._unread": "one read: none is made while it holds anything",
    "webrtc/live_session.py:LiveSession._tasks": "two tracks, one report, one end",
    "webrtc/live_session.py:LiveSession.viewers": "ServerConfig.max_viewers",
    "webrtc/motion_feed.py:MotionFeed._takers": "ServerConfig.max_viewers, and who speaks",
    "webrtc/participants.py:Participants.members": "the speaker, one socket, and those that are just ending",
    "webrtc/rtc/voice_receiver.py:VoiceReceiver._by_payload": "the codecs of a negotiation",
    "webrtc/service.py:Service.addresses": "places: Service.full",
    "webrtc/service.py:Service.connections": "places: Service.full",
    "webrtc/service.py:Service.sessions": "places: Service.full",
    "webrtc/visitors/enrolment_job.py:Job.warnings": "what one enrolment tells",
    "webrtc/visitors/visitor_portraits.py:VisitorPortraits._at_work": "one a kind: a photo, a film",
    "webrtc/visitors/visitor_portraits.py:VisitorPortraits._owners": "ServerConfig.portraits",
    "webrtc/visitors/visitor_portraits.py:VisitorPortraits.folders": "ServerConfig.portraits",
}


@pytest.mark.cpu
def test_everything_that_can_grow_is_named_with_its_bound() -> None:
    """A new queue, or a list that an object keeps, fails here until somebody has said what bounds it."""
    there = {one for place in WATCHED for one in found(ROOT, place, containers=True)}
    there |= {one for place in SENDERS for one in found(ROOT, place, containers=False)}
    named = {*BOUNDS, *HELD}
    assert not there - named, "these can grow: give each a bound, and name it above"
    assert not named - there, "these are named, but not there any more"


@pytest.mark.cpu
@pytest.mark.parametrize("name", sorted(set(BOUNDS.values())))
def test_bounds_are_numbers(name: str) -> None:
    module, _, constant = name.rpartition(".")
    try:
        bound = getattr(importlib.import_module(module), constant)
    except ModuleNotFoundError:  # a class's
        module, _, owner = module.rpartition(".")
        bound = getattr(getattr(importlib.import_module(module), owner), constant)
    numbers = bound.values() if isinstance(bound, dict) else [bound]
    assert all(0 < number <= 200_000 for number in numbers)


@pytest.mark.cpu
def test_what_can_grow_is_seen() -> None:
    def seen(*lines: str, containers: bool = True) -> list[str]:
        inside = "\n        ".join(lines)
        return list(growing(f"class A:\n    def __init__(self):\n        {inside}", containers))

    assert seen("self.q = asyncio.Queue()") == ["A.q"]
    assert seen("self.q: queue.SimpleQueue[int] = queue.SimpleQueue()", containers=False) == ["A.q"]
    assert seen("self.a, self.b = deque(), 1") == ["A.a"]
    assert seen("self.a = deque(maxlen=3)", "self.b = deque([], 3)") == []
    assert seen("self.a = deque(maxlen=None)") == ["A.a"]
    assert seen("self.a: list[int] = []", "self.b = dict()", "self.c = set[int]()") == ["A.a", "A.b", "A.c"]
    assert seen("self.a = []", containers=False) == []
    assert seen("self.a = [None] * 3", "a = []", "self.b = list(a)") == []
    assert list(growing("class A:\n    x: list[int] = field(default_factory=list)")) == ["A.x"]
    assert list(growing("KNOWN: dict[str, int] = {}\nNAMES = {'a': 1}")) == ["KNOWN"]
