"""`--camera`: the face as a camera that other programs can choose."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from clients.outputs.call.arrival import Arrival
from clients.outputs.call.pipewire_camera import PipeWireCamera, missing
from clients.outputs.call.v4l2 import LoopbackDevice, cards
from clients.outputs.output import Facts, Output, OutputError, Picture

AUTO, PIPEWIRE = "auto", "pipewire"
NAME = "Vivify"
LONGEST_WAIT_S = 0.5  # for a picture's time; a due time further off is a mistake
NONE = (
    "No camera was found that a face can be given to: neither a free device of v4l2loopback's, nor PipeWire's "
    "({lacking} is missing). 'vivify doctor' names the command that cures it."
)


class CameraDevice(Protocol):
    """Takes whole I420 pictures at once and never waits. ``path_s`` is from there to a reader."""

    path_s: float

    @property
    def state(self) -> str: ...

    def write(self, planes: memoryview) -> None: ...

    def close(self) -> None: ...


class Camera(Output):
    """Writes each picture when its voice is heard by whoever listens to the microphone."""

    name = "camera"
    wants = frozenset({Picture})

    def __init__(self, device: str, arrival: Arrival) -> None:
        """``device``: auto or nothing, /dev/videoN, pipewire or pipewire:NAME.

        Raises OutputError where there is none.
        """
        self._wanted = chosen(device or AUTO)
        self._arrival = arrival
        self._device: CameraDevice | None = None
        self._state = "starting"

    def start(self, facts: Facts) -> None:
        self._device = opened(self._wanted, facts)

    def picture(self, piece: Picture) -> None:
        assert self._device is not None
        wait = self._arrival.wait_s(piece.due, self._device.path_s, time.monotonic())
        if wait > 0:
            time.sleep(min(wait, LONGEST_WAIT_S))
        self._device.write(piece.planes.reshape(-1).data)

    @property
    def state(self) -> str:
        return self._device.state if self._device is not None else self._state

    @property
    def path_s(self) -> float:
        return self._arrival.after_s

    def close(self) -> None:
        if self._device is not None:
            device, self._state = self._device, self._device.state
            self._device = None
            device.close()


def chosen(device: str) -> str:
    """The device that ``auto`` means here; others as they are. Raises OutputError where there is none."""
    if device != AUTO or sys.platform != "linux":
        return device
    free = [card.path for card in cards() if card.free]
    if free:
        return free[0]
    if (lacking := missing()) is None:
        return PIPEWIRE
    raise OutputError(NONE.format(lacking=lacking))


def opened(device: str, facts: Facts) -> CameraDevice:
    """The camera, ready for pictures. Raises OutputError."""
    if sys.platform != "linux":
        from clients.outputs.call.foreign_camera import ForeignCamera

        return ForeignCamera(device, facts.size, facts.fps)
    if device == PIPEWIRE or device.startswith(f"{PIPEWIRE}:"):
        return PipeWireCamera(device.partition(":")[2] or NAME, facts.size, facts.fps)
    if not device.startswith("/dev/"):
        raise OutputError(f"--camera was expected to be auto, pipewire, or such as /dev/video2, but '{device}' came.")
    return LoopbackDevice(device, facts.size, facts.fps)


def listed() -> list[tuple[str, str]]:
    """What ``--camera`` may be, and what it is."""
    if sys.platform != "linux":
        return [(AUTO, "OBS's virtual camera, or UnityCapture, through pyvirtualcam (not tried)")]
    found = [(card.path, f"{card.label}, {'free' if card.free else 'in use'}") for card in cards()]
    lacking = missing()
    return [*found, (PIPEWIRE, "a camera in PipeWire" if lacking is None else f"not here: {lacking} is missing")]
