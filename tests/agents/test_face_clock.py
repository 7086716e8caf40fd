"""When things leave, by times made up here."""

from __future__ import annotations

import numpy as np
import pytest

from clients.agents.face_clock import MARGIN_S, FaceClock, Picture, Piece, Reached, Sound
from clients.agents.speech_queue import SILENT, Mark, Slot
from engine.contracts import Frame, Ledger

pytestmark = pytest.mark.cpu

RATE = 24_000
SLOT = RATE // 25
LOOK_AHEAD_S = 0.080
SPOKEN = Slot((np.ones(SLOT, np.int16),))


def frame(slot: int) -> Frame:
    return Frame(640 * slot, 0, np.zeros((3, 2), np.uint8), Ledger(0, 0, 0, 0, 0))


def played(clock: FaceClock, slots: list[Slot], compute_s: float = 0.02) -> list[tuple[float, Piece]]:
    """What leaves when, a millisecond at a time, with pictures that are ready so long after the look-ahead."""
    came = []
    for ms in range(40 * len(slots) + 400):
        now = ms / 1000
        if ms % 40 == 0 and ms // 40 < len(slots):
            assert clock.due(now) == pytest.approx(now)
            clock.begin(slots[ms // 40])
        slot, rest = divmod(round(ms - 1000 * (LOOK_AHEAD_S + compute_s)), 40)
        if rest == 0 and 0 <= slot < len(slots):
            clock.picture(frame(slot), now)
        came += [(now, piece) for piece in clock.release(now)]
    return came


@pytest.mark.parametrize(("lead_s", "together"), [(0.0, False), (0.04, False), (0.04, True)])
def test_a_receiver_holds_so_much_sound_and_plays_it_with_its_pictures(lead_s: float, together: bool) -> None:
    clock = FaceClock(RATE, LOOK_AHEAD_S, lead_s, together)
    end = Slot((np.ones(SLOT // 2, np.int16), Mark("end", ends=True)))
    came = played(clock, [SILENT, SILENT, SPOKEN, SPOKEN, end, SILENT, SILENT])
    pictures = {piece.position // 640: when for when, piece in came if isinstance(piece, Picture)}
    idle = [pictures[slot] for slot in (0, 1, 5, 6)]
    sounds = [(when, piece) for when, piece in came if isinstance(piece, Sound)]
    assert list(pictures) == list(range(7))
    assert [piece.position for _, piece in sounds] == [1280, 1600, 1920, 2240, 2560], "20 ms each"
    first = pictures[2]
    left = [when - first for when, _ in sounds]
    assert left == pytest.approx([max(0.0, 0.02 * i - lead_s) for i in range(5)], abs=0.0011)
    shown = [pictures[slot] - first for slot in (2, 3, 4)]
    early = lead_s if together else 0.0
    assert shown == pytest.approx([max(0.0, 0.04 * i - early) for i in range(3)], abs=0.0011)
    assert np.diff(idle) == pytest.approx([0.04, 0.16, 0.04], abs=0.0011), "idle pictures never lead"
    [ended] = [when for when, piece in came if isinstance(piece, Reached)]
    assert ended - first == pytest.approx(0.10 - early, abs=0.0011), "once all of it has been heard"
    order = [type(piece) for _, piece in came if getattr(piece, "position", 0) == 1280]
    assert order == [Picture, Sound], "a receiver that plays what comes in order shows the picture first"


def test_the_delay_waits_for_silence() -> None:
    clock = FaceClock(RATE, LOOK_AHEAD_S, 0.0, False)
    before = clock.delay_s
    came = played(clock, [SPOKEN] * 60, compute_s=MARGIN_S + 0.04)
    assert clock.delay_s == before
    pictures = [when for when, piece in came if isinstance(piece, Picture)]
    assert len(pictures) > 50, "late pictures leave late"
    clock = FaceClock(RATE, LOOK_AHEAD_S, 0.0, False)
    played(clock, [SILENT] * 60, compute_s=MARGIN_S + 0.04)
    assert before + 0.04 <= clock.delay_s <= before + 0.10


def test_after_a_barge_in_only_a_new_picture_leaves_and_at_once() -> None:
    clock = FaceClock(RATE, LOOK_AHEAD_S, 0.0, False)
    clock.begin(SPOKEN)
    clock.begin(Slot((Mark("text", ends=False), *SPOKEN.parts, Mark("end", ends=True))))
    clock.picture(frame(0), 0.1)
    assert clock.clear() == ["text", "end"]
    assert clock.dropped == 1
    assert clock.release(10.0) == []
    clock.picture(frame(1), 0.11)
    assert [type(piece) for piece in clock.release(0.11)] == [Picture]


def test_a_stall_delays_sound_and_loses_none() -> None:
    clock = FaceClock(RATE, LOOK_AHEAD_S, 0.0, False)
    clock.begin(SPOKEN)
    assert clock.due(5.0) == 5.0
    clock.begin(SPOKEN)
    assert len([piece for piece in clock.release(9.0) if isinstance(piece, Sound)]) == 4
