"""Where a film's frames lie among all that a face might do, so that a voice's faces are brought near to them.

A voice moves lips and lids otherwise than a tracker saw them move: along each axis hardly farther, but all together
twice as far from the nearest of the film's frames as other parts of the film are. A regression has never seen such
faces, and paints stains on them.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray

PLACES, EACH = 48, 5  # that stand for a film's frames, at most; frames for each
USUALLY = 75.0  # percentile of how far a film's frames lie beside those of its other parts: as far any face may
PARTS = 4  # of a film


def film_places(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Places [K, n] that stand for a film's frames ``z`` [T, n], rest among them, and how to be held near them [2].

    As `kernels.cpu.looks.laying.hold` takes them; none of films too short.
    """
    count = min(PLACES, len(z) // EACH)
    if count < PARTS:
        return np.zeros((0, z.shape[1]), np.float32), np.zeros(2, np.float32)
    some = z[spread_out(z, count)]
    near = _nearness(some)
    left = []
    for held in np.array_split(np.arange(len(z)), PARTS):
        rest = np.delete(z, held, axis=0)
        others = rest[spread_out(rest, count)]
        away = ((z[held][:, None] - others[None]) ** 2).sum(2)
        share = np.exp((away.min(1, keepdims=True) - away) / (2 * near**2))
        left.append(np.linalg.norm(z[held] - share @ others / share.sum(1, keepdims=True), axis=1))
    beside = max(float(np.percentile(np.concatenate(left), USUALLY)), 1e-3)
    return np.concatenate([np.zeros_like(z[:1]), some]).astype(np.float32), np.array([near, beside], np.float32)


def spread_out(places: FloatArray, count: int) -> np.ndarray:
    """Rows [k] of ``places`` [T, d] that stand for all: those nearest to the middles of ``count`` heaps (Lloyd)."""
    middles = places[np.linspace(0, len(places) - 1, count).astype(int)]
    for _ in range(20):
        nearest = ((places[:, None] - middles[None]) ** 2).sum(2).argmin(1)
        middles = np.stack([places[nearest == k].mean(0) if (nearest == k).any() else middles[k] for k in range(count)])
    return np.unique(((places[:, None] - middles[None]) ** 2).sum(2).argmin(0))


def _nearness(places: FloatArray) -> float:
    """The usual distance from one of ``places`` [K, n] to the next."""
    apart = ((places[:, None] - places[None]) ** 2).sum(2)
    return max(float(np.sqrt(np.median(np.sort(apart, 1)[:, 1]))), 0.1)
