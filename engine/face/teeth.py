"""Our own dental arch: where teeth stand in the head, and how they look. Centimetres, x right, y down, z away.

Modelled from common proportions of a human dentition: crown widths from the midline outwards, heights, and a parabola
for the arch. Nothing here is copied from a scanned head.
"""

from __future__ import annotations

import numpy as np

UPPER_WIDTHS = (0.86, 0.66, 0.76, 0.68, 0.66, 1.0)  # crowns from the midline outwards
LOWER_WIDTHS = (0.54, 0.58, 0.66, 0.69, 0.70, 1.05)
UPPER_LENGTHS = (1.02, 0.90, 1.00, 0.82, 0.76, 0.70)
LOWER_LENGTHS = (0.88, 0.90, 0.98, 0.84, 0.78, 0.72)
UPPER_EDGE = (0.00, -0.09, -0.02, -0.13, -0.18, -0.24)  # each crown's end, relative to the first one's
LOWER_EDGE = (0.00, 0.01, -0.04, 0.08, 0.12, 0.16)
# How bright each crown is, from the midline outwards, left side then right: no two neighbours are quite alike.
TINTS = (1.0, 0.965, 0.93, 0.95, 0.92, 0.9, 0.99, 0.98, 0.925, 0.94, 0.93, 0.9)
REACH = 1.8  # how far a panel extends from the cutting edge over the gum
COLUMNS = 61
HALF_ARC = 4.3  # arc length from the midline to the last column


def arch_depth(x: np.ndarray) -> np.ndarray:
    """How far behind the front teeth the arch lies at sideways distance x."""
    return 0.27 * x**2 + 0.012 * x**4


def arch(upper: bool) -> np.ndarray:
    """Points along the arch [COLUMNS, 3]: arc length, x, z, evenly spaced in arc length."""
    x = np.linspace(0, 3.2, 400)
    scale = 1.0 if upper else 0.92
    z = arch_depth(x / scale)
    arc = np.r_[0.0, np.cumsum(np.hypot(np.diff(x), np.diff(z)))]
    wanted = np.linspace(-HALF_ARC, HALF_ARC, COLUMNS)
    reach = np.minimum(np.abs(wanted), arc[-1])
    return np.stack([wanted, np.sign(wanted) * np.interp(reach, arc, x), np.interp(reach, arc, z)], 1)


def _crowns(arc: np.ndarray, upper: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each arc length: which crown, and the place within it in [-1, 1]; and the distance to the next gap."""
    ends = np.cumsum(UPPER_WIDTHS if upper else LOWER_WIDTHS)
    reach = np.minimum(np.abs(arc), ends[-1] - 1e-6)
    which = np.searchsorted(ends, reach, side="right")
    starts = np.r_[0.0, ends[:-1]]
    width = ends - starts
    inside = (reach - starts[which]) / width[which] * 2 - 1
    gap = np.minimum(reach - starts[which], ends[which] - reach)
    return which, inside, gap


def cutting_edge(arc: np.ndarray, upper: bool) -> np.ndarray:
    """Height of the crowns' ends along the arch, rounded towards each gap; y down, 0 at the first crown."""
    which, inside, _ = _crowns(arc, upper)
    level = np.array(UPPER_EDGE if upper else LOWER_EDGE)[which]
    rounding = (0.10 if upper else 0.05) * np.abs(inside) ** 4
    return np.asarray(level - rounding if upper else level + rounding)


def paint_arch(width: int, height: int, tooth: np.ndarray, gum: np.ndarray, upper: bool) -> np.ndarray:
    """A row of teeth [height, width, 3]: across runs the arch, downwards from gum to cutting edge (upper row).

    The lower row is painted upside down, edge first.
    """
    arc = np.linspace(-HALF_ARC, HALF_ARC, width)[None]
    from_edge = np.linspace(REACH, 0, height)[:, None]  # centimetres above the cutting edge
    which, inside, gap = _crowns(arc[0], upper)
    length = np.array(UPPER_LENGTHS if upper else LOWER_LENGTHS)[which]
    margin = length - 0.16 * np.abs(inside) ** 2.5  # the gum line arches over each crown
    crown = np.clip((margin[None] - from_edge) / 0.07 + 0.5, 0, 1)  # soft step from gum to crown
    along = np.clip(from_edge / length[None], 0, 1)
    body = 1.0 - 0.09 * np.abs(inside[None]) ** 2.2  # rounded sideways
    body = body * (1 - 0.10 * along**2) * (1 - 0.07 * np.exp(-from_edge / 0.10))
    # The shadow between neighbours: deepest where their corners part, hardly seen where they touch.
    parted = 0.45 + 0.55 * np.exp(-from_edge / 0.22)
    body = body * (1 - (0.15 if upper else 0.10) * parted * np.exp(-((gap[None] / 0.07) ** 2)))
    body = body * np.array(TINTS)[which + len(TINTS) // 2 * (arc[0] > 0)][None]
    warm = np.array([0.0, -0.02, -0.07])[None, None] * along[..., None] ** 1.5
    teeth = tooth[None, None] * (body[..., None] + warm)
    gums = gum[None, None] * (1 - 0.25 * np.exp(-(((from_edge - margin[None]) / 0.2) ** 2)))[..., None]
    out = crown[..., None] * teeth + (1 - crown[..., None]) * gums
    return np.clip(out if upper else out[::-1], 0, 255).astype(np.float32)
