"""Which way up a photo is: what detectors and landmark net together make of a face at each of four quarter turns.

None of them is a witness alone. Detectors are at times surer of a turned face: of busts, hats, high foreheads and
beards above all. The landmark net lays an upright mesh over a face that stands on its head. But over a face the right
way up the landmarks stay where they are when the square looked at is shifted, scaled or turned a little, and they lie
where the detector saw eyes, nose and mouth; over any other they wander. All of this together is one number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray
from engine.enrolment.trackers.face_detector import FAR, NEAR, Detection, detect
from engine.enrolment.trackers.face_mesh import face_square, look
from engine.enrolment.trackers.region import Region
from engine.face import topology as top
from engine.imaging.resampling import resized

WIDE = 128.0  # pixels of a face when it is looked at closely
AROUND = 4.0  # how much of its surroundings comes along, in its widths
CLOSER = (1.6, 2.2, 3.0)  # how much of them the detectors see
CUT = 192  # pixels a side of what they see
LEAST = 0.2  # how sure they must be to say anything
SAME_FACE = 0.5  # shared area over joint area
LOOKS = (  # what is tried on the square for the landmarks: shifts and scale in its sides, turn in radians
    (0.0, 0.0, 1.0, 0.0),
    (0.06, 0.03, 1.0, 0.0),
    (-0.06, -0.03, 1.0, 0.0),
    (-0.03, 0.06, 1.12, 0.0),
    (0.03, -0.06, 0.9, 0.0),
    (0.0, 0.0, 1.0, 0.12),
    (0.0, 0.0, 1.0, -0.12),
)
STEADIEST, CLOSEST = 0.004, 0.015  # of a face's height: landmarks never wander less, nor lie nearer
CERTAIN = 5.5  # a photo as it stands with such a face is not turned to see more; turned faces have 5.0 at most
LIKELY = 4.0  # what a face must have for which a photo is turned
CLEAR = 0.3  # and by how much more than any face in the photo as it stands
EYES_NOSE_MOUTH = ((33, 133), (362, 263), (1,), (13, 14))  # landmarks whose middles are the detector's first points


@dataclass(frozen=True)
class Witness:
    """A face looked at closely."""

    score: float  # about 6 for a face the right way up, 3 to 4 for anything else
    roll: float  # degrees by which it leans to the right, by its landmarks


Place = tuple[float, float, float]  # a face's middle and its width, in pixels


def way_up(turned: list[ByteArray], places: Callable[[int], list[Place]]) -> int:
    """How many quarter turns to the left set a photo upright: none, unless a turned one clearly shows more of a face.

    ``turned``: the photo [H, W, 3] after 0, 1, 2 and 3 of them; ``places``: where faces seem to be after so many.
    """
    best = [0.0] * 4
    for quarter, picture in enumerate(turned):
        for place in places(quarter):
            face = look_closely(picture, *place)
            if face:
                upright = (quarter + round(face.roll / 90)) % 4
                best[upright] = max(best[upright], face.score)
        if quarter == 0 and best[0] >= CERTAIN:
            return 0
    most = int(np.argmax(best))
    return most if best[most] >= max(LIKELY, best[0] + CLEAR) else 0


def glimpses(rgb: ByteArray) -> list[Place]:
    """Where each of both detectors is surest of a face, however unsure it is."""
    seen = [found.box for sight in (NEAR, FAR) for found in detect(rgb, sight, LEAST)[:1]]
    if len(seen) == 2 and seen[0].overlap(seen[1]) > SAME_FACE:
        seen.pop()
    return [(box.x, box.y, max(box.width, 1.0)) for box in seen]


def look_closely(rgb: ByteArray, x: float, y: float, width: float) -> Witness | None:
    """What is to be said of a face of ``width`` pixels at ``x``, ``y``; None where no detector sees one from nearby."""
    window, middle = _window(rgb, x, y, width)
    sure, best, square = [], None, Region(*middle, WIDE, WIDE)
    for scale in CLOSER:
        close = Region(*middle, scale * WIDE, scale * WIDE)
        seen = _surest(np.ascontiguousarray(close.cut(window, CUT, repeat=True).transpose(1, 2, 0)))
        sure.append(seen.score if seen else 0.0)
        if seen and (best is None or scale == CLOSER[1]):
            best, square = seen, close
    if best is None:
        return None
    points = square.outside((best.points / CUT).astype(np.float32))
    share = square.width / CUT
    centre = square.outside(np.array([[best.box.x / CUT, best.box.y / CUT]], np.float32))[0]
    box = Region(float(centre[0]), float(centre[1]), best.box.width * share, best.box.height * share)
    base = face_square(box, points[0], points[1])
    found = [look(window, _changed(base, *change)) for change in LOOKS]
    faces = np.array([landmarks[:, :2] for landmarks, _ in found])
    present = float(np.mean([there for _, there in found]))
    up = faces[0][top.FOREHEAD] - faces[0][top.CHIN]
    tall = max(float(np.linalg.norm(up)), 1.0)
    wander = float(np.sqrt(((faces - faces.mean(0)) ** 2).sum(-1).mean())) / tall
    named = np.array([faces[0][list(those)].mean(0) for those in EYES_NOSE_MOUTH])
    apart = float(np.linalg.norm(named - points[: len(named)], axis=1).mean()) / tall
    score = 1.5 * np.mean(sure) - 0.5 * np.log(max(wander, STEADIEST)) - 0.5 * np.log(max(apart, CLOSEST))
    return Witness(float(score) + 0.5 * present, float(np.degrees(np.arctan2(up[0], -up[1]))))


def _window(rgb: ByteArray, x: float, y: float, width: float) -> tuple[ByteArray, tuple[float, float]]:
    """The face with its surroundings, `WIDE` pixels wide, and where its middle is in that."""
    half = AROUND * width / 2
    left, above = max(int(x - half), 0), max(int(y - half), 0)
    window = rgb[above : int(y + half) + 1, left : int(x + half) + 1]
    factor = WIDE / width
    tall, wide = (max(round(factor * side), 2) for side in window.shape[:2])
    return np.ascontiguousarray(resized(window, wide, tall)), (factor * (x - left), factor * (y - above))


def _surest(rgb: ByteArray) -> Detection | None:
    seen = [found for sight in (NEAR, FAR) for found in detect(rgb, sight, LEAST)[:1]]
    return max(seen, key=lambda found: found.score, default=None)


def _changed(square: Region, right: float, down: float, scale: float, turn: float) -> Region:
    side = square.width
    return Region(square.x + right * side, square.y + down * side, side * scale, side * scale, square.angle + turn)
