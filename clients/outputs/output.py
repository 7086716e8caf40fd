"""What every way out of the browser is: a camera, a microphone, an app, a stream.

All that leaves has a place on one timeline, in samples of 48 kHz since the session began, and the time at which it was
to leave. A picture, the movement that it shows and the first sample of its sound have one position and one time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.contracts import FRAMES_PER_SECOND, ByteArray, Motion
from engine.errors import VivifyError
from webrtc.media.voice_line import VOICE_RATE, PcmArray


class OutputError(VivifyError):
    """An output that cannot be had, or is gone for good; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an output is told at its start."""

    avatar: str
    size: int  # side of the pictures in pixels
    delay_s: float  # from a sound's coming to its leaving, as it is aimed at to begin with
    fps: int = FRAMES_PER_SECOND
    rate: int = VOICE_RATE  # of the sound and of all positions


@dataclass(frozen=True, slots=True)
class Picture:
    """``planes`` is I420 [size * 3 // 2, size]; nobody may write into it. ``due``: monotonic time of leaving."""

    position: int
    planes: ByteArray
    due: float


@dataclass(frozen=True, slots=True)
class Sound:
    """``pcm`` is int16 [n] mono, 20 ms of it. Positions have no gaps."""

    position: int
    pcm: PcmArray
    due: float


@dataclass(frozen=True, slots=True)
class Movement:
    """What the face does in one frame, also where its picture is not drawn; ``motion.position`` counts 16 kHz."""

    position: int
    motion: Motion
    speaking: bool
    due: float


Piece = Picture | Sound | Movement


class Output:
    """One way out. A thread of its own calls its methods, but for `state`: it may wait and be slow.

    What it cannot take in time is dropped before it is called, pictures and movements before sound; others do not
    notice. An exception from `start` refuses the whole command; a later one ends this output alone.
    """

    name: ClassVar[str]  # as on the command line, without dashes
    wants: ClassVar[frozenset[type]]  # which of Picture, Sound, Movement
    left_out: int = 0  # pieces that came while nobody took them

    def start(self, facts: Facts) -> None:
        """Get ready. What may be absent now and come later (an app, a server) is no error, but a `state`.

        Raises OutputError.
        """

    def picture(self, piece: Picture) -> None:
        """The next picture."""

    def sound(self, piece: Sound) -> None:
        """The next 20 ms of sound."""

    def movement(self, piece: Movement) -> None:
        """The next movement."""

    @property
    def path_s(self) -> float:
        """Seconds from `due` until it comes out at the other end, by this output's own doing; as far as it is known."""
        return 0.0

    @property
    def state(self) -> str:
        """A few words for the panel: what it is connected to, what is wrong. Called from another thread."""
        return "ready"

    @property
    def figures(self) -> str:
        """What changes all the time, for the panel where it is a table; as `state`, called from another thread."""
        return ""

    @property
    def up(self) -> bool:
        """Whether somebody takes what it gives, as far as it can know."""
        return True

    @property
    def sent(self) -> int:
        """Bytes that left, where it counts them."""
        return 0

    def close(self) -> None:
        """Leave nothing behind. Called once, also after an exception from `start`."""
