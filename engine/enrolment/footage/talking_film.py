"""A talking film as the engine's clock sees it: 25 sets of face landmarks a second beside 16 kHz sound.

The face tracker looks at every picture; the landmarks are then read off at the middles of the engine's frames, so
films of any rate, and files whose sound starts before or after the picture, end up on one clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import av
import numpy as np

from engine.audio.sound_files import LONGEST_FILE_S, SoundFile
from engine.contracts import FRAMES_PER_SECOND, SAMPLE_RATE, SAMPLES_PER_FRAME, ByteArray, FloatArray
from engine.enrolment.landmarks import FaceMesh
from engine.enrolment.photos.film_reel import Reel, as_rgb, decoded
from engine.enrolment.trackers.face_likeness import NUMBERS, likeness
from engine.errors import VivifyError
from engine.face.measures import head_angles
from engine.face.morphable_model import face_model
from engine.face.topology import LANDMARKS

LOOK_AT = 960  # pixels of the longer side: the landmark network sees 192 pixels of face in any case
_AHEAD = 3  # pictures
_KEPT = 500  # pictures from one time that what was found is kept to the next
_LONGEST_STEP = 0.5  # seconds between two pictures, beyond which nothing is known of the face between them
_THUMBNAIL = 48  # pixels: what cuts are found on
_GLIMPSE_S = 0.5  # from one look at who is shown to the next
_FACING = 25.0  # degrees of turn and nod, beyond which people look less like themselves
_BRIDGE = 3  # frames without a face that are still believed to be one shot
_CUT_LEAST, _CUT_TIMES = 4.0, 5.0  # grey levels, and times the change usual around it
_Picture = TypeVar("_Picture")


def _nobody() -> FloatArray:
    return np.zeros((0, NUMBERS), np.float32)


@dataclass(frozen=True)
class Film:
    """What was seen and heard, on one clock. Frame k shows samples [640 k, 640 (k + 1))."""

    landmarks: FloatArray  # [T, 478, 3] pixels of the picture looked at, x right, y down, z away; NaN where no face
    cut: np.ndarray  # [T] bool, the camera or the take changes before this frame
    samples: FloatArray  # [640 T]
    begin_s: float = 0.0  # of frame 0, on the file's clock
    looked_at: tuple[int, int] = (0, 0)  # height and width of the picture that was looked at
    likeness: FloatArray = field(default_factory=_nobody)  # [M, 128] of the face at some moments
    alike_at: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # [M] frames of theirs, ascending
    reel: Reel | None = field(default=None, compare=False)  # its pictures

    def shots(self, least_s: float) -> list[slice]:
        """Runs of frames, at least ``least_s`` seconds long, without a cut and with a face in all."""
        seen = ~np.isnan(self.landmarks[:, 0, 0])
        begins = seen & (self.cut | ~np.r_[False, seen[:-1]])
        ends = seen & np.r_[self.cut[1:] | ~seen[1:], True]
        pairs = zip(np.flatnonzero(begins).tolist(), np.flatnonzero(ends).tolist(), strict=True)
        return [slice(a, b + 1) for a, b in pairs if b + 1 - a >= least_s * FRAMES_PER_SECOND]


def watch(
    path: Path,
    quarter: int = 0,
    silent: bool = False,
    longest_s: float = np.inf,
    told: Callable[[float], None] = lambda seconds: None,
    known: Tracked | None = None,
    keep: Callable[[Tracked], None] = lambda tracked: None,
) -> Film:
    """Track the face of a film. Raises VivifyError when it cannot be read, or lacks pictures or sound.

    ``quarter`` turns to the left set its pictures upright; ``silent`` films will do; ``longest_s`` seconds are looked
    at. ``told`` hears how far it is; ``keep`` gets what was found every so often and at the end, and what an earlier
    attempt kept comes back as ``known``.
    """
    try:
        tracked = _look(path, quarter, longest_s, told, known, keep)
        begin, samples = _listen(path, longest_s)
    except (av.FFmpegError, OSError) as error:
        reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise VivifyError(
            f"'{path}' was expected to be a film, but cannot be read ({reason}): export it anew."
        ) from error
    times, step = tracked.times, 0.0
    if len(times) < 2:
        raise VivifyError(f"'{path}' was expected to be a film, but holds {len(times)} pictures: choose another file.")
    step = float(np.median(np.diff(times)))
    if not len(samples):
        if not silent:
            raise VivifyError(
                f"'{path}' was expected to have sound, but has none: choose a film in which someone talks."
            )
        begin, samples = times[0], np.zeros(int((times[-1] + step - times[0]) * SAMPLE_RATE), np.float32)
    origin = max(times[0], begin)
    end = min(times[-1] + step, begin + len(samples) / SAMPLE_RATE)
    frames = max(int((end - origin) * FRAMES_PER_SECOND + 1e-6), 0)
    wanted = origin + (np.arange(frames) + 0.5) / FRAMES_PER_SECOND
    shown = times + 0.5 * step  # a picture stands for the middle of the time it is shown
    samples = samples[round((origin - begin) * SAMPLE_RATE) :]
    samples = np.pad(samples, (0, SAMPLES_PER_FRAME))[: frames * SAMPLES_PER_FRAME]
    landmarks, cuts = _read_off(tracked.landmarks, shown, wanted), _cuts(tracked.change, shown, wanted)
    at = np.searchsorted(wanted, shown[tracked.alike_at] - 1e-6)
    inside = at < len(wanted)
    looked_at = int(tracked.size[0]), int(tracked.size[1])
    return Film(landmarks, cuts, samples, float(origin), looked_at, tracked.likeness[inside], at[inside], Reel(path))


@dataclass(frozen=True)
class Tracked:
    """The pictures of a film as the tracker saw them. N pictures."""

    times: np.ndarray  # [N] seconds of the file's clock
    landmarks: np.ndarray  # [N, 478, 3], NaN without a face
    change: np.ndarray  # [N] grey levels against the picture before
    size: np.ndarray  # [2] height and width of what was looked at
    likeness: FloatArray = field(default_factory=_nobody)  # [M, 128] of the faces in some of them
    alike_at: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # [M] which ones


def _look(
    path: Path,
    quarter: int,
    longest_s: float,
    told: Callable[[float], None],
    known: Tracked | None,
    keep: Callable[[Tracked], None],
) -> Tracked:
    times: list[float] = [] if known is None else known.times.tolist()
    found = [] if known is None else list(known.landmarks)
    change: list[float] = [] if known is None else known.change.tolist()
    who = [] if known is None else list(known.likeness)
    at: list[int] = [] if known is None else known.alike_at.tolist()
    before, size, seen = None, np.zeros(2, int), len(times)

    def so_far() -> Tracked:
        n, some = len(times), sum(k < len(times) for k in at)  # broken off in the midst of a picture
        alike = np.array(who[:some], np.float32).reshape(-1, NUMBERS), np.array(at[:some], int)
        return Tracked(np.array(times), np.array(found[:n]), np.array(change[:n]), size, *alike)

    try:
        with FaceMesh(faces=1, confidence=0.5, film=True) as net:
            for k, (time, picture, thumbnail) in enumerate(_ahead(_pictures(path, quarter))):
                if k == 0:
                    first = time
                if time - first >= longest_s:
                    break
                size = np.array(picture.shape[:2])
                if k >= seen:
                    faces = net.find(picture)
                    found.append(faces[0] if faces else np.full((LANDMARKS, 3), np.nan))
                    if faces and (not at or time - times[at[-1]] >= _GLIMPSE_S) and _facing(faces[0]):
                        who.append(likeness(picture, faces[0]))
                        at.append(k)
                    change.append(0.0 if before is None else float(np.abs(thumbnail - before).mean()))
                    times.append(time)
                    if len(times) % _KEPT == 0:
                        keep(so_far())
                before = thumbnail
                told(time - first)
    finally:  # also of what is broken off
        keep(so_far())
    return so_far()


def _facing(face: FloatArray) -> bool:
    return bool(np.abs(head_angles(face, face_model())[:2]).max() < _FACING)


def _pictures(path: Path, quarter: int = 0) -> Iterator[tuple[float, ByteArray, np.ndarray]]:
    """Each picture's time, itself as it is looked at, and its thumbnail."""
    for frame, turn in decoded(path):
        shrink = min(1.0, LOOK_AT / max(frame.width, frame.height))
        width, height = (2 * int(0.5 * shrink * side) for side in (frame.width, frame.height))
        picture = np.asarray(as_rgb(frame, width, height), np.uint8)
        thumbnail = frame.to_ndarray(format="gray", width=_THUMBNAIL, height=_THUMBNAIL).astype(float)
        yield float(frame.time or 0.0), np.ascontiguousarray(np.rot90(picture, turn + quarter)), thumbnail


