"""When camera and microphone come out at the other end: together, one agreed time after both were due."""

from __future__ import annotations

VOICE_PATH_S = 0.080  # what a sound server needs: its buffers, and what a busy machine delays


class Arrival:
    """Shared by a camera and a microphone of one command line."""

    def __init__(self, with_microphone: bool) -> None:
        """A camera alone is as early as it can be."""
        self.after_s = VOICE_PATH_S if with_microphone else 0.0  # from `due` to the other program's reading

    def wait_s(self, due: float, path_s: float, now: float) -> float:
        """How long to hold what needs ``path_s`` on its way, so that it comes out in time; may be negative."""
        return due + self.after_s - path_s - now
