"""Who is speaking, and since when: WebRTC's voice detector, made calm by a detector of turns.

`VoiceActivity` asks webrtcvad about each short piece of sound; `TurnDetector` turns the flickering decisions into
starts and ends of speech. The second knows no audio and no network, so it can be tested with any sequence of answers.
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


class VoiceActivity:
    """16 kHz samples of any length in, decisions out, positions on the clock that begins at ``position``."""

    def __init__(self, position: int = 0, aggressiveness: int = 2, piece_ms: int = 20) -> None:
        if piece_ms not in PIECES_MS:
            raise ValueError(f"webrtcvad takes pieces of {PIECES_MS} ms, got {piece_ms}.")
        self._vad = webrtcvad.Vad(aggressiveness)
        self._length = SAMPLE_RATE * piece_ms // 1000
        self._position = position
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: FloatArray) -> list[Decision]:
        """samples [n] within [-1, 1]; a decision for each piece they complete; the rest waits."""
        waiting = np.concatenate([self._rest, samples])
        pieces = len(waiting) // self._length
        pcm = (np.clip(np.nan_to_num(waiting), -1, 1) * 32767).astype("<i2")
        decisions = []
        for piece in range(pieces):
            cut = pcm[piece * self._length : (piece + 1) * self._length]
            voiced = self._vad.is_speech(cut.tobytes(), SAMPLE_RATE)
            decisions.append(Decision(self._position, self._length, voiced))
            self._position += self._length
        self._rest = waiting[pieces * self._length :]
        return decisions
