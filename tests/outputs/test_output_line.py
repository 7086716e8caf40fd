"""The line to an output: in order, bounded, pictures dropped before sound, and its troubles are its own."""

from __future__ import annotations

import time

import numpy as np
import pytest
from receivers import Breaking, Keeper, Mover, Refusing, Stuck

from clients.outputs.output import Facts, Movement, OutputError, Picture, Sound
from clients.outputs.output_line import MOST_WAITING, OutputLine
from engine.contracts import Motion

pytestmark = pytest.mark.cpu

FACTS = Facts("astronaut", 256, 0.2)


def picture(n: int) -> Picture:
    return Picture(1920 * n, np.zeros((6, 4), np.uint8), time.monotonic())


def sound(n: int) -> Sound:
    return Sound(960 * n, np.zeros(960, np.int16), time.monotonic())


def movement(n: int) -> Movement:
    motion = Motion(640 * n, np.zeros(52, np.float32), np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    return Movement(1920 * n, motion, False, time.monotonic())


def test_what_leaves_comes_in_order_and_all_of_it_before_the_end() -> None:
    keeper = Keeper()
    line = OutputLine(keeper)
    line.start(FACTS)
    sent = [sound(0), movement(0), picture(0), sound(1), sound(2), movement(1), picture(1)]
    for piece in sent:
        line.offer(piece)
    line.end()
    line.join()
    assert keeper.facts == FACTS
    assert [taken.piece for taken in keeper.taken] == sent
    assert keeper.closed == 1
    assert (line.given[Sound], line.given[Picture], sum(line.dropped.values())) == (3, 2, 0)


def test_an_output_gets_what_it_wants_and_nothing_else() -> None:
    mover = Mover()
    line = OutputLine(mover)
    line.start(FACTS)
    for piece in (sound(0), picture(0), movement(0)):
        line.offer(piece)
    line.end()
    line.join()
    assert [type(taken.piece) for taken in mover.taken] == [Movement]


def test_one_that_does_not_come_back_loses_its_oldest_pictures_and_keeps_its_sound() -> None:
    stuck = Stuck()
    line = OutputLine(stuck)
    line.start(FACTS)
    line.offer(picture(0))
    assert stuck.entered.wait(5)
    began = time.monotonic()
    for n in range(1, 11):
        line.offer(picture(n))
        line.offer(sound(2 * n))
        line.offer(sound(2 * n + 1))
    assert time.monotonic() - began < 0.5, "who offers does not wait"
    assert "8 dropped" not in line.state
    assert line.dropped == {Picture: 10 - MOST_WAITING[Picture]}
    for n in range(100):
        line.offer(sound(30 + n))
    assert line.dropped[Sound] == 120 - MOST_WAITING[Sound], "sound waits for a second, not for ever"
    stuck.let_go.set()
    line.end()
    line.join()
    assert [t.piece.position // 1920 for t in stuck.of(Picture)] == [0, 8, 9, 10]
    assert [t.piece.position // 960 for t in stuck.of(Sound)] == list(range(80, 130))


@pytest.mark.parametrize(
    ("error", "said"),
    [(OutputError("The app has gone: start it again."), "The app has gone: start it again."), (OSError("odd"), "odd")],
)
def test_one_that_fails_ends_alone_and_says_why(error: Exception, said: str) -> None:
    breaking = Breaking(error)
    line = OutputLine(breaking)
    line.start(FACTS)
    for n in range(20):
        line.offer(sound(n))
        time.sleep(0.002)
    line.join()
    assert len(breaking.taken) == 3
    assert breaking.closed == 1
    assert said in line.state
    line.offer(sound(99))
    line.end()


def test_one_that_cannot_be_had_says_so_at_the_start() -> None:
    refusing = Refusing()
    line = OutputLine(refusing)
    with pytest.raises(OutputError, match="plug it in"):
        line.start(FACTS)
    line.end()
    line.join()
    assert refusing.closed == 1, "half of it may have been opened"
