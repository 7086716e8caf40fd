"""The sequence of ioctls byte for byte as linux/videodev2.h has it, over a file that answers as v4l2loopback does."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clients.outputs.call import v4l2
from clients.outputs.call.v4l2 import Card, LoopbackDevice, cards
from clients.outputs.output import OutputError

pytestmark = [pytest.mark.cpu, pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")]

SIZE = 512  # and what a C compiler computes for 64 bits:
QUERYCAP, S_FMT, S_PARM, STREAMON = (
    0x80685600,
    0xC0D05605,
    0xC0CC5616,
    0x40045612,
)
FORMAT = struct.pack("<I4x8I168x", 2, 512, 512, 0x32315559, 1, 512, 393216, 1, 0)
PARM = struct.pack("<5I184x", 2, 0, 0, 1, 25)
Answer = Callable[[int, bytearray], None]


def loopback(driver: bytes = b"v4l2 loopback", can: int = 0x8520_0002, height: int | None = None) -> Answer:
    """Answers as the driver does: capabilities, and the format it settles on."""

    def answer(request: int, data: bytearray) -> None:
        if request == QUERYCAP:
            data[:] = struct.pack("<16s32s32s6I", driver, b"Vivify", b"platform:v4l2loopback-000", 12, can, 0, 0, 0, 0)
            struct.pack_into("<I", data, 88, can & 0x7FFF_FFFF)
        if request == S_FMT and height is not None:
            struct.pack_into("<I", data, 12, height)

    return answer


class Kernel:
    """Stands where the kernel does: keeps what was asked, and answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
        self.asked: list[tuple[int, bytes]] = []
        self._answer = answer
        monkeypatch.setattr(v4l2, "ioctl", self._ioctl)

    def _ioctl(self, file: int, request: int, data: bytearray) -> int:
        self.asked.append((request, bytes(data)))
        self._answer(request, data)
        return 0


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "video7"
    path.touch()
    return path


def test_a_format_and_a_pace_are_set_and_then_only_whole_pictures_are_written(
    monkeypatch: pytest.MonkeyPatch, node: Path
) -> None:
    kernel = Kernel(monkeypatch, loopback())
    device = LoopbackDevice(str(node), SIZE, 25)
    assert kernel.asked == [(QUERYCAP, bytes(104)), (S_FMT, FORMAT), (S_PARM, PARM), (STREAMON, b"\2\0\0\0")]
    pictures = [np.full((SIZE * 3 // 2, SIZE), n, np.uint8) for n in range(3)]
    for picture in pictures:
        device.write(picture.reshape(-1).data)
    device.close()
    assert node.read_bytes() == b"".join(picture.tobytes() for picture in pictures)


def test_the_layouts_are_those_of_this_machines_own_header(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("no C compiler, or no linux/videodev2.h")
    source = tmp_path / "layout.c"
    source.write_text(
        """
        #include <linux/videodev2.h>
        #include <stdio.h>
        int main(void) {
            struct v4l2_format f = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
            f.fmt.pix = (struct v4l2_pix_format){512, 512, V4L2_PIX_FMT_YUV420, V4L2_FIELD_NONE, 512, 393216,
                                                 V4L2_COLORSPACE_SMPTE170M};
            struct v4l2_streamparm p = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
            p.parm.output.timeperframe = (struct v4l2_fract){1, 25};
            unsigned requests[] = {VIDIOC_QUERYCAP, VIDIOC_S_FMT, VIDIOC_S_PARM, VIDIOC_STREAMON};
            fwrite(requests, sizeof requests, 1, stdout);
            fwrite(&f, sizeof f, 1, stdout);
            fwrite(&p, sizeof p, 1, stdout);
        }
        """
    )
    subprocess.run([compiler, "-o", tmp_path / "layout", source], check=True, timeout=60)
    said = subprocess.run([tmp_path / "layout"], capture_output=True, check=True, timeout=10).stdout
    assert said[:16] == struct.pack("=4I", v4l2.QUERYCAP, v4l2.S_FMT, v4l2.S_PARM, v4l2.STREAMON)
    if struct.calcsize("P") == 8:
        assert said[16:] == FORMAT + PARM


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (loopback(driver=b"uvcvideo"), "another camera"),
        (loopback(can=0x8520_0001), "in use by another program"),
        (loopback(height=480), "expected to take 512 x 512 I420, but wants 512 x 480 'YU12'"),
    ],
)
def test_a_device_that_is_not_ours_to_write_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, node: Path, answer: Answer, said: str
) -> None:
    Kernel(monkeypatch, answer)
    with pytest.raises(OutputError, match=said):
        LoopbackDevice(str(node), SIZE, 25)


@pytest.mark.parametrize(
    ("path", "said"), [("/dev/video99", "is not there"), ("/dev/null", "to be a virtual camera, but is none")]
)
def test_what_is_no_camera_at_all_is_refused_too(path: str, said: str) -> None:
    with pytest.raises(OutputError, match=said):
        LoopbackDevice(path, SIZE, 25)


def test_cameras_are_listed_by_number_with_whether_they_are_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = [tmp_path / f"video{n}" for n in (10, 2)]
    for path in paths:
        path.touch()
    Kernel(monkeypatch, loopback())
    assert cards(paths) == [Card(str(path), "Vivify", True) for path in reversed(paths)]
    Kernel(monkeypatch, loopback(driver=b"uvcvideo"))
    assert cards(paths) == []
