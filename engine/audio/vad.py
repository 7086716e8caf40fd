"""Who is speaking, and since when: WebRTC's voice detector, made calm by a detector of turns.

`VoiceActivity` asks webrtcvad about each short piece of sound, and `SteadySound` whether there is more to it than a
noise or a tone that goes on and on, for webrtcvad takes loud ones for speech for ever. `TurnDetector` turns the
flickering decisions into starts and ends of speech. It knows no audio and no network, so it can be tested with any
sequence of answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webrtcvad

from engine.contracts import SAMPLE_RATE, FloatArray, SpeechEvent

PIECES_MS = (10, 20, 30)  # the only lengths webrtcvad takes


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """Durations in samples on the 16 kHz clock."""

    minimum_speech: int = SAMPLE_RATE * 80 // 1000  # voiced sound before speech counts as begun
    hangover: int = SAMPLE_RATE * 320 // 1000  # unvoiced sound before speech counts as over
    forgiveness: int = 2  # how many times faster a contrary piece undoes the evidence


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the piece of sound [position, position + length) is voiced."""

    position: int
    length: int
    voiced: bool


class TurnDetector:
    """Voiced or not, piece by piece -> speech started, speech ended.

    Evidence for a change builds up with each piece that speaks for it and melts ``forgiveness`` times faster with each
    that speaks against it (hysteresis). A start is dated back to the first voiced piece of its evidence, an end to the
    end of the last voiced piece, so events come late but say the right time.
    """

    def __init__(self, settings: TurnSettings | None = None) -> None:
        self.settings = settings or TurnSettings()
        self.speaking = False
        self._evidence = 0  # samples speaking for a change of state
        self._start = 0  # where the present evidence for speech began
        self._last_voiced = 0  # end of the last voiced piece

    def push(self, decision: Decision) -> SpeechEvent | None:
        """The next piece; returns the event that settles with it, if one does."""
        length, voiced = decision.length, decision.voiced
        if voiced:
            self._last_voiced = decision.position + length
        if voiced == self.speaking:
            self._evidence = max(0, self._evidence - self.settings.forgiveness * length)
            return None
        if self._evidence == 0:
            self._start = decision.position
        self._evidence += length
        if not self.speaking and self._evidence >= self.settings.minimum_speech:
            return self._turn("start", self._start)
        if self.speaking and self._evidence >= self.settings.hangover:
            return self._turn("end", self._last_voiced)
        return None

    def _turn(self, kind: str, position: int) -> SpeechEvent:
        self.speaking = not self.speaking
        self._evidence = 0
        return SpeechEvent("start" if kind == "start" else "end", position)


class SteadySound:
    """Tells speech from what only goes on and on, by how far bands rise above their floors.

    A band's floor is near the lowest of its levels in the last `WINDOW_S`: noise and tones become their own floor in
    that time, while speech, which opens and closes two to ten times a second, leaves it at the level of what is behind
    it. Where that is quiet, nothing is held back. What stood before the first sample counts as silence.
    """

    EDGES_HZ = (120, 450, 900, 1400, 2000, 2800, 4000, 7900)
    WINDOW_S = 2.2
    SMOOTH_S = 0.030  # levels are averaged over about so long: noise flickers
    FLOOR = 0.1  # of the levels in the window lie below it
    LOUD_DB = -44.0  # full scale, all bands together: where the quietest of it all stays below, it disturbs nobody
    QUIET_DB = -66.0  # of one band: rises from below this are not heard
    RISE_DB = 10.0  # of a single band: more than noise rises above its own floor...
    RISES_DB = 4.0  # ...or of all bands in the mean

    def __init__(self, length: int) -> None:
        self._sound = np.zeros(2 * length, np.float32)  # two pieces: the window shuts out what lies between two windows
        self._window = np.hanning(2 * length + 1)[:-1].astype(np.float32)
        self._starts = np.searchsorted(np.fft.rfftfreq(2 * length, 1 / SAMPLE_RATE), self.EDGES_HZ)
        self._scale = 1 / float(length * np.square(self._window).sum())
        self._share = 1 - np.exp(-length / SAMPLE_RATE / self.SMOOTH_S)
        self._level = np.zeros(len(self.EDGES_HZ) - 1)
        self._levels = np.full((round(self.WINDOW_S * SAMPLE_RATE / length), len(self._level)), -120.0)
        self._at = 0
        self.loud = False  # the floor is loud
        self.rises = False  # something rises above it

    def push(self, piece: FloatArray) -> None:
        """``piece`` [length] within [-1, 1]."""
        self._sound = np.concatenate([self._sound[len(piece) :], piece])
        power = np.square(np.abs(np.fft.rfft(self._sound * self._window))) * self._scale
        self._level = self._level + self._share * (np.add.reduceat(power, self._starts)[:-1] - self._level)
        level = 10 * np.log10(self._level + 1e-12)
        self._levels[self._at] = level
        self._at = (self._at + 1) % len(self._levels)
        lowest = round(self.FLOOR * len(self._levels))
        floor = np.partition(self._levels, lowest, axis=0)[lowest]
        rise = level - np.maximum(floor, self.QUIET_DB)
        quietest = self._levels.min(axis=0)
        self.loud = bool(10 * np.log10((10 ** (quietest / 10)).sum()) > self.LOUD_DB)
        self.rises = bool(rise.max() > self.RISE_DB or np.maximum(rise, 0).mean() > self.RISES_DB)


class VoiceActivity:
    """16 kHz samples of any length in, decisions out, positions on the clock that begins at ``position``."""

    HOLD_S = 0.32  # the weaker sounds of speech do not rise above noise

    def __init__(self, position: int = 0, aggressiveness: int = 2, piece_ms: int = 20) -> None:
        if piece_ms not in PIECES_MS:
            raise ValueError(f"webrtcvad takes pieces of {PIECES_MS} ms, got {piece_ms}.")
        self._vad = webrtcvad.Vad(aggressiveness)
        self._length = SAMPLE_RATE * piece_ms // 1000
        self._steady = SteadySound(self._length)
        self._hold = round(self.HOLD_S * SAMPLE_RATE) // self._length
        self._voiced = self._rose = self._hold  # pieces since webrtcvad said so, since something rose above the noise
        self._position = position
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: FloatArray) -> list[Decision]:
        """samples [n] within [-1, 1]; a decision for each piece they complete; the rest waits."""
        waiting = np.concatenate([self._rest, samples])
        pieces = len(waiting) // self._length
        clean = np.clip(np.nan_to_num(waiting), -1, 1)
        pcm = (clean * 32767).astype("<i2")
        decisions = []
        for piece in range(pieces):
            cut = slice(piece * self._length, (piece + 1) * self._length)
            self._steady.push(clean[cut])
            voiced = self._held(self._vad.is_speech(pcm[cut].tobytes(), SAMPLE_RATE))
            decisions.append(Decision(self._position, self._length, voiced))
            self._position += self._length
        self._rest = waiting[pieces * self._length :]
        return decisions

    def _held(self, voiced: bool) -> bool:
        """webrtcvad's answer; in loud noise it and what rises above the noise are believed for `HOLD_S`."""
        self._voiced = 0 if voiced else self._voiced + 1
        self._rose = 0 if self._steady.rises else self._rose + 1
        return max(self._voiced, self._rose) <= self._hold if self._steady.loud else voiced
