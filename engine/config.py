"""What an engine is told at its start. Resolved once; immutable afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import VivifyError

DEFAULT_AVATAR = "astronaut"
SIZES = (256, 512, 768)  # picture sides the renderer is tested at, pixels
SLOTS_PER_SESSION = 4  # pictures in flight from the engine process; with none free, a frame is dropped


def slot_bytes(size: int) -> int:
    """Bytes of the largest picture: planar I420, colour and matte of ``size`` x ``size`` pixels side by side."""
    return 2 * size * size * 3 // 2


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one engine process.

    ``avatar`` is a bundled avatar's name or an enrolled folder; it is what a session gets that names none.
    """

    avatar: str = DEFAULT_AVATAR
    size: int = 512
    max_sessions: int = 2

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise VivifyError(f"The picture size must be one of {SIZES} pixels, but {self.size} was given.")
        if not 1 <= self.max_sessions <= 64:
            raise VivifyError(f"max_sessions must lie between 1 and 64, but {self.max_sessions} was given.")
