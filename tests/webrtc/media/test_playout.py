"""The playout in virtual time: no clock, no network, every packet and picture placed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.contracts import Frame, Ledger
from webrtc.media.catching_up import GENTLY, STRONGLY, shortened
from webrtc.media.concealment import GONE, JOIN
from webrtc.media.playout import FRAME, LATE_LIMIT_S, OPUS_DELAY, PICTURE_QUEUE, Playout
from webrtc.media.voice_line import CAPACITY, PIECE, RATIO, VOICE_RATE, Decimator, PcmArray, VoiceLine

pytestmark = pytest.mark.cpu

PIECE_S = PIECE / VOICE_RATE
START = 100.0


def noise(pieces: int, seed: int = 0) -> PcmArray:
    """Voice that repeats nowhere and is never silent: [pieces * 960] int16."""
    values = np.random.default_rng(seed).integers(2000, 20000, pieces * PIECE)
    return (values * np.random.default_rng(seed + 1).choice([-1, 1], len(values))).astype(np.int16)


def frame(index: int, epoch: int = 0) -> Frame:
    return Frame(640 * index, epoch, np.zeros((6, 4), np.uint8), Ledger(0, 0, 0, 0, 0))


class Simulation:
    """A sender, a playout and a receiver of its sound on one virtual clock."""

    def __init__(self, look_ahead_ms: int = 80) -> None:
        self.now = START
        self.playout = Playout(look_ahead_ms, START)
        self.sound: list[PcmArray] = []
        self.indices: list[int] = []
        self.left: list[float] = []
        self.engine = 0  # samples of 16 kHz fed

    def until(self, time: float) -> None:
        """Let the sound track run up to ``time``."""
        while (due := self.playout.sound_due()) <= time or self.now + PIECE_S <= time:
            if due > self.now + PIECE_S:
                self.now += PIECE_S
                self.playout.idle(self.now)
                self.feed()
                continue
            self.now = max(self.now, due)
            index, pcm = self.playout.next_sound(self.now)
            self.indices.append(index)
            self.sound.append(pcm)
            self.left.append(self.now)
            self.feed()
        self.now = time

    def packets(self, pcm: PcmArray, arrivals: list[float | None], pts: int = 0) -> None:
        """Packet i of ``pcm`` comes at ``arrivals[i]`` (monotonic); None is a lost one."""
        for i, arrival in enumerate(arrivals):
            if arrival is None:
                continue
            self.until(arrival)
            self.playout.voice(pts + i * PIECE, pcm[i * PIECE : (i + 1) * PIECE], arrival)
            self.feed()

    def feed(self) -> None:
        for chunk in self.playout.line.chunks():
            assert chunk.position == self.engine, "the engine's clock must have no holes"
            self.engine += len(chunk.samples)

    def heard(self) -> PcmArray:
        self.until(self.now + 1.0)
        return np.concatenate(self.sound)


def steady(count: int, start: float = START + 0.5, pace: float = PIECE_S) -> list[float | None]:
    return [start + (i + 1) * pace for i in range(count)]


def assert_heard(sound: PcmArray, pcm: PcmArray) -> None:
    """All of ``pcm`` was heard, in order. Between may stand silence and a faded end, and what follows comes softly."""
    at = 0
    for first in range(0, len(pcm), PIECE):
        wanted, skipped = pcm[first + JOIN : first + PIECE], 0
        while not np.array_equal(sound[at + JOIN : at + PIECE], wanted):
            skipped += bool(sound[at])
            at += 1
            assert at < len(sound), f"sample {first} was not heard"
        assert skipped <= GONE, "more than an end was made up"
        at += PIECE
    assert np.count_nonzero(sound[at:]) <= GONE


def test_the_voice_comes_back_whole_after_exactly_the_delay() -> None:
    sim, pcm = Simulation(), noise(100)
    sim.packets(pcm, steady(100))
    out = sim.heard()
    assert_heard(out, pcm)
    assert sim.playout.line.received == len(pcm)
    first = int(np.flatnonzero(out)[0])
    left = sim.left[0] + (first + OPUS_DELAY) / VOICE_RATE
    waited = left - (START + 0.5)
    assert sim.playout.delay - 1e-9 <= waited <= sim.playout.delay + 2 * PIECE_S
    assert np.diff(sim.indices).tolist() == [PIECE] * (len(sim.indices) - 1)


@pytest.mark.parametrize("look_ahead_ms", [0, 40, 80, 120])
def test_a_picture_leaves_with_the_sound_it_shows(look_ahead_ms: int) -> None:
    sim = Simulation(look_ahead_ms)
    playout = sim.playout
    playout.encode_s = 0.004
    for k in range(5):
        playout.picture(frame(k), START)
    for k in range(5):
        shown, wait = playout.next_picture(START + playout.delay + k * 0.040 - 0.005)
        assert shown is None
        assert wait == pytest.approx(0.001)
        shown, _ = playout.next_picture(START + playout.delay + k * 0.040 - 0.004)
        assert shown is not None
        assert shown.position == 640 * k
        sound_leaves = playout.clock.time_of(k * FRAME)
        assert sound_leaves == pytest.approx(START + playout.delay + k * 0.040)


def test_without_a_sender_the_clock_runs_on_silence_in_time_for_the_engine() -> None:
    sim = Simulation()
    for tick in range(100):
        sim.until(START + tick * PIECE_S)
        needed = (tick * PIECE - 2 * PIECE) / 3  # what a voice would have brought by now, less two packets
        assert sim.engine >= needed
    assert not np.concatenate(sim.sound).any()


def test_lost_packets_become_silence_of_the_same_length() -> None:
    sim, pcm = Simulation(), noise(60)
    arrivals = steady(60)
    for lost in (10, 30, 31, 32, 50):
        arrivals[lost] = None
    sim.packets(pcm, arrivals)
    expected = pcm.copy()
    for lost in (10, 30, 31, 32, 50):
        expected[lost * PIECE : (lost + 1) * PIECE] = 0
    out = sim.heard()
    first = int(np.flatnonzero(out)[0])
    np.testing.assert_array_equal(out[first : first + len(expected)], expected)
    assert sim.playout.line.lost == 5 * PIECE


def test_jitter_below_the_delay_changes_no_sample() -> None:
    sim, pcm = Simulation(), noise(300)
    late = np.random.default_rng(3).uniform(0, 0.09, 300)
    arrivals = np.maximum.accumulate(np.array(steady(300), float) + late)
    sim.packets(pcm, arrivals.tolist())
    out = sim.heard()
    first = int(np.flatnonzero(out)[0])
    np.testing.assert_array_equal(out[first : first + len(pcm)], pcm)


def test_a_held_up_voice_comes_whole_and_its_delay_is_shed_only_in_silence() -> None:
    sim = Simulation()
    talk, rest, more = noise(150), np.zeros(200 * PIECE, np.int16), noise(50, seed=9)
    pcm = np.concatenate([talk, rest, more])
    arrivals = steady(400)
    for i in range(50, 100):  # the network holds everything back for a second, then lets it go at once
        arrivals[i] = arrivals[99]
    sim.packets(pcm, arrivals)
    line = sim.playout.line
    assert line.padded > 0.7 * VOICE_RATE, "the second had to be filled"
    assert line.shed > 0.7 * VOICE_RATE, "and caught up with later"
    assert_heard(sim.heard(), np.concatenate([talk, more]))
    measured = sim.playout.measured_delay
    assert measured is not None
    assert measured == pytest.approx(sim.playout.delay, abs=PIECE_S)


def hum(pieces: int) -> PcmArray:
    """A voice without pauses: 150 Hz and its harmonics."""
    at = np.arange(pieces * PIECE) / VOICE_RATE
    return sum(4000 / k * np.sin(2 * np.pi * 150 * k * at) for k in range(1, 6)).astype(np.int16)  # type: ignore[union-attr]


@pytest.mark.parametrize("here", [True, False], ids=["this machine stood still", "the network did"])
@pytest.mark.parametrize("pauses", [True, False])
def test_after_two_seconds_of_standing_still_the_delay_is_back_within_four_of_speech(here: bool, pauses: bool) -> None:
    sim, count = Simulation(), 600
    pcm = hum(count)
    if pauses:
        pcm.reshape(-1, 50, PIECE)[:, 40:] = 0
    arrivals = steady(count)
    stall, back = START + 3.5, START + 5.5
    arrivals = [back if stall < a < back else a for a in arrivals]
    sim.packets(pcm[: 140 * PIECE], arrivals[:140])
    before = sim.playout.measured_delay
    if here:
        sim.until(stall)
        sim.playout.stood_still(back - sim.playout.sound_due())
        sim.now = back
    ends = int((back + 4.0 - START - 0.5) / PIECE_S)
    sim.packets(pcm[140 * PIECE : ends * PIECE], arrivals[140:ends], 140 * PIECE)
    line, after = sim.playout.line, sim.playout.measured_delay
    assert before is not None
    assert after == pytest.approx(before, abs=0.03)
    assert line.refused == line.late == 0
    caught_up = (line.hurried + line.shed) / VOICE_RATE
    assert caught_up == pytest.approx(2.0, abs=0.35)
    assert line.hurried / VOICE_RATE > (0.3 if pauses else 1.5)
    faster = sim.sound[-100:] if not pauses else []
    for piece in np.reshape(faster, (-1, 10 * PIECE)) if faster else []:
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece))))
        loudest = np.fft.rfftfreq(len(piece), 1 / VOICE_RATE)[np.argmax(spectrum)]
        assert loudest == pytest.approx(150, abs=6), "said faster, at its own pitch"


def test_what_is_said_faster_keeps_its_ends_and_its_pitch() -> None:
    pcm = hum(3)
    for shares in (GENTLY, STRONGLY):
        short = shortened(pcm, shares)
        assert shares[0] - 0.02 <= 1 - len(short) / len(pcm) <= shares[1] + 0.02
        assert (short[0], short[-1]) == (pcm[0], pcm[-1])
        assert np.abs(np.diff(short.astype(int))).max() <= 1.3 * np.abs(np.diff(pcm.astype(int))).max()
    for length in (0, 1, 7, 120, 480, 961):
        assert len(shortened(noise(2)[:length], GENTLY)) <= length


@pytest.mark.parametrize("drift", [-300e-6, 300e-6])
def test_a_drifting_sender_is_followed_by_the_pace_and_not_by_the_samples(drift: float) -> None:
    sim, count = Simulation(), 15_000  # five minutes: 90 ms of drift
    pcm = np.tile(noise(50), count // 50)
    sim.packets(pcm, steady(count, pace=PIECE_S * (1 + drift)))
    measured = sim.playout.measured_delay
    assert measured is not None
    assert measured == pytest.approx(sim.playout.delay, abs=0.004)
    assert sim.playout.line.shed == 0
    assert_heard(sim.heard(), pcm)


def test_the_delay_reaches_its_aim_without_passing_it() -> None:
    sim, measured = Simulation(), []
    sim.until(START + 1.0)
    pcm, arrivals = noise(900), steady(900, START + 1.009)  # in the middle of a silent piece: too long a delay at first
    for first in range(0, 900, 50):
        sim.packets(pcm[first * PIECE : (first + 50) * PIECE], arrivals[first : first + 50], pts=first * PIECE)
        measured.append(sim.playout.measured_delay)
    off = [abs(value - sim.playout.delay) for value in measured if value is not None]
    assert off[0] > 0.008
    assert np.all(np.diff(off) <= 1e-9)
    assert off[-1] < 0.001


def test_a_sender_that_restarts_its_time_stamps_goes_on_seamlessly() -> None:
    sim, pcm = Simulation(), noise(20)
    sim.packets(pcm, steady(20))
    sim.packets(pcm, steady(20, START + 0.5 + 0.4), pts=10_000_000)
    assert_heard(sim.heard(), np.concatenate([pcm, pcm]))


def test_a_flood_is_refused_and_the_line_stays_bounded() -> None:
    line, pcm = VoiceLine(), noise(1)
    for i in range(1000):
        line.accept(i * PIECE, pcm)
    assert line.written - line.read <= CAPACITY
    assert line.refused == 1000 * PIECE - CAPACITY


def test_barge_in_mutes_what_has_not_left_and_drops_older_pictures() -> None:
    sim, pcm = Simulation(), noise(50)
    sim.packets(pcm, steady(50))
    for k in range(3):
        sim.playout.picture(frame(k), sim.now)
    before = len(sim.sound)
    sim.playout.clear(1)
    sim.playout.picture(frame(3, epoch=0), sim.now)
    assert sim.playout.next_picture(sim.now + 10)[0] is None
    assert sim.playout.dropped == 4
    assert not sim.heard()[before * PIECE :].any()


def test_the_newest_due_picture_wins_and_the_others_are_counted() -> None:
    playout = Playout(80, START)
    for k in (0, 1, 2):
        playout.picture(frame(k), START)
    now = START + playout.delay + 2 * 0.040
    shown, _ = playout.next_picture(now)
    assert shown is not None
    assert shown.position == 2 * 640
    assert playout.dropped == 2
    playout.picture(frame(5), now)
    shown, _ = playout.next_picture(now + 3 * 0.040)
    assert shown is not None
    assert playout.held == 2  # frames 3 and 4 stood still
    assert playout.shown == 2


def test_a_late_picture_is_dropped_unless_the_face_would_freeze() -> None:
    playout = Playout(0, START)
    late = LATE_LIMIT_S + 0.010
    due = START + playout.delay - playout.encode_s  # of picture 0
    playout.picture(frame(0), START)
    assert playout.next_picture(due)[0] is not None
    playout.picture(frame(3), due + 3 * 0.040)
    assert playout.next_picture(due + 3 * 0.040)[0] is not None, "in time"
    playout.picture(frame(2), due + 2 * 0.040 + late)
    assert playout.next_picture(due + 2 * 0.040 + late) == (None, 0.0)
    playout.picture(frame(4), due + 4 * 0.040 + late)
    assert playout.next_picture(due + 4 * 0.040 + late)[0] is not None, "too late, but nothing else came for long"


def test_pictures_waiting_are_bounded() -> None:
    playout = Playout(80, START)
    for k in range(3 * PICTURE_QUEUE):
        playout.picture(frame(k), START)
    assert playout.dropped == 2 * PICTURE_QUEUE


def test_the_margin_grows_with_lateness_and_shrinks_again() -> None:
    playout = Playout(80, START)
    first = playout.margin.seconds
    for k in range(300):
        playout.picture(frame(k), playout.clock.time_of(k * FRAME) + 0.030)
    grown = playout.margin.seconds
    assert grown > first + 0.030
    for k in range(300, 4000):
        playout.picture(frame(k), playout.clock.time_of(k * FRAME) - 0.100)
    assert playout.margin.seconds < grown


@pytest.mark.parametrize("whole", [True, False])
def test_the_engine_is_told_of_whole_frames_or_of_every_piece(whole: bool) -> None:
    line, told = VoiceLine(), []
    for k in range(6):
        line.accept(k * PIECE, np.full(PIECE, k + 1, np.int16))
        told.append([len(chunk.samples) for chunk in line.chunks(whole)])
    assert told == ([[], [2 * PIECE // RATIO]] * 3 if whole else [[PIECE // RATIO]] * 6)
    line.accept(6 * PIECE, np.ones(PIECE, np.int16))
    (rest,) = line.chunks()
    assert (rest.position, len(rest.samples)) == (6 * PIECE // RATIO, PIECE // RATIO), "whoever interrupts may have it"


@pytest.mark.parametrize("cut", [1, 2, 7, 960, 1001])
def test_the_decimator_does_not_care_where_it_is_cut(cut: int) -> None:
    pcm = noise(5)
    whole = Decimator().push(pcm)
    pieces = Decimator()
    parts = [pieces.push(pcm[i : i + cut]) for i in range(0, len(pcm), cut)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    assert len(whole) == len(pcm) // 3


def test_the_decimator_keeps_speech_and_removes_what_would_fold() -> None:
    t = np.arange(VOICE_RATE) / VOICE_RATE

    def level(hertz: float) -> float:
        tone = (10_000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)
        return float(np.std(Decimator().push(tone)[200:]) / (10_000 / 32768 / np.sqrt(2)))

    assert level(300) == pytest.approx(1.0, abs=0.01)
    assert level(6000) == pytest.approx(1.0, abs=0.02)
    assert level(9500) < 0.01
    assert level(15_700) < 0.01
