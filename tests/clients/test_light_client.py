"""The client of benchmarks counts what a client that decodes sees: the same session, watched by both."""

from __future__ import annotations

import numpy as np
import pytest
from aiortc import rtcrtpreceiver
from serving import running
from whip_peers import Watcher, negotiate

from clients.signalling import Connection
from clients.trials.light_client import SpokenBefore, count_only
from clients.trials.measuring import spoken
from clients.trials.monitor import Monitor
from engine.contracts import FRAMES_PER_SECOND
from webrtc.media.voice_line import PIECE, VOICE_RATE
from webrtc.rtc.tracks import VIDEO_RATE

pytestmark = pytest.mark.net

STEP = VIDEO_RATE // FRAMES_PER_SECOND
COMPARED = 40  # pictures


class Times(Monitor):
    """Keeps RTP's times of all that comes, too."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[int] = []
        self.sounds: list[int] = []

    def add_picture(self, frame: object) -> None:
        super().add_picture(frame)  # type: ignore[arg-type]
        self.pictures.append(frame.pts)  # type: ignore[attr-defined]

    def add_sound(self, frame: object) -> None:
        super().add_sound(frame)  # type: ignore[arg-type]
        self.sounds.append(frame.pts)  # type: ignore[attr-defined]


async def test_it_counts_what_a_client_that_decodes_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as server:
        with monkeypatch.context() as of_this_client:
            for name in ("queue", "decoder_worker"):
                of_this_client.setattr(rtcrtpreceiver, name, getattr(rtcrtpreceiver, name))  # as it is, to come back
            count_only()
            light = Connection(SpokenBefore(spoken(VOICE_RATE)), seen := Times())
            await light.open(server.url, 40, None, None)
        watcher = Watcher()
        (session,) = server.service.sessions
        await negotiate(watcher.pc, server.url, f"/whep/{session}")
        await watcher.seen(1)
        earlier = len(seen.sounds) - len(watcher.sound)
        await watcher.seen(COMPARED)
        later = len(seen.sounds) - len(watcher.sound)
        await watcher.close()
        await light.close()
        span = seen.span()
    decoded = np.round(np.array(watcher.times) * VIDEO_RATE).astype(int)
    counted = np.array(seen.pictures)
    # Each viewer's RTP begins elsewhere: they are laid on one another where most of them meet.
    starts = counted[:, None] - decoded[None, :3]
    most = max(starts.ravel(), key=lambda start: np.isin(decoded + start, counted).sum())
    met = np.isin(decoded + most, counted)
    assert met.mean() > 0.95, "what was decoded was counted, each at its time"
    between = (counted >= (decoded + most).min()) & (counted <= (decoded + most).max())
    assert abs(between.sum() - len(decoded)) <= 1, "and nothing else"
    assert (np.diff(counted) % STEP == 0).all()
    assert span.pictures == len(counted)
    assert set(np.diff(seen.sounds)) == {PIECE}, "every packet is a piece of sound"
    assert span.sound_ms == 20 * len(seen.sounds)
    assert abs(later - earlier) <= 5, "as many of them as were decoded meanwhile"
