"""A camera in a real PipeWire, read by GStreamer; and which camera is meant."""

from __future__ import annotations

import subprocess
import threading
import time

import numpy as np
import pytest
from private_sound import pipewire

from clients.outputs.call import camera
from clients.outputs.call.arrival import Arrival
from clients.outputs.call.camera import Camera
from clients.outputs.call.v4l2 import Card
from clients.outputs.output import Facts, OutputError, Picture

SIZE, FPS = 256, 25
RED = (81, 90, 240)  # of full saturation, in BT.601's limited range


def numbered(number: int) -> np.ndarray:
    """A red I420 picture with its number in its first and its last rows."""
    planes = np.full((SIZE * 3 // 2, SIZE), RED[0], np.uint8)
    bits = np.repeat([30 + 180 * (number >> i & 1) for i in range(16)], SIZE // 16)
    planes[:8] = planes[SIZE - 8 : SIZE] = bits
    planes[SIZE : SIZE + SIZE // 4] = RED[1]
    planes[SIZE + SIZE // 4 :] = RED[2]
    return planes


def number_in(row: np.ndarray) -> int:
    return sum(int(value > 120) << i for i, value in enumerate(row[SIZE // 32 :: SIZE // 16]))


@pytest.mark.net
def test_a_reader_gets_whole_red_pictures_in_order_a_slow_one_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipewire(monkeypatch):
        output = Camera("pipewire:A test", Arrival(with_microphone=False))
        output.start(Facts("astronaut", SIZE, 0.2))
        got: list[np.ndarray] = []
        slowest = 0.0
        reader, keeping = None, None
        for number in range(90):
            due = time.monotonic() + 1 / FPS
            began = time.monotonic()
            output.picture(Picture(1920 * number, numbered(number), due))
            slowest = max(slowest, time.monotonic() - began)
            if number == 15:  # the node is there with its first picture
                reader, keeping = _read("A test", got)
        state = output.state
        output.close()
        assert reader is not None
        assert keeping is not None
        reader.kill()
        keeping.join()
        reader.communicate()
    assert state == "'A test' in PipeWire"
    assert slowest < 0.3, "nobody waits, with a reader or without"
    numbers = [number_in(picture[4]) for picture in got]
    assert len(got) > 20
    assert numbers == [number_in(picture[SIZE - 5]) for picture in got], "no picture is torn"
    assert np.all(np.diff(numbers) > 0)
    assert np.mean(np.diff(numbers) == 1) > 0.8
    middle, quarter = SIZE // 2, SIZE // 4
    assert {(p[middle, middle], p[SIZE + 1, 1], p[SIZE + quarter + 1, 1]) for p in got} == {RED}


def _read(name: str, got: list[np.ndarray]) -> tuple[subprocess.Popen[bytes], threading.Thread]:
    source = ["pipewiresrc", f"target-object={name}", "!", "video/x-raw,format=I420"]
    reader = subprocess.Popen(
        ["gst-launch-1.0", "-q", *source, "!", "fdsink", "fd=1", "sync=false"], stdout=subprocess.PIPE
    )

    def keep() -> None:
        assert reader.stdout
        while len(data := reader.stdout.read(SIZE * SIZE * 3 // 2)) == SIZE * SIZE * 3 // 2:
            got.append(np.frombuffer(data, np.uint8).reshape(-1, SIZE))

    keeping = threading.Thread(target=keep, daemon=True)
    keeping.start()
    return reader, keeping


@pytest.mark.cpu
def test_the_first_free_device_is_meant_then_pipewire_then_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Card("/dev/video2", "Vivify", False), Card("/dev/video3", "Vivify", True)]
    monkeypatch.setattr(camera, "cards", lambda: found)
    monkeypatch.setattr(camera, "missing", lambda: None)
    assert camera.chosen("auto") == "/dev/video3"
    assert camera.chosen("/dev/video2") == "/dev/video2"
    found.pop()
    assert camera.chosen("auto") == "pipewire"
    assert camera.listed() == [("/dev/video2", "Vivify, in use"), ("pipewire", "a camera in PipeWire")]
    monkeypatch.setattr(camera, "missing", lambda: "the program gst-launch")
    with pytest.raises(OutputError, match="the program gst-launch is missing"):
        Camera("", Arrival(with_microphone=False))
    with pytest.raises(OutputError, match="but 'front' came"):
        Camera("front", Arrival(with_microphone=False)).start(Facts("astronaut", SIZE, 0.2))


@pytest.mark.cpu
def test_with_a_microphone_pictures_wait_for_the_voice() -> None:
    alone, beside = Arrival(with_microphone=False), Arrival(with_microphone=True)
    assert alone.wait_s(10.0, 0.001, 9.9) == pytest.approx(0.099)
    assert beside.wait_s(10.0, 0.001, 9.9) == pytest.approx(0.099 + beside.after_s)
