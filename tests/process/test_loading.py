"""A portrait that takes long to load holds up who waits for it, and nobody else. The worker itself, on threads."""

from __future__ import annotations

import gc
import mmap
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from engine import avatars
from engine.config import SLOTS_PER_SESSION, EngineConfig, slot_bytes
from engine.contracts import SAMPLES_PER_FRAME
from engine.face.avatar import Avatar
from engine.process.engine_worker import Worker
from engine.process.wire import Wire

pytestmark = pytest.mark.cpu

FRAME = np.zeros(SAMPLES_PER_FRAME, np.float32).tobytes()


class Bench:
    """A worker on a thread, and the other end of its pipes."""

    def __init__(self) -> None:
        config = EngineConfig(size=256, max_sessions=2)
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        self._memory = memory = mmap.mmap(-1, SLOTS_PER_SESSION * config.max_sessions * slot_bytes(config.size))
        self.wire = Wire(os.fdopen(from_read, "rb"), os.fdopen(to_write, "wb"))
        self._inner = Wire(os.fdopen(to_read, "rb"), os.fdopen(from_write, "wb"))
        worker = Worker(config, self._inner, memory)

        def work() -> None:
            try:
                worker.run()
            finally:
                self._inner.close()  # who waits for a word hears of the end

        self.frames: list[dict[str, Any]] = []  # that came
        self.fetches = True
        self.thread = threading.Thread(target=work)
        self.thread.start()
        self.until("ready")

    def say(self, what: str, session: int = -1, payload: bytes = b"", **fields: Any) -> None:
        self.wire.send({"do": what, "session": session, **fields}, payload)

    def open(self, session: int, avatar: str) -> None:
        asked = {"look_ahead_ms": 0, "seed": 0, "matte": False, "head": (), "moves_only": False, "mark": 7}
        self.say("open", session, avatar=avatar, **asked)

    def speak(self, session: int, frame: int) -> None:
        self.say("audio", session, FRAME, position=frame * SAMPLES_PER_FRAME, now=time.monotonic())

    def hear(self) -> dict[str, Any]:
        message = self.wire.receive()
        assert message is not None
        if message[0]["event"] == "frame":
            self.frames.append(message[0])
            if self.fetches:
                self.fetch(message[0])
        return message[0]

    def fetch(self, frame: dict[str, Any]) -> None:
        """Let the worker write where ``frame`` lies."""
        self._memory[(frame["slot"] + 1) * slot_bytes(256) - 1] = 0

    def until(self, event: str) -> list[dict[str, Any]]:
        came = [self.hear()]
        while came[-1]["event"] != event:
            came.append(self.hear())
        return came

    def close(self) -> None:
        self.wire.close()
        self.thread.join(10)
        self._inner.close()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    grain = sys.getswitchinterval()
    bench = Bench()
    yield bench
    bench.close()
    sys.setswitchinterval(grain)
    gc.unfreeze()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Avatars are loaded once the event is set."""
    go, load = threading.Event(), Avatar.load

    def wait(folder: Any) -> Avatar:
        assert go.wait(20)
        return load(folder)

    monkeypatch.setattr(Avatar, "load", staticmethod(wait))
    return go


def test_the_faces_of_others_move_on(bench: Bench, slow: threading.Event) -> None:
    bench.open(1, "astronaut")
    bench.until("opened")
    bench.open(2, "lady_by_lake")
    for frame in range(10):
        bench.speak(1, frame)
        assert bench.until("frame")[-1]["session"] == 1, "while the other portrait is still being loaded"
    slow.set()
    assert bench.until("opened")[-1]["session"] == 2
    bench.speak(2, 0)
    assert bench.until("frame")[-1]["session"] == 2
    for session in (1, 2):
        bench.say("close", session)


def test_who_leaves_before_it_is_loaded_takes_no_place(bench: Bench, slow: threading.Event) -> None:
    for session in (3, 4):
        bench.open(session, "lady_in_black")
        bench.say("close", session)
    slow.set()
    for session in (5, 6):
        bench.open(session, "astronaut")
    assert [bench.until("opened")[-1]["session"] for _ in range(2)] == [5, 6], "both places are free"
    bench.open(7, "astronaut")
    assert bench.until("refused")[-1]["kind"] == "EngineFull"
    bench.open(8, "nobody")
    assert bench.until("refused")[-1]["kind"] == "UnknownAvatar"
    for session in (5, 6):
        bench.say("close", session)


def test_a_face_that_is_deleted_while_it_is_read_is_neither_shown_nor_kept(bench: Bench, slow: threading.Event) -> None:
    folder = str(avatars.resolve("lady_with_brooch")[1])
    bench.say("add avatar", name="own-face", folder=folder)
    bench.open(10, "own-face")
    bench.say("remove avatar", name="own-face")
    slow.set()
    answer = next(told for told in iter(bench.hear, None) if told["event"] in ("opened", "refused"))
    assert answer.get("kind") == "UnknownAvatar", answer
    bench.say("add avatar", name="own-face", folder="/nowhere")
    bench.open(11, "own-face")
    assert "nowhere" in bench.until("refused")[-1]["error"], "it is read anew"


def test_pictures_that_nobody_fetches_are_not_painted_over(bench: Bench) -> None:
    bench.open(20, "astronaut")
    bench.until("opened")
    bench.frames.clear()
    bench.fetches = False
    places = 2 * SLOTS_PER_SESSION
    for frame in range(places):
        bench.speak(20, frame)
        bench.until("frame")
    assert len({frame["slot"] for frame in bench.frames}) == places
    for fetched in (bench.frames[5], bench.frames[2]):
        bench.fetch(fetched)
        bench.speak(20, len(bench.frames))
        assert bench.until("frame")[-1]["slot"] == fetched["slot"], "it is the only place"
    for frame in bench.frames:
        bench.fetch(frame)
    bench.fetches = True
    bench.say("close", 20)


def test_a_hundred_interruptions_are_one(bench: Bench) -> None:
    bench.open(9, "astronaut")
    bench.until("opened")
    for _ in range(100):
        bench.say("clear", 9, times=1, now=time.monotonic())
    frames = []
    for frame in range(3):
        bench.speak(9, frame)
        frames.append(bench.until("frame")[-1])
    assert frames[-1]["epoch"] == 100, "each of them is counted"
    assert [frame["position"] for frame in frames] == [0, SAMPLES_PER_FRAME, 2 * SAMPLES_PER_FRAME]
    bench.say("close", 9)
