"""A film looked at before it is tracked: which way up it is, whether it shows one person, and light enough."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from engine.audio.sound_files import TITLES
from engine.contracts import ByteArray, FloatArray
from engine.enrolment.face_search import face_height
from engine.enrolment.landmarks import RIVAL, FaceDetector, FaceMesh, find_portrait
from engine.enrolment.one_person import strangers
from engine.enrolment.photos.film_reel import as_rgb, decoded
from engine.enrolment.photos.high_range import HLG, PQ
from engine.enrolment.trackers.face_likeness import likeness
from engine.errors import TwoPeople, VivifyError
from engine.face.panels import LUMA

GLANCES = 6  # pictures that are looked at closely
SIDE = 960  # pixels of their longer side
TWO = 1 / 3  # of the glances that show two people, from which a film is refused
DARK = 22.0  # brightness of the face below which nothing of it can be learned
SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".3g2"),
    *(".wmv", ".asf", ".flv", ".ogv", ".dv", ".mxf", ".vob"),
}


def is_film(path: Path) -> bool:
    """Whether a file's name says that it is a film."""
    return path.suffix.lower() in SUFFIXES


def survey(path: Path, longest_s: float, photo: FloatArray | None = None) -> int:
    """Quarter turns to the left that set the film upright, besides those that it asks for itself.

    Raises VivifyError when it cannot be read, or shows nobody, two people, or hardly any light; TwoPeople when it
    plainly shows one whose face is not that of the ``photo`` (its likeness).
    """
    seen: list[tuple[int, float]] = []
    who: list[FloatArray] = []
    pairs = 0
    if not path.is_file():
        raise VivifyError(f"A film was expected at '{path}', but there is no such file: check the path.")
    try:
        pictures = glances(path, longest_s)
    except (av.FFmpegError, OSError) as error:
        reason = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise VivifyError(
            f"'{path}' was expected to be a film, but cannot be read ({reason}): export it anew."
        ) from error
    brightest = max((float(np.percentile(picture @ LUMA, 90)) for picture in pictures), default=0.0)
    with FaceDetector() as detector, FaceMesh() as net:
        for picture in pictures:
            try:
                quarter, faces = find_portrait(detector, net, picture)
            except VivifyError:  # from the side just now
                continue
            if faces:
                faces = sorted(faces, key=face_height, reverse=True)
                pairs += len(faces) > 1 and face_height(faces[1]) > RIVAL * face_height(faces[0])
                low, high = (f(faces[0][:, :2], 0) for f in (np.min, np.max))
                x, y = np.clip(low, 0, None).astype(int)
                upright = np.rot90(picture, quarter)
                if photo is not None:
                    who.append(likeness(upright, faces[0]))
                seen.append((quarter, float((upright[y : int(high[1]), x : int(high[0])] @ LUMA).mean())))
    if not seen:
        why = "is dark" if brightest < 2 * DARK else "shows no face that looks towards the camera"
        raise VivifyError(f"A film of one face was expected, but '{path}' {why}: film yourself again, in good light.")
    if pairs >= TWO * len(seen):
        raise VivifyError(f"'{path}' shows two faces of similar size: film one person alone, or cut the film to one.")
    if np.median([light for _, light in seen]) < DARK:
        raise VivifyError(f"The face in '{path}' is too dark to learn from: film again with more light.")
    if photo is not None and strangers(photo, who):
        raise TwoPeople
    turns = [quarter for quarter, _ in seen]
    return max(set(turns), key=turns.count)


def of_high_range(path: Path) -> bool:
    """Whether a film says that its colours are HDR, as recent telephones film."""
    with av.open(str(path), **TITLES) as container:
        return int(container.streams.video[0].codec_context.color_trc or 0) in (PQ, HLG)


def glances(path: Path, longest_s: float) -> list[ByteArray]:
    """Some pictures, far apart, upright as far as the film knows."""
    with av.open(str(path), **TITLES) as container:
        if not container.streams.video:
            raise VivifyError(f"'{path}' was expected to be a film, but has no pictures: choose another file.")
        length = seconds_of(container)
    wanted = (np.arange(GLANCES) + 0.5) / GLANCES * min(length, longest_s)
    out: list[ByteArray] = []
    first = last = None
    for frame, turn in decoded(path):
        time = float(frame.time or 0.0)
        first = time if first is None else first
        last = frame, turn
        if time - first >= wanted[len(out)]:
            out.append(_glance(*last))
            if len(out) == GLANCES:
                break
    if last and not out:  # it is far shorter than it says
        out.append(_glance(*last))
    return out


def _glance(frame: av.VideoFrame, turn: int) -> ByteArray:
    shrink = min(1.0, SIDE / max(frame.width, frame.height))
    width, height = (max(2 * int(0.5 * shrink * side), 16) for side in (frame.width, frame.height))
    return np.ascontiguousarray(np.rot90(as_rgb(frame, width, height), turn)).astype(np.uint8)


def seconds_of(container: av.container.InputContainer) -> float:
    """How long its pictures are: as it says, or, since browsers name no length of what they record, by its packets."""
    stream = container.streams.video[0]
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration) / av.time_base
    first, end = np.inf, -np.inf
    for packet in container.demux(stream):
        if packet.pts is not None and packet.time_base is not None:
            first = min(first, float(packet.pts * packet.time_base))
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return max(end - first, 0.0)
