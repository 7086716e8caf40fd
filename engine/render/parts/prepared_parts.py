"""What the parts of one portrait are made of: everything that posing reads of it, prepared once and never written.

`engine.render.prepared.Prepared` holds one of each. "Pixels" are those of the portrait before the head turns,
"centimetres" those of the face model; of pairs the person's right eye or the upper lip comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray
from engine.render.parts.scene_part import Part


@dataclass(frozen=True)
class PreparedHead:
    """Where the head is in the portrait, and how large."""

    rotation: FloatArray  # [3, 3] from the model's frame to the portrait's
    pivot: FloatArray  # [3] pixels: the neck joint, around which it turns
    scale: float  # pixels per centimetre
    unit: float  # pixels between the outer eye corners: the unit of translations and of lip offsets


@dataclass(frozen=True)
class PreparedFace:
    """The face mesh: what coefficients move of it, and how it lets go of the portrait's texture."""

    neutral: FloatArray  # [468, 3] pixels: without any expression
    reference: FloatArray  # [468, 3] pixels: as the portrait shows it, which is also where it samples the texture
    basis: FloatArray  # [52, 1404] pixels that each coefficient of 1 moves the 468 vertices by
    free: FloatArray  # [468, 1] share of a movement that glasses leave; 1 everywhere without glasses
    own: FloatArray  # [52] coefficients of the portrait's own expression; zeros where its face is neutral
    own_lips: FloatArray  # [52] the lips' part of them
    unexplained: FloatArray  # [468, 3] pixels of the own expression that its coefficients do not give
    normals: FloatArray  # [468, 3] of length 1, out of the face as the portrait shows it
    soft: np.ndarray  # [n] which vertices lie on the outline's soft pixels
    tuck: FloatArray  # [n, 2] pixels of texture by which those go inwards once they turn or move
    mirror_share: FloatArray  # [468] of its mirror twin's texture that a vertex takes once it turns into view, 0 to 1
    rim_beyond: FloatArray  # [36, 2] pixels of texture: where the oval's copies sample once they turn into view


@dataclass(frozen=True)
class PreparedLips:
    """How thick lips are around a ring, where their columns stand on it, and what stays open between them."""

    thick: np.ndarray  # [2, 3, 11] centimetres from the rim to each further row of a lip, column by column
    angle: np.ndarray  # [2, 11] radians on the ring, 0 to pi from corner to corner
    seam: FloatArray  # [9] pixels left between the inner columns of closed lips: the dark line
    apart: bool  # whether the portrait shows the lips apart: an open smile


@dataclass(frozen=True)
class PreparedEye:
    """One eye as four parts of the scene, and what moves them."""

    white: Part
    iris: Part
    lashes: Part  # three rows of 9: under the lid's rim, on it, and the lashes' ends
    lid: Part  # the skin of the closing lid: the rim, and its crease
    under: FloatArray  # [9, 3] pixels from the lid's rim to what is seen under it, which moves along
    tall: FloatArray  # [9] pixels: the lashes' height
    line: FloatArray  # [9] of the brightness that closed lids lose where they meet, 0 to 1
    fold: FloatArray  # [7, 2] pixels of texture from the lid's rim, its ends left out, to the ring above it
    plane: np.ndarray  # [3] of the eyeball: depth in pixels is x, y, 1 times these
    gaze: FloatArray  # [2, 2] pixels that an iris goes to the right, and down, for a coefficient of 1
    shut: float  # how far the portrait shows it shut, as a blink, 0 to 1

    @property
    def parts(self) -> tuple[Part, Part, Part, Part]:
        """In the order in which `Eye.pose` returns their vertices."""
        return self.white, self.iris, self.lashes, self.lid


@dataclass(frozen=True)
class MouthFrame:
    """Centimetres along the head's axes from the middle of the closed lips, and back to pixels."""

    anchor: FloatArray  # [3] pixels: the middle of the closed lips
    axes: FloatArray  # [3, 3] pixels per centimetre; depth shifts less than it would
    home: FloatArray  # [3, 3] centimetres per pixel

    def to_pixels(self, points: np.ndarray) -> FloatArray:
        """Centimetres [n, 3] as pixels, before the head turns."""
        return (self.anchor + points @ self.axes).astype(np.float32)


@dataclass(frozen=True)
class PreparedMouth:
    """Teeth, tongue and cavity: places in centimetres as `MouthFrame` says."""

    frame: MouthFrame
    teeth: FloatArray  # [2, 305, 3] centimetres: each arch row by row from above, 61 columns
    teeth_light: FloatArray  # [2, 305] how bright each is, before any lip's shade; 1 as painted
    veil: FloatArray  # [4] of each part's own brightness that no shade takes: upper, lower teeth, tongue, cavity
    tongue: FloatArray  # [130, 3] centimetres at rest, 10 rows from the tip to the back
    parts: tuple[Part, Part, Part, Part]  # upper teeth, lower teeth, tongue, cavity
    panels: dict[str, np.ndarray]  # [h, w, 3] each by name: what is invented of them, in the portrait's tones


@dataclass(frozen=True)
class PreparedSheet:
    """Everything around the face, which hangs on its oval."""

    points: FloatArray  # [G, 3] pixels
    head: FloatArray  # [G, 1] how much each follows the head's turn, 0 to 1
    moved: np.ndarray  # [m] which of them the face's expression moves
    hang: FloatArray  # [m, 36] how much those follow each vertex of the oval
