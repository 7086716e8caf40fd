"""Messages between a server and its engine process: a JSON header and raw bytes, over a pair of pipes. No pickle."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from typing import IO, Any

import numpy as np

from engine.contracts import Motion
from engine.face.blendshapes import NAMES

_SIZES = struct.Struct("<II")  # length of the JSON header, length of the payload
MAX_HEADER = 1 << 16
MAX_PAYLOAD = 1 << 24


class Wire:
    """One direction each way. `send` may be called from any thread; `receive` from one."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes]) -> None:
        self._reader = reader
        self._writer = writer
        self._sending = threading.Lock()

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Raises BrokenPipeError or ValueError when the other side is gone."""
        head = json.dumps(header).encode()
        with self._sending:
            self._writer.write(_SIZES.pack(len(head), len(payload)) + head + payload)
            self._writer.flush()

    def receive(self) -> tuple[dict[str, Any], bytes] | None:
        """The next message, or None when the other side has closed."""
        sizes = self._reader.read(_SIZES.size)
        if len(sizes) < _SIZES.size:
            return None
        head_size, payload_size = _SIZES.unpack(sizes)
        if head_size > MAX_HEADER or payload_size > MAX_PAYLOAD:
            raise ValueError(
                f"{head_size} + {payload_size} bytes came, but at most {MAX_HEADER} + {MAX_PAYLOAD} are taken"
            )
        body = self._reader.read(head_size + payload_size)
        if len(body) < head_size + payload_size:
            return None
        return json.loads(body[:head_size]), body[head_size:]

    def close(self) -> None:
        with self._sending:
            for end in (self._writer, self._reader):
                with contextlib.suppress(OSError):  # the other side went first
                    end.close()


def packed(motion: Motion) -> bytes:
    """A motion as a payload: all its numbers, float32."""
    parts = (motion.blendshapes, motion.rotation, motion.translation, motion.lip_offsets)
    return np.concatenate([part.ravel() for part in parts], dtype=np.float32).tobytes()


def unpacked(position: int, payload: bytes) -> Motion:
    """The reverse of `packed`."""
    shapes, rotation, translation, lips = np.split(np.frombuffer(payload, np.float32), np.cumsum([len(NAMES), 9, 3]))
    return Motion(position, shapes, rotation.reshape(3, 3), translation, lips.reshape(-1, 3))
