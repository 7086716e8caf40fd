"""Pictures and sound through a pipe to a process of our own: a line of settings, then piece after piece."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO

import numpy as np

from clients.outputs.output import Picture, Sound

HEAD = struct.Struct("<cqI")  # what it is, its position, its bytes
PICTURE, SOUND = b"p", b"s"


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What the process is told at its start. The URL holds secrets: command lines are for everybody to read."""

    kind: str  # rtmp or srt
    url: str
    size: int


def write_settings(pipe: IO[bytes], settings: StreamSettings) -> None:
    pipe.write(json.dumps(asdict(settings)).encode() + b"\n")
    pipe.flush()


def read_settings(pipe: IO[bytes]) -> StreamSettings:
    return StreamSettings(**json.loads(pipe.readline()))


def write_piece(pipe: IO[bytes], piece: Picture | Sound, position: int) -> None:
    """Write one piece as standing at ``position``."""
    picture = isinstance(piece, Picture)
    data = np.ascontiguousarray(piece.planes if isinstance(piece, Picture) else piece.pcm)
    pipe.write(HEAD.pack(PICTURE if picture else SOUND, position, data.nbytes))
    pipe.write(data.data.cast("B"))
    pipe.flush()


def read_pieces(pipe: IO[bytes], size: int) -> Iterator[Picture | Sound]:
    """What was written, until the pipe ends; when each was due is not told."""
    while len(head := pipe.read(HEAD.size)) == HEAD.size:
        kind, position, length = HEAD.unpack(head)
        data = pipe.read(length)
        if len(data) < length:
            return
        if kind == PICTURE:
            yield Picture(position, np.frombuffer(data, np.uint8).reshape(-1, size), 0.0)
        else:
            yield Sound(position, np.frombuffer(data, np.int16), 0.0)
