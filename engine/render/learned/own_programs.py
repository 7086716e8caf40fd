"""The picture network of one person: the shared generator with weights of their own, on what their film's looks paint.

Nothing is moved: a film's looks lie where they belong. All of the window around the lips may be painted over, within
bounds, so that the motion network has nothing to say and is not asked.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.face.kept.own_network import OwnNetwork
from engine.paths import assets
from engine.programs.program import Weights, session
from engine.render.learned.eyesight import View
from engine.render.learned.learned_renderer import Known
from engine.render.learned.lip_square import CELLS, FIELD, PICTURE, square_at
from engine.render.learned.lip_warp import follow
from engine.render.learned.lip_window import lip_window

SCALE = PICTURE // FIELD  # pixels of a cell
DOUBTED = 0.5  # of the picture within the window: what is added stays below 64 grey levels


class OwnPrograms:
    """`engine.render.learned.learned_renderer.PictureNetworks`; several threads may use it at once.

    Raises VivifyError where the network was tuned beside other weights than the shared ``weights``.
    """

    def __init__(self, weights: Weights, own: OwnNetwork) -> None:
        try:
            if own.fits.tobytes() != weights.digest():
                raise ValueError("another version's")
            mine = weights.exchanged(own.tensors)
        except ValueError as problem:
            raise VivifyError(
                f"The picture network that a film gave this avatar does not fit the shared weights at {weights.path} "
                f"({problem}): enrol the film again with --tune."
            ) from problem
        programs = assets() / "programs"
        self._look = session(programs / "look.onnx", weights)
        self._add = session(programs / "picture_paint.onnx", mine)

    def know(self, portrait: FloatArray, texture: FloatArray, lips: FloatArray) -> Known:
        """See `PictureNetworks`."""
        given = {"portrait": portrait, "texture_reference": texture, "lips_reference": lips}
        features, light = self._look.run(["features", "light"], given)
        return Known(features, light, np.zeros((1, 0), np.float32))

    def change(self, view: View, gate: float, known: Known) -> tuple[FloatArray, FloatArray]:
        """See `PictureNetworks`."""
        given = seen_by_generator(view, known) | {"gate": np.array([gate], np.float32)}
        (added,) = self._add.run(None, given)
        return np.zeros((2, CELLS, CELLS), np.float32), added[0]


def seen_by_generator(view: View, known: Known) -> dict[str, FloatArray]:
    """What the generator is given of one frame, but for the gate; training as well."""
    x, y = square_at(view.lips)
    at = np.s_[:, :, SCALE * y : SCALE * (y + CELLS), SCALE * x : SCALE * (x + CELLS)]
    followed = np.empty((1, known.features.shape[1], CELLS, CELLS), np.float32)
    follow(known.features[0], view.flow[0], np.zeros((2, CELLS, CELLS), np.float32), x, y, followed[0])
    return {
        "warped": np.ascontiguousarray(view.painted[at]),
        "square": np.ascontiguousarray(view.texture[at]),
        "occlusion": 1 - np.float32(DOUBTED) * lip_window(view.lips_reference, view.lips),
        "followed": followed,
        "light": known.light,
    }
