"""Streams by real protocols to FFmpeg: picture and sound together, tagged, and again after the receiver was gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from pathlib import Path

import av
import numpy as np
import pytest
from streaming_outputs import SIZE, Playing, free_port, listening

from clients.outputs.output import OutputError, Picture, Sound
from clients.outputs.streams.backing_off import BackingOff
from clients.outputs.streams.piece_pipe import StreamSettings
from clients.outputs.streams.stream_output import LEAD, Rtmp, Srt, ffmpeg_has_srt
from clients.outputs.streams.stream_publisher import Published
from clients.trials.receiving.flashes import BEGIN, apart, beeping_sound, film_onsets, flashing_picture

ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not here: apt install ffmpeg")
srt = pytest.mark.skipif(not ffmpeg_has_srt(), reason="there is no ffmpeg with SRT here: apt install ffmpeg")
FLASH_AT = (BEGIN + LEAD) / 48_000  # of each second of the stream's time
MOST_APART_S = 0.002  # AAC's frames are said in milliseconds in FLV


def publishers() -> int:
    """Processes of this one that a stream may leave behind."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = f"PPid:\t{os.getpid()}\n" in (folder / "status").read_text()
            found += ours and b"stream_publisher" in (folder / "cmdline").read_bytes()
    return found


@ffmpeg
@pytest.mark.net
def test_rtmp_is_in_step_and_goes_on_in_its_own_time_after_its_receiver_was_gone(tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/key"
    first = listening(url, tmp_path / "first.flv")
    output = Rtmp(url)
    playing = Playing(output)
    playing.play_until(lambda: output.up)
    assert output.state == "live at rtmp://127.0.0.1", "the rest of the URL is a key"
    playing.play(2.4)
    first.kill()
    first.wait()
    killed = playing.seconds
    playing.play_until(lambda: not output.up)
    second = listening(url, tmp_path / "second.flv")
    playing.play_until(lambda: output.up)
    playing.play(1.6)
    assert "Mbit/s" in output.figures
    assert output.sent > 10_000
    assert playing.longest_offer_s < 0.5, "whatever the receiver does, the voice goes on"
    assert playing.end() < 2.5
    second.wait(10)
    assert publishers() == 0

    for name in ("first", "second"):
        shown, heard = film_onsets(tmp_path / f"{name}.flv")
        assert len(shown) >= 1
        assert np.abs(apart(shown[-1:], heard)).max() <= MOST_APART_S
        assert abs(shown[-1] % 1 - FLASH_AT) < MOST_APART_S, "on the timeline, to the picture"
    assert film_onsets(tmp_path / "second.flv")[0][0] > killed

    with av.open(str(tmp_path / "first.flv")) as file:
        video, sound = file.streams.video[0].codec_context, file.streams.audio[0].codec_context
        assert (video.name, video.width, video.height) == ("h264", SIZE, SIZE)
        assert not video.has_b_frames
        assert (int(video.color_range), int(video.colorspace), int(video.color_primaries)) == (1, 6, 1)
        assert (sound.name, sound.sample_rate) == ("aac", 48_000)
        whole = [float(p.pts * p.time_base) for p in file.demux(video=0) if p.pts is not None and p.is_keyframe]
    assert [round(at) % 2 for at in whole[1:]] == [0] * len(whole[1:])
    assert len(whole) >= 2, "one every two seconds"


@srt
@pytest.mark.net
def test_srt_is_in_step(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    receiver = listening(f"srt://127.0.0.1:{port}?mode=listener", tmp_path / "srt.mkv")
    output = Srt(f"srt://127.0.0.1:{port}?latency=100000")
    playing = Playing(output)
    playing.play_until(lambda: output.up)
    playing.play(2.2)
    assert playing.end() < 2.5
    receiver.wait(10)
    shown, heard = film_onsets(tmp_path / "srt.mkv")
    assert len(shown) >= 2
    assert np.abs(apart(shown, heard)).max() <= MOST_APART_S
    assert np.allclose(shown[1:] % 1, FLASH_AT, atol=MOST_APART_S)


@srt
@pytest.mark.net
def test_srt_without_a_receiver_is_told() -> None:
    output = Srt(f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}?connect_timeout=300")
    playing = Playing(output)
    playing.play_until(lambda: "again in" in output.state)
    assert "Input/output error" in output.state
    assert playing.end() < 2.5
    assert publishers() == 0


@pytest.mark.net
def test_nobody_there_and_somebody_who_says_nothing_hold_up_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute, absent = Rtmp(f"rtmp://127.0.0.1:{silent.getsockname()[1]}/a"), Rtmp(f"rtmp://127.0.0.1:{free_port()}/a")
        both = [Playing(mute), Playing(absent)]
        both[1].play_until(lambda: "again in 1 s" in absent.state)
        assert absent.state == "rtmp://127.0.0.1: Connection refused; again in 1 s"
        both[0].play(0.5)
        assert mute.state == "connecting to rtmp://127.0.0.1"
        assert mute.left_out
        assert not both[0].line.dropped, "left out as a whole, not by the queue"
        assert all(playing.end() < 2.5 for playing in both)
    assert publishers() == 0


@pytest.mark.cpu
def test_what_cannot_be_streamed_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for make, url in ((Rtmp, "rtmp:x"), (Rtmp, "http://a/b"), (Rtmp, ""), (Srt, "rtmp://a/b")):
        with pytest.raises(OutputError, match="was expected to be a URL such as"):
            make(url)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OutputError, match="apt install ffmpeg"):
        Srt("srt://127.0.0.1:9000")


@pytest.mark.cpu
def test_holes_become_silence_and_doubles_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "holes.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        published = Published(file, StreamSettings("srt", "", SIZE))
        begin = 48_000
        for n in range(200):
            position = begin + 960 * n
            if n % 2 == 0 and not 60 <= n < 90:
                published.add(Picture(position, flashing_picture(position, SIZE), 0.0))
            if n < 30 or n >= 41:
                published.add(Sound(position, beeping_sound(position, 960), 0.0))
            published.add(Sound(position - 960, beeping_sound(position - 960, 960), 0.0))
        published.muxer.finish()
    shown, heard = film_onsets(path)
    assert np.abs(apart(shown, heard)).max() <= MOST_APART_S
    assert len(shown) == 3
    with av.open(str(path)) as film:
        assert abs(float(film.duration or 0) / 1e6 - 5) < 0.1


@pytest.mark.cpu
def test_waits_grow_and_are_short_again_after_a_connection_that_held() -> None:
    waits = BackingOff()
    assert [waits.wait(0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert waits.wait(60) == 1
    assert waits.wait(3) == 2
