"""`--live-link`: what Epic's Live Link Face app sends in its ARKit mode, for Unreal and MetaHumans; UDP.

A packet, all big-endian: version 6; device id and subject name, each with its length before it; frame, sub-frame and
frame rate as a time of day; the count 61, and 61 floats: the 52 coefficients in `engine.face.blendshapes.NAMES`' order,
then yaw, pitch, roll of the head, of the left eye and of the right, in radians.
"""

from __future__ import annotations

import platform
import struct
import time
import uuid

import numpy as np

from clients.outputs.output import Facts, Movement, Output, OutputError
from clients.outputs.vtuber.datagrams import Datagrams, host_and_port
from clients.outputs.vtuber.head_frame import yaw_pitch_roll
from engine.contracts import FRAMES_PER_SECOND, FloatArray, Motion
from engine.face.blendshapes import NAMES
from engine.motion.gaze import gaze
from webrtc.media.voice_line import VOICE_RATE

PORT = 11111
VERSION = 6
VALUES = len(NAMES) + 9
LONGEST_SUBJECT = 64  # bytes
DAY = 24 * 3600 * FRAMES_PER_SECOND  # frames


class LiveLink(Output):
    """One subject of a Live Link source."""

    name = "live-link"
    wants = frozenset({Movement})

    def __init__(self, address: str, subject: str) -> None:
        """Raises OutputError for an odd address or name."""
        if not 1 <= len(subject.encode()) <= LONGEST_SUBJECT:
            raise OutputError(
                f"--live-link-subject was expected to have 1 to {LONGEST_SUBJECT} bytes: '{subject:.80}'."
            )
        self._address = host_and_port(address, PORT, "--live-link")
        self._subject = subject
        self._device = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"vivify.{platform.node()}"))  # the same at every start
        self._socket: Datagrams | None = None
        self._midnight: int | None = None  # frames from midnight to the session's begin

    def start(self, facts: Facts) -> None:
        self._socket = Datagrams(*self._address, "--live-link")

    def movement(self, piece: Movement) -> None:
        assert self._socket is not None
        frame = piece.position * FRAMES_PER_SECOND // VOICE_RATE
        if self._midnight is None:
            self._midnight = _frame_of_day(time.localtime()) - frame
        self._socket.send(packet(self._device, self._subject, (self._midnight + frame) % DAY, piece.motion))

    @property
    def state(self) -> str:
        return f"'{self._subject}' {self._socket.state}" if self._socket else "starting"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def packet(device: str, subject: str, frame: int, motion: Motion) -> bytes:
    """One datagram: 306 bytes and the subject's name. ``frame`` counts from midnight."""
    head = struct.pack("!B", VERSION) + _text(device) + _text(subject)
    at = struct.pack("!ifII", frame, 0.0, FRAMES_PER_SECOND, 1)
    return head + at + struct.pack(f"!B{VALUES}f", VALUES, *values(motion))


def values(motion: Motion) -> FloatArray:
    """The 61 floats. Signs (docs/outputs.md): to the person's own right, down, towards his left shoulder."""
    eyes = [(np.radians(-left), np.radians(-up), 0.0) for left, up in gaze(motion.blendshapes)]
    angles = np.array([yaw_pitch_roll(motion.rotation), *eyes]).ravel() + 0.0  # no minus zeros
    return np.concatenate([motion.blendshapes, angles], dtype=np.float32)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!i", len(data)) + data


def _frame_of_day(now: time.struct_time) -> int:
    return (now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec) * FRAMES_PER_SECOND
