"""SadTalker's PoseVAE moves heads; brows stay the face's network's, and eyes chance's, as with the codebook."""

from __future__ import annotations

from engine.contracts import FloatArray
from engine.motion.motion_networks import Mask, Whole
from engine.motion.mover import Carried
from engine.programs.posevae_head import PoseVaeHead


class PoseVaeMover:
    """`engine.motion.mover.Mover`. Raises as `PoseVaeHead`."""

    def __init__(self, rows: int) -> None:
        self._head = PoseVaeHead(rows)

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """See `Mover`."""
        self._head.begin(mask, seeds)

    def forget(self, mask: Mask) -> None:
        """See `Mover`: it goes on, and hears silence."""

    def steer(self, row: int, style: float, guidance: float | None) -> None:
        """See `Mover`: there is nothing to steer."""

    def pin(self, row: int, ahead: int, frames: int, values: dict[int, float]) -> bool:
        """See `Mover`: it takes no keys."""
        return False

    def step(self, samples: FloatArray, speaking: Mask, look_ahead: Whole, mask: Mask, shown: Mask) -> Carried:
        """See `Mover`."""
        return Carried(self._head.step(samples, look_ahead, mask, shown).copy(), None)
