"""A voice packet by packet, in virtual time: reordered, lost, sent twice, restarted, in other codecs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from av import AudioFrame, CodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.sound_files import read_speech
from engine.paths import assets
from webrtc.media.concealment import GONE, JOIN, FadedRepeat, PcmArray
from webrtc.media.packet_order import VoicePacket
from webrtc.media.playout import PIECE_S, Playout
from webrtc.media.voice_decoders import BadSound, Decoder, Foreign, OpusDecoder, Repeating, decoder, libopus
from webrtc.media.voice_line import PIECE, VOICE_RATE
from webrtc.media.voice_stream import VoiceStream

pytestmark = pytest.mark.cpu

START = 100.0
BEGAN = START + 0.505  # such that the delay needs no correction, which is made in silence
MADE_UP = 1  # the value of all samples that `Numbered` makes up


class Numbered:
    """A codec whose packets name a seed: each one's sound is noise of its own."""

    def decode(self, data: bytes) -> PcmArray:
        if not data.isdigit():
            raise BadSound
        return sound(int(data))

    def conceal(self, samples: int, after: bytes | None = None) -> PcmArray:
        return np.full(samples, MADE_UP, np.int16)

    def state(self) -> Any:
        return None

    def restore(self, state: Any) -> None:
        pass


@cache
def sound(number: int) -> PcmArray:
    generator = np.random.default_rng(number)
    values = generator.integers(2000, 20000, PIECE) * generator.choice([-1, 1], PIECE)
    return values.astype(np.int16)


def packet(i: int, data: bytes | None = None, codec: str = "opus", **changes: int) -> VoicePacket:
    """Packet ``i`` of a sender whose numbers and stamps both wrap around on the way."""
    rate = 48_000 if codec == "opus" else 8_000
    number, stamp = 65_530 + i, (1 << 32) - 3 * PIECE + i * PIECE * rate // VOICE_RATE
    number, stamp = number + changes.get("number", 0), stamp + changes.get("stamp", 0)
    source = changes.get("source", 7)
    return VoicePacket(
        source, number & 0xFFFF, stamp & 0xFFFFFFFF, codec, rate, str(i).encode() if data is None else data
    )


class Heard:
    """A stream and a playout on one virtual clock."""

    def __init__(self, make: Callable[[str], Decoder] = lambda _: Numbered()) -> None:
        self.now = START
        self.stream, self.playout = VoiceStream(make), Playout(80, START)
        self.line = self.playout.line
        self.parts: list[PcmArray] = []
        self.engine = 0

    def until(self, time: float) -> None:
        while (due := self.playout.sound_due()) <= time or self.now + PIECE_S <= time:
            self.now = min(self.now + PIECE_S, max(due, self.now))
            if due <= self.now:
                self.parts.append(self.playout.next_sound(self.now)[1])
            else:
                self.playout.idle(self.now)
            self.feed()
        self.now = time

    def come(self, arrivals: list[tuple[float, VoicePacket]]) -> PcmArray:
        """All that left, up to a second after the last arrival."""
        for when, one in sorted(arrivals, key=lambda arrival: arrival[0]):
            self.until(when)
            before = self.engine
            pieces = self.stream.push(one, when)
            for piece in pieces:
                self.playout.hear(piece, when)
            self.feed()
            if any(piece.late or piece.again for piece in pieces):
                assert self.engine == before, "the engine's copy is written once"
        self.until(self.now + 1.0)
        return np.concatenate(self.parts)

    def feed(self) -> None:
        for chunk in self.line.chunks():
            assert chunk.position == self.engine, "the engine's clock must have no holes"
            self.engine += len(chunk.samples)


def in_time(packets: list[VoicePacket], late: dict[int, float] | None = None) -> list[tuple[float, VoicePacket]]:
    """Each comes 20 ms after the one before, or so much later."""
    return [(BEGAN + i * PIECE_S + (late or {}).get(i, 0.0), one) for i, one in enumerate(packets)]


def find(out: PcmArray, wanted: PcmArray) -> list[int]:
    """Where the sound of a packet is heard."""
    starts = np.flatnonzero(out[: len(out) - len(wanted) + 1] == wanted[0])
    return [int(at) for at in starts if np.array_equal(out[at : at + len(wanted)], wanted)]


