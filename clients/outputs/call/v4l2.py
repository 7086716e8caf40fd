"""Linux' virtual camera: the kernel module v4l2loopback, spoken to as linux/videodev2.h has it.

A writer sets a format once and then writes whole frames; each `write` is a frame, so none is torn. It never waits for
a reader.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clients.outputs.output import OutputError

if TYPE_CHECKING or sys.platform == "linux":
    from fcntl import ioctl

DRIVER = b"v4l2 loopback"
OUTPUT = 2  # V4L2_BUF_TYPE_VIDEO_OUTPUT, and V4L2_CAP_VIDEO_OUTPUT
CAN_SAY_BY_NODE = 0x8000_0000  # V4L2_CAP_DEVICE_CAPS: what this node can, not the whole device
I420 = int.from_bytes(b"YU12", "little")  # V4L2_PIX_FMT_YUV420
WHOLE = 1  # V4L2_FIELD_NONE: progressive
BT601 = 1  # V4L2_COLORSPACE_SMPTE170M: BT.601's matrix, limited range, as the engine draws
UNION_AT = struct.calcsize("P")  # v4l2_format's union holds pointers, and is aligned as they are

CAPABILITY = struct.Struct("=16s32s32s6I")  # driver, card, bus; version, capabilities, device_caps, 3 reserved
PIX = struct.Struct("=8I")  # width, height, pixelformat, field, bytesperline, sizeimage, colorspace, priv
FORMAT_BYTES = UNION_AT + 200
PARM = struct.Struct("=5I")  # type; capability, outputmode, numerator, denominator of a frame's seconds
PARM_BYTES = 204


def _request(direction: int, number: int, size: int) -> int:
    """asm-generic/ioctl.h's _IOC for 'V': what x86, ARM and RISC-V have."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _request(2, 0, CAPABILITY.size)
S_FMT = _request(3, 5, FORMAT_BYTES)
S_PARM = _request(3, 22, PARM_BYTES)
STREAMON = _request(1, 18, 4)


@dataclass(frozen=True, slots=True)
class Card:
    """A device of v4l2loopback's."""

    path: str
    label: str
    free: bool  # nobody writes into it: it can be an output


class LoopbackDevice:
    """One virtual camera, for pictures of one size."""

    path_s = 0.0  # a reader wakes as a frame is written

    def __init__(self, path: str, size: int, fps: int) -> None:
        """Raises OutputError where it is no camera that may be written into, in this size."""
        self.state = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            raise OutputError(_refusal(path, error)) from None
        try:
            self._agree(path, size, fps)
        except OSError as error:
            self.close()
            raise OutputError(_refusal(path, error)) from None
        except OutputError:
            self.close()
            raise

    def write(self, planes: bytes | memoryview) -> None:
        """One whole frame, I420."""
        try:
            written = os.write(self._file, planes)
        except BlockingIOError:
            return  # no buffer is free: the next frame is newer
        except OSError as error:
            raise OutputError(_refusal(self.state, error)) from None
        if written != len(planes):
            raise OutputError(f"{self.state} took {written} of a picture's {len(planes)} bytes: is it v4l2loopback?")

    def close(self) -> None:
        os.close(self._file)

    def _agree(self, path: str, size: int, fps: int) -> None:
        card = _look(self._file, path)
        if card is None:
            raise OutputError(f"{path} was expected to be v4l2loopback's, but is another camera: try --list-cameras.")
        if not card.free:
            raise OutputError(f"{path} ({card.label}) is in use by another program: end it, or choose another camera.")
        wished = (size, size, I420, WHOLE, size, size * size * 3 // 2, BT601, 0)
        data = bytearray(FORMAT_BYTES)
        struct.pack_into("=I", data, 0, OUTPUT)
        PIX.pack_into(data, UNION_AT, *wished)
        ioctl(self._file, S_FMT, data)
        got = PIX.unpack_from(data, UNION_AT)
        if got[:3] != wished[:3] or got[5] < wished[5]:  # it may be whole pages
            raise OutputError(
                f"{path} was expected to take {size} x {size} I420, but wants {got[0]} x {got[1]} "
                f"'{got[2].to_bytes(4, 'little').decode('latin-1')}': end what reads it, or set its format free "
                "(v4l2loopback-ctl set-caps, keep_format)."
            )
        data = bytearray(PARM_BYTES)
        PARM.pack_into(data, 0, OUTPUT, 0, 0, 1, fps)
        ioctl(self._file, S_PARM, data)
        # Up to 0.12 who only writes is no writer: with exclusive_caps=1, nobody could write again after him. From 0.13
        # on `write` says it all, and this is refused.
        with contextlib.suppress(OSError):
            ioctl(self._file, STREAMON, struct.pack("=I", OUTPUT))


def cards(paths: Iterable[Path] | None = None) -> list[Card]:
    """v4l2loopback's devices, by number."""
    found: list[Card] = []
    for path in sorted(Path("/dev").glob("video*") if paths is None else paths, key=lambda p: (len(p.name), p.name)):
        try:
            file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            continue  # not ours to use
        try:
            card = _look(file, str(path))
        except OSError:
            card = None
        os.close(file)
        if card is not None:
            found.append(card)
    return found


def _look(file: int, path: str) -> Card | None:
    """None for another driver's device. Raises OSError for what is no camera at all."""
    data = bytearray(CAPABILITY.size)
    ioctl(file, QUERYCAP, data)
    driver, label, _, _, capabilities, of_node, *_ = CAPABILITY.unpack(data)
    if driver.rstrip(b"\0") != DRIVER:
        return None
    can = of_node if capabilities & CAN_SAY_BY_NODE else capabilities
    return Card(path, label.rstrip(b"\0").decode(errors="replace"), bool(can & OUTPUT))


def _refusal(path: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return f"{path} was expected to be a virtual camera, but is not there: try --list-cameras."
        case errno.EACCES | errno.EPERM:
            return f"{path} may not be opened: sudo usermod -aG video $USER, and log in again."
        case errno.EBUSY:
            return f"{path} is in use in another format: end what reads or writes it, or choose another camera."
        case errno.ENOTTY | errno.EINVAL:
            return f"{path} was expected to be a virtual camera, but is none: try --list-cameras."
        case _:
            return f"{path} failed ({error.strerror}): is the module v4l2loopback still loaded?"
