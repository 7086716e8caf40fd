"""Numbers of a face that are near each other where two pictures show one person, and far where they show two.

The network (a residual one of 29 layers, dlib's; see ``assets/trackers/README.md``) wants the face at the place where
it learned faces: eyes' corners and the nose's base where they lie on average.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.trackers.region import Region
from engine.enrolment.trackers.tracker_session import tracker

SIDE, NUMBERS = 150, 128
AROUND = 0.25  # of the average face's square, on each of its sides
LANDMARKS = [263, 362, 33, 133, 2]  # the left eye's outer and inner corner, the right one's, the nose's base
PLACES = np.array([(0.8596, 0.2135), (0.6461, 0.2290), (0.1206, 0.2137), (0.3341, 0.2291), (0.4901, 0.6278)])


def likeness(rgb: ByteArray, landmarks: FloatArray) -> FloatArray:
    """The numbers [128] of the face in ``rgb`` [H, W, 3] with ``landmarks`` [478, 3], in pixels of it."""
    (found,) = tracker("likeness").run(None, {"picture": face_square(landmarks).cut(rgb, SIDE, repeat=True)[None]})
    return np.asarray(found[0], np.float32)


def face_square(landmarks: FloatArray) -> Region:
    """Where the network looks: the square in which this face lies nearest to the average one (least squares)."""
    own = (landmarks[LANDMARKS, :2].astype(float) + 0.5) @ (1, 1j)
    average = (PLACES + AROUND) / (1 + 2 * AROUND) @ (1, 1j)
    spread = average - average.mean()
    turn = np.conj(spread) @ (own - own.mean()) / (np.conj(spread) @ spread).real
    middle = own.mean() + turn * (0.5 + 0.5j - average.mean())
    return Region(middle.real, middle.imag, abs(turn), abs(turn), float(np.angle(turn)))
