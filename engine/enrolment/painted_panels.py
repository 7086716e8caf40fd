"""All panels of one portrait."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.open_mouth import clean_lips, own_teeth, teeth_tone
from engine.face import topology as top
from engine.face.eye_panels import eye_panels, lid_panel
from engine.face.panels import PLACES, TEETH, panel_shape, place


def paint_panels(
    image: ByteArray, face: FloatArray, opened: FloatArray, irises: FloatArray, tones: FloatArray, smiling: bool
) -> tuple[ByteArray, FloatArray, FloatArray]:
    """All panels [h, w, 3], the own teeth's lower edge [n, 2], and the tones, with the teeth's own when seen.

    ``opened`` is ``face`` [468, 3] with its eyes open.
    """
    size = image.shape[0]
    panels = np.zeros((*panel_shape(size), 3), np.float32)
    seen_teeth = own_teeth(image, face, tones) if smiling else None
    edge = np.zeros((0, 2), np.float32)
    spots = {name: place(name, size) for name in PLACES}
    if seen_teeth:
        tones, edge = tones.copy(), seen_teeth.edge
        tones[TEETH] = seen_teeth.tone
        spots["upper"].cut(panels)[:] = seen_teeth.panel
    elif smiling:
        tones = tones.copy()
        tones[TEETH] = teeth_tone(image, face, tones)
    spots["lips"].cut(panels)[:] = clean_lips(image, face) if smiling else 0
    for side, loop, iris in (("right", top.EYE_RIGHT, irises[0]), ("left", top.EYE_LEFT, irises[1])):
        white, seen = eye_panels(image, face[list(loop)], opened[list(loop)], iris, side)
        spots[f"white_{side}"].cut(panels)[:] = white
        row = list(top.EYE_RIGHT_UPPER if side == "right" else top.EYE_LEFT_UPPER)
        ring = list(top.EYE_RIGHT_RING if side == "right" else top.EYE_LEFT_RING)
        name = f"lid_{side}"
        spots[name].cut(panels)[:] = lid_panel(image, face, loop, row, [row[0], *ring, row[-1]], name)
        spots[f"iris_{side}"].cut(panels)[:] = seen
    return np.clip(panels + 0.5, 0, 255).astype(np.uint8), edge, tones
