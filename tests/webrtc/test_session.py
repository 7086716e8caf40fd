"""Two real peers over loopback: a client speaks, the server's face speaks back."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
import urllib.request
import wave
import weakref
from collections import defaultdict
from pathlib import Path

import aioice.ice
import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from serving import Running, running

from clients.commands.talk import TalkError, talk
from clients.signalling import _post
from engine.audio.sound_files import read_speech
from engine.errors import VivifyError
from engine.paths import assets
from webrtc.media.playout import LATE_LIMIT_S
from webrtc.messages import SERVER
from webrtc.rtc.ice_servers import no_servers

pytestmark = pytest.mark.net

SECONDS = 2.0
MATCH = 0.5  # of a voice whose pauses a busy machine may have lengthened; 0.98 when it is not


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two spoken seconds of the bundled sample."""
    samples = read_speech(assets() / "speech.wav")
    begin = max(int(np.flatnonzero(np.abs(samples) > 0.05)[0]) - 1600, 0)
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_wav(path, samples[begin : begin + int(SECONDS * 16_000)], 16_000)
    return path


def write_wav(path: Path, samples: np.ndarray, rate: int, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(32767 * samples).astype("<i2").tobytes())


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as film:
        return np.stack([frame.to_ndarray(format="gray") for frame in film.decode(video=0)])


