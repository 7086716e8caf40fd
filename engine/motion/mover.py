"""Who moves what is not the lips': what the pipeline asks of a mover, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.contracts import FloatArray
from engine.motion.motion_networks import Mask, Whole


@dataclass(frozen=True, slots=True)
class Carried:
    """What a mover says of one frame of every row."""

    heads: FloatArray  # [B, 6]
    shapes: FloatArray | None  # [B, 52] all but the lips'; None: brows by the face's network, eyes by chance


class Mover(Protocol):
    """Heads and upper faces of B rows, instead of the head's codebook."""

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """Start the rows of ``mask`` [B] anew, each with its seed of ``seeds`` [B]."""

    def forget(self, mask: Mask) -> None:
        """A barge-in in the rows of ``mask`` [B]: heads and brows go on."""

    def steer(self, row: int, style: float, guidance: float | None) -> None:
        """How lively the row is to be, about -1 to 1, and how closely it is to follow the sound; None for the usual."""

    def pin(self, row: int, ahead: int, frames: int, values: dict[int, float]) -> bool:
        """Have the row show ``values`` by place (`engine.motion.prior.nonlip.NONLIP`) for ``frames`` frames.

        The first of them is the one ``ahead`` frames after the next. Whether it will; a mover that cannot will not.
        """

    def step(self, samples: FloatArray, speaking: Mask, look_ahead: Whole, mask: Mask, shown: Mask) -> Carried:
        """One frame, as `engine.motion.motion_networks.MotionNetworks.step`."""