fates = st.lists(
    st.tuples(
        st.floats(0.0, 0.085),  # delay: below what the playout waits
        st.sampled_from([1, 1, 1, 1, 1, 1, 2, 0]),  # how often it comes
        st.floats(0.0, 0.200),  # when it comes again
    ),
    min_size=8,
    max_size=80,
)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(fates)
def test_every_sample_that_comes_in_time_leaves_once_and_in_its_place(fates: list[tuple[float, int, float]]) -> None:
    arrivals = []
    for i, (delay, times, again) in enumerate(fates):
        sent = BEGAN + i * PIECE_S
        arrivals += [(sent + delay + again * copy, packet(i)) for copy in range(times)]
    came = [i for i, (_, times, _) in enumerate(fates) if times]
    heard = Heard()
    out = heard.come(arrivals) if arrivals else np.zeros(0, np.int16)
    places = {i: find(out, sound(i)) for i in came}
    assert all(len(places[i]) == 1 for i in came), places
    first = places[came[0]][0] - came[0] * PIECE if came else 0
    assert all(places[i] == [first + i * PIECE] for i in came)
    assert heard.line.late == 0
    assert heard.line.received == len(came) * PIECE
    inner = [i for i, (_, times, _) in enumerate(fates) if not times and came and came[0] < i < came[-1]]
    for i in inner:
        known = min(when for when, one in arrivals if int(one.data) > i)  # that it is missing: something later is here
        if known < BEGAN + i * PIECE_S + 0.085:  # else it was due before anybody knew, and the line repeats what it has
            assert (out[first + i * PIECE : first + (i + 1) * PIECE] == MADE_UP).all()
    assert heard.line.lost == len(inner) * PIECE


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 2)), min_size=8, max_size=80))
def test_whatever_the_delays_nothing_is_heard_twice_or_out_of_order(fates: list[tuple[float, int]]) -> None:
    arrivals = []
    for i, (delay, times) in enumerate(fates):
        arrivals += [(BEGAN + i * PIECE_S + delay * (1 + copy), packet(i)) for copy in range(times)]
    heard = Heard()
    out = heard.come(arrivals) if arrivals else np.zeros(0, np.int16)
    places = {i: find(out, sound(i)) for i, (_, times) in enumerate(fates) if times}
    assert all(len(where) <= 1 for where in places.values())
    order = [where[0] for where in places.values() if where]
    assert order == sorted(order)
    assert heard.line.written - heard.line.read <= 4 * VOICE_RATE


def test_what_comes_too_late_is_counted_and_told_from_what_is_lost() -> None:
    heard = Heard()
    heard.come([arrival for i, arrival in enumerate(in_time([packet(i) for i in range(80)], {40: 0.4})) if i != 60])
    assert heard.line.late == PIECE
    assert heard.line.lost == heard.line.concealed - fade(heard) == 2 * PIECE


def fade(heard: Heard) -> int:
    """Samples of the end, which broke off."""
    return heard.line.concealed - heard.line.lost


def test_a_packet_that_waits_for_nobody_is_with_the_engine_at_once() -> None:
    heard = Heard()
    heard.come(in_time([packet(i) for i in range(30)]))
    heard.until(heard.now + 0.1)
    before = heard.line.written
    for gap in (30, 32, 33, 36):  # after one lost packet, none, and two
        heard.playout.hear(heard.stream.push(packet(gap), heard.now)[0], heard.now)
        assert heard.line.written > before
        before = heard.line.written


