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
from engine.render.learned.lip_square import CELLS, FIELD, PICTURE, square_at
from engine.render.learned.lip_warp import follow, warp_square

SCALE = PICTURE // FIELD  # pixels of a cell


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
        self._look, self._move, self._add = (
            session(programs / f"{name}.onnx", weights) for name in ("look", "picture_motion", "picture_paint")
        )

    def know(self, portrait: FloatArray, texture: FloatArray, lips: FloatArray) -> Known:
        """See `PictureNetworks`."""
        given = {"portrait": portrait, "texture_reference": texture, "lips_reference": lips}
        return Known(*self._look.run(None, given))

    def change(self, view: View, gate: float, known: Known) -> tuple[FloatArray, FloatArray]:
        """See `PictureNetworks`."""
        given = {
            "met": known.met,
            "texture": view.texture,
            "lips_reference": view.lips_reference,
            "lips": view.lips,
            "gate": np.array([gate], np.float32),
        }
        residual, occlusion = self._move.run(None, given)
        x, y = square_at(view.lips)
        left, top = SCALE * x, SCALE * y
        warped = np.empty((1, 3, SCALE * CELLS, SCALE * CELLS), np.float32)
        warp_square(view.painted[0], residual[0], left, top, warped[0])
        followed = np.empty((1, known.features.shape[1], CELLS, CELLS), np.float32)
        follow(known.features[0], view.flow[0], residual[0], x, y, followed[0])
        square = view.texture[:, :, top : top + SCALE * CELLS, left : left + SCALE * CELLS]
        cut_out = {
            "warped": warped,
            "square": np.ascontiguousarray(square),
            "occlusion": occlusion,
            "followed": followed,
            "light": known.light,
            "gate": given["gate"],
        }
        (added,) = self._add.run(None, cut_out)
        return residual[0], added[0]
