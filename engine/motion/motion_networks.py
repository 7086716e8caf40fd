"""What the pipeline asks of the motion networks, whatever runs them: exported programs on a CPU, torch on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.contracts import FloatArray

Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Moved:
    """What the networks say of one frame of every row."""

    shapes: FloatArray  # [B, 52]
    lips: FloatArray  # [B, n, 3] offsets of their vertices
    heads: FloatArray  # [B, 6]
    features_ms: float
    motion_ms: float
    said: FloatArray | None = None  # [B, 49] articulators and probabilities of phones; None where others move the lips
    others: FloatArray | None = None  # [B, 52] all but the lips' by a mover; None: those in shapes, and procedural eyes


class MotionNetworks(Protocol):
    """Lips, brows and heads of B rows; each row has a past of its own."""

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """Start the rows of ``mask`` [B] anew, each with its seed of ``seeds`` [B]."""

    def forget(self, mask: Mask) -> None:
        """Drop what the rows of ``mask`` [B] heard and said, as after a barge-in: brows and heads go on."""

    def step(self, samples: FloatArray, speaking: Mask, look_ahead: Whole, mask: Mask, shown: Mask) -> Moved:
        """One frame, samples [B, 640], speaking [B], look_ahead [B] in frames: the rows of ``mask`` [B] hear it.

        The heads of the rows of ``shown`` [B] move on. What is said of other rows is to be ignored.
        """
