"""How light the inside of a portrait's mouth is: as light as its eyes, made by the same light and the same lens.

Over films of 22 people, the white of the eyes tells how bright teeth are, and the darkest of the eyes how dark a mouth
gets; skin alone tells neither (`docs/face.md`). Brightness is that of luma, 0 to 255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.panels import LIPS, LUMA, SKIN, TEETH, unseen_teeth
from engine.imaging.shapes import polygon_mask

WHITE, DARK = 95.0, 5.0  # percentiles of the eyes' brightness: their white, their lashes and pupils
EYES_IN_SHADE = 0.9  # of the skin's brightness: where whites are darker, brows shade them but not the teeth
CLEAR, VEILED = 1.21, 0.36  # teeth beside whites, in a picture of all contrast, and what they lose with it
BLACKEST, PALEST = 0.02, 0.5  # dark of the eyes beside their white: bounds of what is believed
USUAL_TOOTH, DIMMER = 150.0, 0.1  # where a picture is darker than most, its mouth is darker still: a power
USUAL = 0.2  # where no open eye tells
ABOVE_SKIN, PAPER = 1.4, 232.0  # how bright teeth may be beside the skin, and at all
IVORY = np.array([1.0, 1.0, 0.95], np.float32)
SHUT = 0.6  # eyes shut further than this tell nothing
SPECKS = 12  # nor do eyes of fewer pixels
BLACK, VEIL = 0.16, 1.3  # dark beside white in a clear picture; of what is lighter than that, how much veils the mouth


@dataclass(frozen=True)
class MouthLight:
    """What a mouth's inside is painted with."""

    tooth: FloatArray  # [3] RGB of a front tooth in full light
    veil: FloatArray  # [3] RGB of what no shade darkens further: a soft or hazy picture has no black


def mouth_light(avatar: Avatar) -> MouthLight:
    """Read out of the portrait's eyes; by its skin alone where no open eye is seen. Own teeth keep their tone."""
    tones = avatar.tones
    skin = float(tones[SKIN] @ LUMA)
    pixels = _eyes(avatar)
    white, pale, hue = EYES_IN_SHADE * skin, USUAL, tones[SKIN] / max(skin, 1.0)
    if len(pixels) >= SPECKS:
        bright = pixels @ LUMA
        lightest, dark = (float(v) for v in np.percentile(bright, [WHITE, DARK]))
        white = max(lightest, white)
        pale = float(np.clip(dark / max(white, 1.0), BLACKEST, PALEST))
        seen = pixels[bright >= np.percentile(bright, 2 * WHITE - 100)].mean(0)
        hue = (1 - pale) * seen / max(float(seen @ LUMA), 1.0) + pale * hue  # what is soft takes on its surroundings'
    veil = VEIL * max(pale - BLACK, 0.0) * white
    tooth = tones[TEETH]
    if np.allclose(tooth, unseen_teeth(tones[SKIN]), atol=0.5):  # else the photo shows some, and this is their tone
        light = (CLEAR - VEILED * pale) * white
        light = min(light * (light / USUAL_TOOTH) ** DIMMER, ABOVE_SKIN * skin, PAPER)
        tooth = hue * IVORY
        tooth = np.minimum(light * tooth / float(tooth @ LUMA), 250.0)
    red = tones[LIPS] / max(float(tones[LIPS] @ LUMA), 1.0)
    return MouthLight(np.asarray(tooth, np.float32), np.asarray(veil * red, np.float32))


def _eyes(avatar: Avatar) -> FloatArray:
    """RGB [n, 3] of the portrait within its open eyes."""
    size, out = avatar.size, []
    for loop, shut in zip((top.EYE_RIGHT, top.EYE_LEFT), avatar.shut, strict=True):
        if shut < SHUT:
            out.append(avatar.portrait[polygon_mask(avatar.reference[list(loop), :2], size, size)])
    return np.concatenate(out).astype(np.float32) if out else np.zeros((0, 3), np.float32)
