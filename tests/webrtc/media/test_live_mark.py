"""The invisible mark of a real session, as a real peer records it."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest
from aiortc.codecs import vpx
from serving import Running

from clients.commands.talk import talk
from clients.films.mark_search import search_film
from engine.audio.sound_files import read_speech
from engine.paths import assets

pytestmark = pytest.mark.net

KBIT = 300  # what no session of ours falls to by itself: 800 is the least
SECONDS = 1.5


async def test_a_peer_reads_whose_session_it_was_at_a_fifth_of_the_usual_bits(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("DEFAULT_BITRATE", "MIN_BITRATE", "MAX_BITRATE"):
        monkeypatch.setattr(vpx, limit, 1000 * KBIT)  # whatever congestion control makes of the line
    speech, out = tmp_path / "speech.wav", tmp_path / "film.mp4"
    samples = read_speech(assets() / "speech.wav")
    begin = int(np.flatnonzero(np.abs(samples) > 0.05)[0])
    with wave.open(str(speech), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((32767 * samples[begin : begin + int(SECONDS * 16_000)]).astype("<i2").tobytes())
    work = asyncio.create_task(talk(server.url, speech, out, codec="VP8"))
    while not server.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
        await asyncio.sleep(0.05)
    session = next(iter(server.service.sessions.values()))
    await work
    found = search_film(out).mark
    assert found is not None
    assert str(found.ids) == session.marked