def emptied(server: Running, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while server.sessions and time.monotonic() < until:
        time.sleep(0.05)
    return server.sessions == 0


async def opened(server: Running) -> None:
    while not server.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_voice_comes_back_with_a_face(server: Running, speech: Path, tmp_path: Path, codec: str) -> None:
    out = tmp_path / "talk.mp4"
    report = await talk(server.url, speech, out, codec=codec)
    assert report.codec == codec
    assert report.structural_delay_ms == 120
    assert report.voice_match > MATCH
    assert abs(report.av_offset_ms["received"]) <= 1000 * LATE_LIMIT_S + 40  # what even a busy machine keeps
    assert set(report.stages_ms) >= {"features", "motion", "render", "encode"}
    assert report.mic_to_picture_ms["p50"] > report.structural_delay_ms
    assert json.loads(out.with_suffix(".json").read_text())["codec"] == codec
    with av.open(str(out)) as film:
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert (video.width, video.height, video.average_rate) == (512, 512, 25)
        lengths = [float(s.duration * s.time_base) for s in (video, audio)]
    assert lengths == pytest.approx([SECONDS, SECONDS], abs=0.08)
    sent, came = read_speech(speech), read_speech(out)
    assert came.std() == pytest.approx(sent.std(), rel=0.15), "the voice must come back as loud as it went"
    shown = pictures(out).astype(float)
    mouth, corner = shown[:, 330:420, 210:310], shown[:, :60, :60]
    assert np.abs(np.diff(mouth, axis=0)).mean() > 3 * np.abs(np.diff(corner, axis=0)).mean()
    assert emptied(server), "the client's going must give its place back"


async def test_a_session_ended_by_the_server_is_told_to_the_client(
    server: Running, speech: Path, tmp_path: Path
) -> None:
    work = asyncio.create_task(talk(server.url, speech, tmp_path / "x.mp4"))
    await opened(server)
    await asyncio.sleep(1.0)
    name = next(iter(server.service.sessions))
    request = urllib.request.Request(f"{server.url}/api/session/{name}", method="DELETE")
    (await asyncio.to_thread(urllib.request.urlopen, request)).close()
    with pytest.raises(TalkError, match=r"lost .* The session was ended"):
        await work
    assert not (tmp_path / "x.mp4").exists()


async def test_the_control_channel_answers(server: Running) -> None:
    pc = RTCPeerConnection(no_servers())
    pc.addTransceiver("audio")
    pc.addTransceiver("video", direction="recvonly")
    channel = pc.createDataChannel("control")
    heard: defaultdict[str, asyncio.Queue[dict]] = defaultdict(asyncio.Queue)

    @channel.on("message")
    def on_message(text: str) -> None:
        message = SERVER.validate_json(text).model_dump()
        heard[message["type"]].put_nowait(message)

    async def answer(kind: str) -> dict:
        async with asyncio.timeout(10):
            return await heard[kind].get()

    await pc.setLocalDescription(await pc.createOffer())
    body = {"type": "offer", "sdp": pc.localDescription.sdp, "look_ahead_ms": 0}
    reply = await asyncio.to_thread(_post, server.url, body, None)
    await pc.setRemoteDescription(RTCSessionDescription(reply["sdp"], reply["type"]))
    hello = await answer("hello")
    assert (hello["protocol"], hello["size"], hello["structural_delay_ms"]) == (1, 512, 40)
    channel.send('{"type":"ping","t":7}')
    assert (await answer("pong"))["t"] == 7
    for junk in ("{", "[]", '{"type":"dance"}', "x" * 5000, b"\x00", "[" * 4000):
        channel.send(junk)
        assert "expected" in (await answer("error"))["error"]
    stats = await answer("stats")
    assert {"fps", "frames", "delay_ms", "stages_ms", "voice_ms"} <= set(stats)
    assert (await answer("mapping"))["rate"] == 48_000
    channel.send('{"type":"clear"}')
    assert (await answer("cleared"))["epoch"] == 1
    channel.send('{"type":"set","look_ahead_ms":80,"controls":{"smile":0.5}}')
    settings = await answer("settings")
    assert (settings["look_ahead_ms"], settings["controls"]["smile"]) == (80, 0.5)
    for odd in ('"controls":{"smile":7}', '"controls":{"wings":1}', '"look_ahead_ms":81'):
        channel.send(f'{{"type":"set",{odd}}}')
        assert "expected" in (error := (await answer("error"))["error"]) or "must be" in error
    shown = stats["frames"]["shown"]
    while (stats := await answer("stats"))["frames"]["shown"] < shown + 25:
        pass  # without any voice, and after a barge-in, the face goes on
    await pc.close()
    assert emptied(server)


async def test_a_watcher_without_voice_or_channel_sees_the_face(server: Running) -> None:
    pc = RTCPeerConnection(no_servers())
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    pc.on("track", lambda track: tracks.put_nowait(track))
    for kind in ("audio", "video"):
        pc.addTransceiver(kind, direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    reply = await asyncio.to_thread(_post, server.url, {"type": "offer", "sdp": pc.localDescription.sdp}, None)
    await pc.setRemoteDescription(RTCSessionDescription(reply["sdp"], reply["type"]))
    async with asyncio.timeout(15):
        seen = {}
        for _ in range(2):
            track = await tracks.get()
            seen[track.kind] = await track.recv()
    assert (seen["video"].width, seen["video"].height) == (512, 512)
    assert seen["audio"].sample_rate == 48_000
    await pc.close()
    assert emptied(server)


def test_a_client_that_vanishes_gives_its_place_back(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.3)  # ICE's checks go unanswered: found within some seconds
    code = (
        "import asyncio, sys; from pathlib import Path; from clients.commands.talk import talk;"
        "asyncio.run(talk(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))"
    )
    with running(max_sessions=1) as server:
        client = subprocess.Popen([sys.executable, "-c", code, server.url, str(speech), str(tmp_path / "x.mp4")])
        try:
            until = time.monotonic() + 20
            while not any(peer.stats()["frames"]["shown"] for peer in list(server.service.sessions.values())):
                assert time.monotonic() < until, "the client never connected"
                time.sleep(0.05)
        finally:
            client.kill()
            client.wait()
        assert server.sessions == 1
        assert emptied(server, 8.0)
        assert 'vivify_ice_failures_total{how="lost"} 1.0' in server.service.metrics.text().decode()


async def test_sessions_come_and_go_without_a_trace(server: Running, speech: Path, tmp_path: Path) -> None:
    peers = []
    for _ in range(2):
        work = [asyncio.create_task(talk(server.url, speech, tmp_path / f"{i}.mp4")) for i in range(2)]
        while len(server.service.sessions) < 2:  # noqa: ASYNC110  # the server runs on another thread's loop
            await asyncio.sleep(0.05)
        peers += [weakref.ref(peer) for peer in server.service.sessions.values()]
        assert all(report.voice_match > MATCH for report in await asyncio.gather(*work))
        assert emptied(server)
    await asyncio.sleep(0.5)
    gc.collect()
    assert sum(peer() is not None for peer in peers) <= 1, "a session that has ended must be forgotten"


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:9", "cannot be reached"), ("ftp://x", "URL"), ("http://", "URL"), ("nonsense", "URL")],
)
async def test_a_server_that_is_not_there_is_told(url: str, words: str, speech: Path, tmp_path: Path) -> None:
    with pytest.raises(TalkError, match=words):
        await talk(url, speech, tmp_path / "x.mp4")


async def test_a_full_server_is_told_to_the_client(speech: Path, tmp_path: Path) -> None:
    with running(max_sessions=1) as server:
        first = asyncio.create_task(talk(server.url, speech, tmp_path / "1.mp4"))
        await opened(server)
        with pytest.raises(TalkError, match="full"):
            await talk(server.url, speech, tmp_path / "2.mp4")
        assert (await first).voice_match > MATCH, "the first client must not notice"


async def test_a_speech_that_is_none_is_refused_before_anything_is_sent(server: Running, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    write_wav(empty, np.zeros(0), 16_000)
    for path, words in ((tmp_path / "none.wav", "there is none"), (empty, "0 s")):
        with pytest.raises(VivifyError, match=words):
            await talk(server.url, path, tmp_path / "x.mp4")
