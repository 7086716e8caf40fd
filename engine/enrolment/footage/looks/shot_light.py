"""The light of a film's shots, brought to the portrait's."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.panels import SKIN, measure_tones

GAINS = (0.55, 1.8)  # of a shot's colours: light more different than that teaches nothing
GLANCES, SLIGHT = 8, 0.06  # pictures by which a shot's light is told; of its logarithm, what is taken for none


def light_gain(avatar: Avatar, pictures: ByteArray, landmarks: FloatArray) -> FloatArray:
    """Factors [3] from a shot's light to the portrait's, by the skin in some of its ``pictures`` [n, s, s, 3].

    ``landmarks`` [n, 478, 3] are theirs, in the portrait's pixels. Slight differences are left: skin turns, too.
    """
    step = avatar.size / pictures.shape[1]
    found = []
    for k in np.unique(np.linspace(0, len(pictures) - 1, GLANCES).astype(int)):
        small = (landmarks[k, : top.VERTICES] + 0.5) / step - 0.5
        found.append(measure_tones(pictures[k], small)[SKIN])
    gain = np.log(avatar.tones[SKIN] / np.maximum(np.median(found, axis=0), 1.0))
    return np.exp(np.sign(gain) * np.maximum(np.abs(gain) - SLIGHT, 0)).astype(np.float32)


def serves(gain: FloatArray) -> bool:
    """Whether a shot in light that needs these factors [3] may teach anything."""
    return bool(((gain > GAINS[0]) & (gain < GAINS[1])).all())
