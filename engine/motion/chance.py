"""Chance by seed and step in numpy, exactly as the torch networks draw it.

Exported programs are given what is drawn: the mixing of splitmix64 has no form in ONNX.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.contracts import FloatArray
from engine.motion.motion_networks import Whole

APART = 0x5EED  # between the seeds of a row's upper face and of its head, who are told one seed
_SEED, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_MIXED = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def uniform(seed: Whole, count: Whole) -> NDArray[np.float64]:
    """Numbers in [0, 1) by seed and step of equal shapes: `engine.motion.head.head_pose.uniform`."""
    x = seed.astype(np.uint64) * _SEED + (count + 1).astype(np.uint64) * _STEP
    for shift, factor in _MIXED:
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def normal(seed: Whole, count: Whole, values: int) -> FloatArray:
    """Numbers [B, values] by seed [B] and step [B]: `engine.motion.facial.upper_face.normal`."""
    drawn = count[:, None] * (2 * values) + np.arange(2 * values)
    u = uniform(np.broadcast_to(seed[:, None] + APART, drawn.shape), drawn)
    radius = np.sqrt(-2 * np.log1p(-u[:, :values]))
    return (radius * np.cos(2 * np.pi * u[:, values:])).astype(np.float32)
