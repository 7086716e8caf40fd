"""Arithmetic of the one sample clock: exact, in whole samples; seconds appear only for people."""

from __future__ import annotations

from engine.contracts import LOOK_AHEADS_MS, SAMPLE_RATE, SAMPLES_PER_FRAME
from engine.errors import VivifyError

FRAME_MS = 1000 * SAMPLES_PER_FRAME // SAMPLE_RATE  # 40


def look_ahead_frames(look_ahead_ms: int) -> int:
    """Look-ahead in whole frames. Raises VivifyError unless it is one of `LOOK_AHEADS_MS`."""
    if look_ahead_ms not in LOOK_AHEADS_MS:
        choices = ", ".join(map(str, LOOK_AHEADS_MS))
        raise VivifyError(f"The look-ahead must be one of {choices} ms, but {look_ahead_ms} ms was asked for.")
    return look_ahead_ms // FRAME_MS


def structural_delay_ms(look_ahead_ms: int) -> int:
    """Time between a sound and the earliest moment its frame can exist: the look-ahead plus the frame itself."""
    return look_ahead_ms + FRAME_MS


def frame_count(samples: int) -> int:
    """Video frames that cover ``samples`` samples, the last perhaps partly."""
    return -(-samples // SAMPLES_PER_FRAME)


def seconds(position: int) -> float:
    """A position on the clock, for people."""
    return position / SAMPLE_RATE