RESTARTS = {
    "another source": {"source": 8, "number": 20_000, "stamp": 123_456_789},
    "another source, same numbers": {"source": 8},
    "numbers back by a thousand": {"number": -1000},
    "numbers back by ten": {"number": -10},
    "numbers ahead": {"number": 5000},
    "numbers and stamps back": {"number": -3000, "stamp": -99 * VOICE_RATE},
    "stamps ahead": {"stamp": 100 * VOICE_RATE},
    "stamps ahead a little": {"stamp": VOICE_RATE // 2},
    "stamps back": {"stamp": -100 * VOICE_RATE},
    "all of it": {"source": 9, "number": -30_000, "stamp": -(1 << 31)},
}


@pytest.mark.parametrize("changes", RESTARTS.values(), ids=RESTARTS.keys())
def test_a_sender_that_begins_anew_goes_on_without_a_gap(changes: dict[str, int]) -> None:
    heard = Heard()
    packets = [packet(i, **(changes if 30 <= i < 60 else {})) for i in range(90)]
    out = heard.come(in_time(packets))
    first = find(out, sound(0))[0]
    missing = [i for i in range(90) if find(out, sound(i)) != [first + i * PIECE]]
    assert not missing, "and back again"


def test_a_sender_that_begins_anew_with_packets_out_of_order_loses_none() -> None:
    heard, late = Heard(), dict.fromkeys(range(5, 200, 10), 0.045)
    changes = [packet(i, **({"stamp": 77_777, "number": 9_000} if i >= 91 else {})) for i in range(200)]
    out = heard.come(in_time(changes, late))
    assert [i for i in range(200) if len(find(out, sound(i))) != 1] == []


def test_two_sources_at_once_do_not_tear_the_voice() -> None:
    heard = Heard()
    other = [(when + 0.010, packet(1000 + i, source=8)) for i, (when, _) in enumerate(in_time([packet(0)] * 60))]
    out = heard.come([*in_time([packet(i) for i in range(60)])[:30], *other[30:], *in_time([packet(0)] * 30)])
    first = find(out, sound(0))[0]
    assert [i for i in range(30) if find(out, sound(i)) != [first + i * PIECE]] == []
    assert all(len(find(out, sound(1030 + i))) == 1 for i in range(30))


def test_a_pause_of_the_sender_is_no_loss() -> None:
    heard = Heard()
    packets = in_time([packet(i) for i in range(30)])
    packets += [(when + 0.4, packet(i, number=-20)) for i, (when, _) in enumerate(in_time([packet(0)] * 80)) if i >= 50]
    out = heard.come(packets)
    assert heard.line.lost == 0
    assert find(out, sound(50))[0] - find(out, sound(29))[0] == pytest.approx(21 * PIECE + 0.4 * VOICE_RATE, abs=PIECE)


def test_a_flood_of_late_packets_costs_little_more_than_as_many_in_order() -> None:
    decoded = [0]

    class Counting(Numbered):
        def decode(self, data: bytes) -> PcmArray:
            decoded[0] += 1
            return super().decode(data)

    stream = VoiceStream(lambda _: Counting())
    order = [block + i for block in range(0, 6400, 64) for i in (*range(1, 64, 2), *range(0, 64, 2))]
    for count, i in enumerate(order):
        stream.push(packet(i), START + count / 6400)
    assert decoded[0] < 2 * 6400 + 2500


def test_a_barge_in_silences_what_comes_late() -> None:
    heard, packets = Heard(), in_time([packet(i) for i in range(40)], {37: 0.05})
    for when, one in sorted(packets, key=lambda arrival: arrival[0])[:-1]:
        heard.until(when)
        for piece in heard.stream.push(one, when):
            heard.playout.hear(piece, when)
        heard.feed()
    heard.playout.clear(1)
    before = len(heard.parts)
    heard.come(packets[37:38])
    assert not np.concatenate(heard.parts[before:]).any()


def test_what_no_codec_can_read_is_a_loss_and_not_the_end() -> None:
    heard = Heard()
    out = heard.come(in_time([packet(i, b"?" if i in (20, 21) else None) for i in range(40)]))
    assert all(len(find(out, sound(i))) == (i not in (20, 21)) for i in range(40))
    assert heard.line.lost == 2 * PIECE


def test_a_voice_that_is_taken_away_fades_and_comes_back_softly() -> None:
    """Not to nothing at once, as a microphone that is unplugged; and the first samples after it are no crack."""
    speech = spoken(200)
    heard = Heard(lambda _: Cut(speech))
    packets = in_time([packet(i) for i in range(150)])
    held = [
        (when if not 60 <= i < 100 else packets[100][0] - 1e-4 * (100 - i), one)
        for i, (when, one) in enumerate(packets)
    ]
    out = heard.come(held).astype(int)
    assert np.abs(np.diff(out)).max() <= np.abs(np.diff(speech.astype(int))).max()
    assert heard.line.concealed <= 3 * GONE
    assert heard.line.late == heard.line.lost == 0


class Cut(Numbered):
    """Packets name which 20 ms of a recording they are."""

    def __init__(self, whole: PcmArray) -> None:
        self._whole = whole

    def decode(self, data: bytes) -> PcmArray:
        return self._whole[int(data) * PIECE : (int(data) + 1) * PIECE]


def spoken(pieces: int) -> PcmArray:
    """[pieces * 960] of the bundled speech, loud from the first sample on."""
    speech = read_speech(assets() / "speech.wav", VOICE_RATE)[VOICE_RATE:]
    return (32767 * np.resize(speech, pieces * PIECE)).astype(np.int16)


@cache
def encoded(codec: str, pieces: int = 250, bit_rate: int = 32_000) -> tuple[bytes, ...]:
    """The bundled speech in packets of 20 ms, Opus with redundancy for losses."""
    name, rate = {
        "opus": ("libopus", 48_000),
        "pcmu": ("pcm_mulaw", 8_000),
        "pcma": ("pcm_alaw", 8_000),
        "g722": ("g722", 16_000),
    }[codec]
    encoder: Any = CodecContext.create(name, "w")
    encoder.format, encoder.layout, encoder.sample_rate, encoder.time_base = "s16", "mono", rate, Fraction(1, rate)
    if codec == "opus":
        encoder.bit_rate, encoder.options = bit_rate, {"application": "voip", "fec": "1", "packet_loss": "10"}
    pcm = (32767 * read_speech(assets() / "speech.wav", rate)[rate:]).astype(np.int16)
    out: list[bytes] = []
    for i in range(pieces):
        frame = AudioFrame.from_ndarray(pcm[np.newaxis, i * rate // 50 : (i + 1) * rate // 50], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, i * rate // 50, Fraction(1, rate)
        out += map(bytes, encoder.encode(frame))
    return tuple(out)


def of_codec(codec: str) -> list[VoicePacket]:
    return [packet(i, data, codec) for i, data in enumerate(encoded(codec))]


@pytest.mark.parametrize("codec", ["opus", "pcmu", "pcma", "g722"])
def test_packets_out_of_order_sound_as_if_they_had_come_in_order(codec: str) -> None:
    """To the last bit, where the codec's state can be put back."""
    whole = Heard(decoder).come(in_time(of_codec(codec)))
    late = {i: 0.090 * np.random.default_rng(i).random() for i in range(3, 250)}
    heard = Heard(decoder)
    out = heard.come(in_time(of_codec(codec), late))
    assert heard.line.late == heard.line.lost == 0
    first, other = int(np.flatnonzero(whole)[0]), int(np.flatnonzero(out)[0])
    ours, theirs = out[other : other + 240 * PIECE].astype(float), whole[first : first + 240 * PIECE].astype(float)
    if codec == "g722":  # its decoder can only be made anew and run in
        assert 10 * np.log10(np.mean(theirs**2) / np.mean((ours - theirs) ** 2)) > 20
    else:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.10])
@pytest.mark.parametrize("codec", ["opus", "pcmu", "g722"])
def test_lost_packets_leave_no_hard_hole(codec: str, share: float) -> None:
    packets = of_codec(codec)
    lost = np.random.default_rng(int(1000 * share)).random(len(packets)) < share
    lost[:2] = lost[-2:] = False
    heard = Heard(decoder)
    out = heard.come([arrival for i, arrival in enumerate(in_time(packets)) if not lost[i]]).astype(int)
    whole = Heard(decoder).come(in_time(packets)).astype(int)
    assert heard.line.lost == lost.sum() * PIECE
    assert np.abs(np.diff(out)).max() <= 1.2 * np.abs(np.diff(whole)).max(), "no jump that the voice has not itself"
    begin = int(np.flatnonzero(whole)[0])
    for i in np.flatnonzero(lost):
        hole = slice(begin + i * PIECE, begin + (i + 1) * PIECE)
        before = slice(hole.start - PIECE, hole.start)
        if (loud := min(np.std(whole[hole]), np.std(whole[before]))) > 1000 and not lost[i - 1]:
            assert np.std(out[hole]) > 0.1 * loud, "something is heard in it"


def test_a_lost_packets_sound_is_taken_from_the_next_one_where_that_brings_it() -> None:
    """In-band redundancy, and libopus found: what is heard resembles what was lost."""
    assert libopus() is not None
    packets = of_codec("opus")
    whole = Heard(decoder).come(in_time(packets)).astype(float)
    out = Heard(decoder).come([a for i, a in enumerate(in_time(packets)) if i % 10 != 5]).astype(float)
    begin = int(np.flatnonzero(whole)[0])
    holes = np.concatenate([np.arange(begin + i * PIECE, begin + (i + 1) * PIECE) for i in range(5, 240, 10)])
    missed = np.mean((out[holes] - whole[holes]) ** 2)
    assert 10 * np.log10(np.mean(whole[holes] ** 2) / missed) > 8


@pytest.mark.parametrize("other", ["pcmu", "pcma", "g722"])
@pytest.mark.parametrize("honest", [True, False], ids=["by its own clock", "by the old clock"])
def test_another_codec_and_back_goes_on_without_a_gap(other: str, honest: bool) -> None:
    opus, plain = of_codec("opus"), of_codec(other)
    packets = []
    for i in range(200):
        one = plain[i] if 60 <= i < 120 else opus[i]
        stamp = one.stamp if honest else opus[i].stamp
        packets.append(VoicePacket(one.source, one.number, stamp, one.codec, one.rate, one.data))
    heard = Heard(decoder)
    out = heard.come(in_time(packets)).astype(int)
    whole = Heard(decoder).come(in_time(opus)).astype(int)
    assert heard.line.lost == heard.line.late == 0
    assert heard.line.received == 200 * PIECE
    begin = int(np.flatnonzero(whole)[0])
    for first in (55, 62, 115, 122, 150):  # pieces of 5 packets: as loud as by Opus alone, so they are in their places
        part = slice(begin + first * PIECE, begin + (first + 5) * PIECE)
        assert np.std(out[part]) == pytest.approx(np.std(whole[part]), rel=0.35)
    assert np.abs(np.diff(out)).max() <= 1.3 * np.abs(np.diff(whole)).max()


def test_packets_late_around_a_change_of_codec_are_kept() -> None:
    opus, plain = of_codec("opus"), of_codec("pcmu")
    packets = [*opus[:60], *plain[60:120], *opus[120:200]]
    heard = Heard(decoder)
    heard.come(in_time(packets, {59: 0.045, 60: 0.03, 119: 0.07, 121: 0.05}))
    assert heard.line.lost == heard.line.late == 0
    assert heard.line.received == 200 * PIECE


def test_without_libopus_itself_a_faded_repeat_conceals() -> None:
    def plain(_: str) -> Decoder:
        return Repeating(Foreign("libopus"))

    packets = of_codec("opus")
    whole = Heard(plain).come(in_time(packets)).astype(int)
    late = dict.fromkeys(range(12, 250, 10), 0.045)
    out = Heard(plain).come([a for i, a in enumerate(in_time(packets, late)) if i % 10 != 5]).astype(int)
    assert np.abs(np.diff(out)).max() <= 1.2 * np.abs(np.diff(whole)).max()


def test_an_opus_decoder_that_cannot_read_a_packet_is_as_before() -> None:
    library = libopus()
    assert library is not None
    one, other = OpusDecoder(library), OpusDecoder(library)
    for data in encoded("opus")[:50]:
        np.testing.assert_array_equal(one.decode(data), other.decode(data))
        with pytest.raises(BadSound):
            one.decode(b"\xff" * 3)
    assert len(one.conceal(1000, b"\xff" * 3)) == 1000
    assert len(one.conceal(0)) == 0


def test_the_repeat_begins_without_a_crack_and_fades_to_nothing() -> None:
    for past in (spoken(60), np.zeros(PIECE, np.int16), np.full(7, 9000, np.int16), sound(1)):
        repeat = FadedRepeat(past)
        out = np.concatenate([past, *(repeat.next(n) for n in (JOIN, PIECE, 7, 4 * PIECE))]).astype(int)
        inside = np.abs(np.diff(past.astype(int))).max()
        assert np.abs(np.diff(out)).max() <= 1.2 * inside + 400
        assert not out[len(past) + GONE :].any()
