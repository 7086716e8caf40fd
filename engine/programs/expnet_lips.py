"""SadTalker's ExpNet as the engine's lips (`--lips expnet`): mel windows in numpy, the network as an exported program.

Frame i is heard up to 132.5 ms after its start, as in the paper, at a look-ahead of 120 ms; at a shorter one the
columns that have not come repeat the newest that has, which it was trained with.
"""

from __future__ import annotations

import numpy as np

from engine.audio.mel_columns import MelColumns
from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX, LIP
from engine.motion.motion_networks import Mask, Whole
from engine.paths import assets
from engine.programs.program import Program, Weights

LIPS = np.array([INDEX[name] for name in LIP])


class ExpNetLips:
    """Lips of ``rows`` sessions. Raises VivifyError as `Program`."""

    def __init__(self, rows: int) -> None:
        weights = Weights(assets() / "weights" / "expnet.safetensors")
        self._mel = MelColumns(rows)
        self._net = Program(assets() / "programs" / "expnet.onnx", weights, rows)
        self._net.inputs["reference"][:] = 0  # a portrait's own face is the rest that expressions count from

    def begin(self, mask: Mask) -> None:
        """Start the rows of ``mask`` [B] anew."""
        self._mel.begin(mask)

    def forget(self, mask: Mask) -> None:
        """Drop what the rows of ``mask`` [B] heard, as after a barge-in."""
        self._mel.forget(mask)

    def speak(self, shapes: FloatArray, samples: FloatArray, look_ahead: Whole, mask: Mask) -> None:
        """The rows of ``mask`` [B] hear samples [B, 640]: their lips in ``shapes`` [B, 52] become ExpNet's.

        Lids and brows stay: they have lives of their own.
        """
        ran = np.flatnonzero(mask)
        if not len(ran):
            return
        self._net.inputs["windows"][:] = self._mel.step(samples, look_ahead, mask)
        self._net.run_stretch(ran)
        shapes[np.ix_(ran, LIPS)] = self._net.outputs["expression"][np.ix_(ran, LIPS)]
