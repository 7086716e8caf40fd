"""Which movers there are."""

from __future__ import annotations

from engine.config import CODEBOOK, MOVERS
from engine.errors import VivifyError
from engine.motion.mover import Mover
from engine.programs.posevae_mover import PoseVaeMover
from engine.programs.prior_mover import PriorMover


def open_mover(name: str, rows: int) -> Mover | None:
    """The mover of a name for ``rows`` rows; None for the head's codebook, which the motion networks bring along.

    Raises VivifyError for a name that is none, and where a mover's weights or programs cannot be used.
    """
    if name == CODEBOOK:
        return None
    if name in ("prior", "ar"):
        return PriorMover(rows, causal=name == "ar")
    if name == "posevae":
        return PoseVaeMover(rows)
    raise VivifyError(f"The mover must be one of {', '.join(MOVERS)}, but '{name}' was given.")
