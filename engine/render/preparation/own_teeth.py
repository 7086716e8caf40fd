"""The portrait's own upper teeth laid on the arch, and continued by drawn ones where its lips hide the rest."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.panels import LUMA, place, window
from engine.face.surround import smoothstep
from engine.face.teeth import REACH

JOINS = 7.0  # portrait pixels over which own teeth pass into drawn ones (at 512)
HIGHER, LOWER = 0.08, 0.2  # centimetres by which a seen edge may leave the drawn arch's course
CROWN, GUM_LINE = 1.05, 0.2  # centimetres of own teeth above their ends, and over which they pass into the gum
DIMMEST = 0.35  # of a front tooth's brightness: no drawn neighbour is darker


def seen_edge(teeth: FloatArray, flat: FloatArray, step: float, usual: np.ndarray) -> np.ndarray:
    """Heights of the crowns' ends in centimetres [n] that put them where the portrait's ``teeth`` end.

    ``flat`` [n, 3] are the arch's pixels at height 0, ``step`` pixels per centimetre, ``usual`` [n] a drawn arch's
    heights, which continue the seen ones.
    """
    x = np.clip(flat[:, 0], teeth[:, 0].min(), teeth[:, 0].max())
    seen = (np.interp(x, teeth[:, 0], teeth[:, 1]) - flat[:, 1]) / step
    inside = np.flatnonzero(x == flat[:, 0])
    if not len(inside):
        return usual
    # Towards the sides the lower lip hides the ends of the teeth: there a drawn arch's course is the better guess.
    middle = inside[len(inside) // 4 : -len(inside) // 4]
    level = float(np.median((seen - usual)[middle])) if len(middle) else 0.0
    return usual + level + np.clip(seen - usual - level, -HIGHER, LOWER)


def lay_on_arch(avatar: Avatar, drawn: FloatArray, at: FloatArray, arc: np.ndarray) -> FloatArray:
    """The upper arch's drawing [h, w, 3] with the portrait's teeth in it.

    ``at`` [rows, columns, 3] are the arch's portrait pixels, its columns at ``arc``. Drawn neighbours take the
    brightness of the last tooth that is seen.
    """
    spot = place("upper", avatar.size)
    corner = window(avatar.reference[list(top.LIP_INNER)], spot)
    height, width = drawn.shape[:2]
    columns = np.linspace(arc[0], arc[-1], width)
    rows = np.linspace(0, 1, height)
    places = np.empty((height, width, 2), np.float32)
    for axis in range(2):
        across = np.stack([np.interp(columns, arc, row) for row in at[..., axis]])  # [rows, w]
        ends = np.linspace(0, 1, len(at))
        places[..., axis] = np.stack([np.interp(rows, ends, column) for column in across.T], 1)
    own = _sample(spot.cut(avatar.panels).astype(np.float32), places - np.array(corner, np.float32))
    reach = JOINS * avatar.size / 512
    x = places[..., 0]
    inside = np.minimum(x - avatar.teeth[:, 0].min(), avatar.teeth[:, 0].max() - x)
    high = (1 - rows) * REACH  # centimetres above the crowns' ends: what lips hid in the portrait is drawn
    share = (smoothstep(inside / reach) * smoothstep((CROWN - high) / GUM_LINE)[:, None])[..., None]
    # Each side's drawn teeth are as bright as the seen ones beside them.
    crown = high < 0.8
    middle = width // 2
    gain = np.ones(width)
    for side in (slice(0, middle), slice(middle, width)):
        beside = (share[crown, side, 0] > 0.3) & (share[crown, side, 0] < 0.95)
        if beside.sum() > 20:
            ratio = (own[crown, side][beside] @ LUMA).mean() / max(float((drawn[crown, side][beside] @ LUMA).mean()), 1)
            gain[side] = np.clip(ratio, DIMMEST, 1.0)
    return np.asarray(share * own + (1 - share) * drawn * gain[None, :, None], np.float32)


def _sample(image: FloatArray, places: FloatArray) -> FloatArray:
    """Bilinear colours [h, w, 3] of ``image`` at ``places`` [h, w, 2], edges repeated."""
    x = np.clip(places[..., 0], 0, image.shape[1] - 1.001)
    y = np.clip(places[..., 1], 0, image.shape[0] - 1.001)
    i, j = x.astype(int), y.astype(int)
    a, b = (x - i)[..., None], (y - j)[..., None]
    above = image[j, i] * (1 - a) + image[j, i + 1] * a
    below = image[j + 1, i] * (1 - a) + image[j + 1, i + 1] * a
    return np.asarray(above * (1 - b) + below * b, np.float32)
