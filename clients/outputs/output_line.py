"""The line to one output: a thread and a bounded queue, so that none holds the voice or another output."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque

from clients.outputs.output import Facts, Movement, Output, Picture, Piece, Sound
from engine.errors import VivifyError

log = logging.getLogger("vivify")

MOST_WAITING: dict[type, int] = {Picture: 3, Movement: 3, Sound: 50}  # 0.12 s of pictures, 1 s of sound
START_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 3.0


class OutputLine:
    """Hands an output what it wants, in order. Its methods may be called from any thread, and do not wait."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.given: Counter[type] = Counter()  # pieces that the output took
        self.dropped: Counter[type] = Counter()  # pieces it was too slow for
        self.late_s = 0.0  # how much later than due the last piece was taken
        self.error = ""  # why it ended
        self._waiting: deque[Piece] = deque()
        self._counts: Counter[type] = Counter()
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._closing = False
        self._refused: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"output {output.name}", daemon=True)

    def start(self, facts: Facts) -> None:
        """Start the output and wait until it is ready. Raises what its `start` raises, VivifyError when it hangs."""
        self._facts = facts
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S):
            raise VivifyError(
                f"--{self.output.name} was not ready within {START_TIMEOUT_S:.0f} s: look at what it needs."
            )
        if self._refused is not None:
            raise self._refused

    def offer(self, piece: Piece) -> None:
        """The next piece; what the output does not want is left out."""
        kind = type(piece)
        if kind not in self.output.wants or self.error:
            return
        with self._changed:
            if self._counts[kind] >= MOST_WAITING[kind]:
                oldest = next(i for i, waiting in enumerate(self._waiting) if type(waiting) is kind)
                del self._waiting[oldest]
                self.dropped[kind] += 1
            else:
                self._counts[kind] += 1
            self._waiting.append(piece)
            self._changed.notify()

    @property
    def state(self) -> str:
        """For the panel: the output's own words, and what it missed."""
        if self.error:
            return self.error
        missed = sum(self.dropped.values()) + self.output.left_out
        words = (self.output.state, self.output.figures, f"{missed} dropped" if missed else "")
        return ", ".join(word for word in words if word)

    def end(self) -> None:
        """Let the output take what waits and close; `join` waits for it."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def join(self) -> None:
        """Wait for the end, but not for an output that hangs: its thread dies with the process."""
        if self._thread.ident is not None:
            self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self.output.start(self._facts)
        except BaseException as error:
            self._refused = error
        self._started.set()
        if self._refused is None:
            self._serve()
        try:
            self.output.close()
        except Exception:
            log.exception("--%s did not close cleanly", self.output.name)

    def _serve(self) -> None:
        try:
            while (piece := self._next()) is not None:
                self._give(piece)
                self.given[type(piece)] += 1
        except VivifyError as error:
            self.error = str(error)
        except Exception as error:
            log.exception("--%s failed", self.output.name)
            self.error = f"failed: {error}"

    def _next(self) -> Piece | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if not self._waiting:
                return None
            piece = self._waiting.popleft()
            self._counts[type(piece)] -= 1
            return piece

    def _give(self, piece: Piece) -> None:
        self.late_s = time.monotonic() - piece.due
        match piece:
            case Picture():
                self.output.picture(piece)
            case Sound():
                self.output.sound(piece)
            case Movement():
                self.output.movement(piece)
