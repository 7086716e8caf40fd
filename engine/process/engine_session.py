"""One stream in the engine process, as the server sees it: what is told to it, and what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.clock import look_ahead_frames
from engine.contracts import AudioChunk, Frame
from engine.motion.controls import Controls
from engine.motion.prior.keys import Key

OnFrame = Callable[[Frame], None]
OnLost = Callable[[str], None]
Tell = Callable[[dict[str, Any], bytes], None]


class EngineSession:
    """One stream in the engine process. Its methods return at once and may be called from any thread."""

    def __init__(
        self, tell: Tell, forget: Callable[[int], bool], number: int, on_frame: OnFrame, on_lost: OnLost | None
    ) -> None:
        self._send = tell
        self._forget = forget
        self._on_frame = on_frame
        self._on_lost = on_lost
        self.number = number
        self.epoch = 0
        self.dropped = 0  # frames the engine did not draw or could not hand over in time
        self.controls = Controls()  # what is wished of the face

    def push_audio(self, chunk: AudioChunk) -> None:
        """Sound that goes on where the last chunk ended. A chunk that does not ends the session (see ``on_lost``)."""
        samples = np.ascontiguousarray(chunk.samples, np.float32)
        self._tell("audio", {"position": chunk.position, "now": time.monotonic()}, samples.tobytes())

    def clear(self) -> int:
        """Barge-in. Returns the new epoch; a frame of an older one no longer reaches ``on_frame``."""
        self.epoch += 1
        self._tell("clear", {"now": time.monotonic(), "times": 1})
        return self.epoch

    def set_controls(self, wishes: dict[str, Any]) -> Controls:
        """Put ``wishes`` into the face's controls, and return them all (see `engine.motion.controls.Controls`).

        Raises VivifyError for a control that is not known or out of its range; then none is changed.
        """
        self.controls = self.controls.changed(wishes)
        self._tell("controls", {"controls": self.controls.as_dict()})
        return self.controls

    def set_look_ahead(self, milliseconds: int) -> None:
        """Switch the look-ahead while the session runs: a longer one holds the picture, a shorter one skips some.

        Raises VivifyError for one that is not offered.
        """
        look_ahead_frames(milliseconds)
        self._tell("look_ahead", {"look_ahead_ms": milliseconds})

    def set_key(self, key: Key) -> None:
        """Have the face show ``key``, counted from the frame that comes next; the mover must be one that takes keys."""
        values = {str(place): value for place, value in key.values.items()}
        self._tell("key", {"frame": key.frame, "frames": key.frames, "values": values})

    def close(self) -> None:
        """Give the place in the engine back. Frames still on their way are dropped."""
        if self._forget(self.number):
            self._tell("close")

    def frame_came(self, frame: Frame) -> None:
        if frame.epoch == self.epoch:
            self._on_frame(frame)

    def lost(self, reason: str) -> None:
        if self._on_lost is not None:
            self._on_lost(reason)

    def _tell(self, what: str, fields: dict[str, Any] | None = None, payload: bytes = b"") -> None:
        self._send({"do": what, "session": self.number, **(fields or {})}, payload)
