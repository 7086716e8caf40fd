"""The networks of the picture as exported programs, without torch (`engine.programs.program`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.paths import assets
from engine.programs.program import Weights, session
from engine.render.learned.eyesight import View
from engine.render.learned.learned_renderer import Known


class PicturePrograms:
    """`engine.render.learned.learned_renderer.PictureNetworks`; several threads may use it at once.

    Raises VivifyError where weights or programs are missing, damaged or do not belong together.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise VivifyError(
                f"Learned pictures need weights at {path}, but there are none: train them with scripts/train_picture, "
                "or use --quality geometry."
            )
        weights, programs = Weights(path), assets() / "programs"
        self._look, self._change = (session(programs / f"{name}.onnx", weights) for name in ("look", "picture"))

    def know(self, portrait: FloatArray, lips: FloatArray) -> Known:
        """See `PictureNetworks`."""
        return Known(*self._look.run(None, {"portrait": portrait, "lips_reference": lips}))

    def change(self, view: View, gate: float, known: Known) -> tuple[FloatArray, FloatArray]:
        """See `PictureNetworks`."""
        given = {
            "features": known.features,
            "light": known.light,
            "painted": view.painted,
            "texture_reference": view.texture_reference,
            "texture": view.texture,
            "lips_reference": view.lips_reference,
            "lips": view.lips,
            "flow": view.flow,
            "gate": np.array([gate], np.float32),
        }
        residual, added = self._change.run(None, given)
        return residual[0], added[0]
