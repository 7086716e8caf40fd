"""Which of the 468 face-mesh vertices are lips, eyelids, face oval: index lists, viewer's left to right.

The topology is MediaPipe's canonical face mesh (Apache-2.0, see NOTICE). "Right" is the person's right, which the
viewer of a frontal picture sees on the left.
"""

from __future__ import annotations

VERTICES = 468
LANDMARKS = 478  # the mesh and two irises of five points

LIP_INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIP_INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIP_OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIP_OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)

# The rows between inner and outer rim, from the inside outwards; columns match those of the rims.
LIP_ROWS_UPPER = (
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    LIP_OUTER_UPPER,
)
LIP_ROWS_LOWER = (
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    LIP_OUTER_LOWER,
)

EYE_RIGHT_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
EYE_RIGHT_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
EYE_LEFT_UPPER = (362, 398, 384, 385, 386, 387, 388, 466, 263)
EYE_LEFT_LOWER = (362, 382, 381, 380, 374, 373, 390, 249, 263)
EYE_RIGHT_RING = (247, 30, 29, 27, 28, 56, 190)  # the row above the upper lid, beside its seven inner vertices
EYE_LEFT_RING = (414, 286, 258, 257, 259, 260, 467)

IRIS_RIGHT = (468, 469, 470, 471, 472)  # centre first; of the extra landmarks, not of the mesh
IRIS_LEFT = (473, 474, 475, 476, 477)

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)  # fmt: skip
FOREHEAD, CHIN, EAR_RIGHT, EAR_LEFT = 10, 152, 234, 454
OUTER_CORNER_RIGHT, OUTER_CORNER_LEFT = 33, 263  # their distance is the unit of length on a face
CHEEKS = (50, 280, 101, 330, 205, 425)  # evenly lit skin


def loop(upper: tuple[int, ...], lower: tuple[int, ...]) -> tuple[int, ...]:
    """One closed ring out of an upper and a lower row that share their end points."""
    return upper + lower[-2:0:-1]


LIP_OUTER = loop(LIP_OUTER_UPPER, LIP_OUTER_LOWER)
LIP_INNER = loop(LIP_INNER_UPPER, LIP_INNER_LOWER)
LIP_OUTER = loop(LIP_OUTER_UPPER, LIP_OUTER_LOWER)
LIP_VERTICES = LIP_INNER + LIP_OUTER  # the order of `Motion.lip_offsets` [40]: each ring from the viewer's left corner
EYE_RIGHT = loop(EYE_RIGHT_UPPER, EYE_RIGHT_LOWER)
EYE_LEFT = loop(EYE_LEFT_UPPER, EYE_LEFT_LOWER)