def _ahead(pictures: Iterator[_Picture]) -> Iterator[_Picture]:
    """``pictures``, the next few of them made in a thread while one is looked at."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, pictures, None) for _ in range(_AHEAD))
        while (picture := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, pictures, None))
            yield picture


def _listen(path: Path, longest_s: float) -> tuple[float, FloatArray]:
    """When the sound begins, in seconds of the file's clock, and the voice [n] at 16 kHz; [0] without any."""
    try:
        sound = SoundFile(path, min(longest_s, LONGEST_FILE_S), beginning=True)
    except VivifyError:  # no track, or none that can be read: the pictures may be worth it
        return 0.0, np.zeros(0, np.float32)
    most, pieces, count = longest_s * SAMPLE_RATE, [np.zeros(0, np.float32)], 0
    for piece in sound.voice():
        pieces.append(piece)
        count += len(piece)
        if count >= most:
            break
    return sound.zero, np.concatenate(pieces)[: int(min(count, most))] * np.float32(sound.gain)


def _read_off(landmarks: np.ndarray, shown: np.ndarray, wanted: np.ndarray) -> FloatArray:
    """Landmarks at the wanted times, between the two pictures around each; NaN where one shows no face, or is far."""
    right = np.clip(np.searchsorted(shown, wanted - 1e-6), 1, len(shown) - 1)
    share = np.clip((wanted - shown[right - 1]) / (shown[right] - shown[right - 1]), 0, 1)[:, None, None]
    before, after = landmarks[right - 1], landmarks[right]
    between = np.where(share > 0.999, after, np.where(share < 0.001, before, before * (1 - share) + after * share))
    far = (shown[right] - shown[right - 1] > _LONGEST_STEP)[:, None, None] & (share > 0.001) & (share < 0.999)
    between = np.where(far, np.nan, between)
    return _bridge(between.astype(np.float32))


def _bridge(landmarks: FloatArray) -> FloatArray:
    """Faces lost for a moment are put between those before and after."""
    seen = np.flatnonzero(~np.isnan(landmarks[:, 0, 0]))
    for a, b in pairwise(seen):
        if 1 < b - a <= 1 + _BRIDGE:
            share = (np.arange(1, b - a) / (b - a))[:, None, None]
            landmarks[a + 1 : b] = landmarks[a] * (1 - share) + landmarks[b] * share
    return landmarks


def _cuts(change: np.ndarray, shown: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Frames before which the picture changes far more than it usually does around there."""
    reach = 12
    padded = np.pad(change, reach, mode="reflect") if len(change) > reach else np.pad(change, reach)
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    where = np.flatnonzero((change > _CUT_LEAST) & (change > _CUT_TIMES * usual))
    marks = np.zeros(len(wanted), bool)
    marks[np.clip(np.searchsorted(wanted, shown[where] - 1e-6), 0, len(wanted) - 1)] = True
    marks[0] = False
    return marks
