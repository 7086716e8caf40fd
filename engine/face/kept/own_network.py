"""A picture network of one's own: what takes the place of shared weights where a film of the person taught better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FITS = 32  # bytes of a digest
MOST_TENSORS, MOST_NUMBERS = 64, 1_000_000  # two bytes each


@dataclass(frozen=True)
class OwnNetwork:
    """Tensors by the names that they have among the shared weights, and which weights these were."""

    tensors: dict[str, np.ndarray]  # float16
    fits: np.ndarray  # [32] bytes, `engine.programs.program.Weights.digest` of the shared ones

    def arrays(self) -> dict[str, np.ndarray]:
        """For a file, each by its name there."""
        named = {f"network.{name}": np.ascontiguousarray(value) for name, value in self.tensors.items()}
        return named | {"network_fits": np.ascontiguousarray(self.fits)}


def own_network(arrays: dict[str, np.ndarray]) -> OwnNetwork | None:
    """The network that a file's ``arrays`` hold, or None. Raises ValueError unless they are as `OwnNetwork` says."""
    if "network_fits" not in arrays:
        return None
    own = OwnNetwork(
        {name.removeprefix("network."): value for name, value in arrays.items() if name.startswith("network.")},
        arrays["network_fits"],
    )
    few = 0 < len(own.tensors) <= MOST_TENSORS and sum(x.size for x in own.tensors.values()) <= MOST_NUMBERS
    right = all(x.dtype == np.float16 and np.isfinite(x).all() for x in own.tensors.values())
    if not few or not right or own.fits.dtype != np.uint8 or own.fits.shape != (FITS,):
        raise ValueError("network")
    return own
