"""A picture shared by cores is the picture that one core paints."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME
from engine.face.avatar import Avatar
from engine.pipeline import Pipeline, Request
from engine.render.canvas import Canvas
from engine.render.crew import ALONE, RESTS, Crew
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu


@pytest.mark.parametrize("size", [200, 512])
def test_cores_share_a_picture_and_nothing_shows_of_it(astronaut: Avatar, size: int, talk) -> None:
    alone, shared = Renderer(astronaut, size), Renderer(astronaut, size)
    with ThreadPoolExecutor(3) as threads:
        for cores in (2, 3):
            for turn in ((0, 0, 0), (18, 5, -4)):
                motion = talk(turn, jawOpen=0.5, mouthSmile=0.3, eyeBlink=0.6)
                shared.crew = Crew(threads, cores)
                assert np.array_equal(shared.render(motion, alpha=True), alone.render(motion, alpha=True))
                shared.crew = Crew(threads, cores)
                assert np.array_equal(shared.planes(motion), alone.planes(motion))


def test_a_canvas_is_lent_from_one_to_the_next(astronaut: Avatar, talk) -> None:
    canvas, (one, other, alone) = Canvas(200), (Renderer(astronaut, 200) for _ in range(3))
    first, second = talk((18, 5, -4), jawOpen=0.5, mouthSmile=0.3), talk(eyeBlink=0.6, jawOpen=0.02)
    for motion in (first, second, first):
        one.canvas = other.canvas = canvas
        assert np.array_equal(one.render(motion, alpha=True), alone.render(motion, alpha=True))
        assert np.array_equal(other.render(second, alpha=True), alone.render(second, alpha=True))


def test_shares_cover_the_picture_once() -> None:
    with ThreadPoolExecutor(1) as threads:
        for cores, size in ((1, 512), (2, 64), (4, 300), (4, 32)):
            shares = Crew(threads, cores).shares(size, 16)
            assert [row for share in shares for row in range(*share)] == list(range(size))
            assert all(top % 16 == 0 for top, _ in shares)
            assert len(shares) <= cores


def test_a_large_picture_is_shared_while_there_is_a_core_for_each(
    astronaut: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.pipeline.usable_cores", lambda: 2)
    for size in (256, 512):
        pipeline, renderers = Pipeline(EngineConfig(size=size, max_sessions=3)), []
        for sessions in (1, 2, 3):
            renderers.append(Renderer(astronaut, size))
            pipeline.join(astronaut, 0, 0, renderers[-1])
            pipeline.step([Request(0, np.zeros(SAMPLES_PER_FRAME, np.float32), 0.0, False)])
            assert (renderers[0].crew is ALONE) == (sessions > 2 or size < 512)


def test_nobody_waits_for_a_core_that_is_not_free(astronaut: Avatar, talk) -> None:
    alone, shared, free = Renderer(astronaut, 200), Renderer(astronaut, 200), Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(free.wait)
        shared.crew = Crew(threads, 2)
        motion = talk((8, 5, -4), jawOpen=0.5)
        assert len(shared.crew.shares(200, 16)) == 2
        assert np.array_equal(shared.planes(motion), alone.planes(motion))
        assert [len(shared.crew.shares(200, 16)) for _ in range(RESTS + 1)] == [1] * RESTS + [2]
        free.set()


def test_a_fault_in_one_share_is_not_silent() -> None:
    def fail(k: int, rows: tuple[int, int]) -> None:
        if k:
            raise RuntimeError("a share was not painted")

    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="a share was not painted"):
        Crew(threads, 2).each([(0, 16), (16, 32)], fail)
