"""The audio-to-visual prior as an exported program: what `engine.motion.prior.prior_stream` asks of a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.motion.prior.nonlip import NONLIP
from engine.motion.prior.prior_stream import Look
from engine.paths import assets
from engine.programs.program import Program, Weights

LEAST_STEPS = 500  # of training, below which nobody is shown what it says


class PriorProgram:
    """`engine.motion.prior.prior_stream.Denoiser` for up to ``rows`` rows at a time.

    Raises VivifyError where weights or program are missing, damaged or do not belong together, and for weights that
    were hardly trained.
    """

    def __init__(self, rows: int, weights: Path | None = None, programs: Path | None = None) -> None:
        """Other ``weights`` than the bundled ones, other ``programs``."""
        known = Weights(weights or assets() / "weights" / "prior.safetensors")
        steps = int(known.tensors["trained"]) if "trained" in known.tensors else 0
        if steps < LEAST_STEPS:
            raise VivifyError(
                f"{known.path} should hold weights of a trained prior, but has seen {steps} steps: train it with "
                "scripts/train_a2v prior."
            )
        self._program = Program((programs or assets() / "programs") / "prior.onnx", known, rows)
        notes = self._program.notes
        self.frames, self.past, self.window = int(notes["frames"]), int(notes["past"]), int(notes["window"])
        self.mean: FloatArray = known.tensors["mean"].astype(np.float32)
        self.std: FloatArray = known.tensors["std"].astype(np.float32)
        assert len(self.mean) == len(NONLIP)

    def __call__(self, look: Look) -> FloatArray:
        rows, given = len(look.values), self._program.inputs
        for name in given:
            given[name][:rows] = getattr(look, name)
        self._program.run(rows)
        return self._program.outputs["clean"][:rows].copy()
