"""A camera in PipeWire, where there is no kernel module: GStreamer's `pipewiresink`, in a process of its own.

Frames go through a pipe: a frame is begun only once the one before is whole in it, and none is begun while it is full,
so none is torn and nobody waits.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

from clients.outputs.output import OutputError

if sys.platform == "linux":
    from fcntl import F_SETPIPE_SZ, fcntl

LAUNCH, INSPECT = "gst-launch-1.0", "gst-inspect-1.0"
NO_DAEMON = "a running PipeWire"
PIPE_BYTES = 1 << 20  # as much as anybody may have without being root
START_S = 1.5  # what has not failed by then, runs
AGAIN_S = 1.0
END_S = 1.0


class PipeWireCamera:
    """One camera node, for pictures of one size. It comes back when PipeWire was away."""

    path_s = 0.001  # through pipe, GStreamer and PipeWire to a reader; measured: docs/calls.md

    def __init__(self, name: str, size: int, fps: int) -> None:
        """Raises OutputError where GStreamer, its PipeWire plugin or PipeWire is missing."""
        if (lacking := missing()) is not None:
            raise OutputError(f"--camera pipewire needs {lacking}, which is not here: 'vivify doctor' names the cure.")
        self._name, self._size, self._fps = name, size, fps
        self._rest = memoryview(b"")  # of a frame that the pipe took a part of
        self._ended_at = 0.0
        self._process = self._open()
        time.sleep(START_S)
        if self._process.poll() is not None:
            raise OutputError(f"--camera pipewire did not start ({self._complaint()}): 'vivify doctor' looks into it.")

    @property
    def state(self) -> str:
        if self._process.poll() is not None:
            return "PipeWire is away, trying again"
        return f"'{self._name}' in PipeWire"

    def write(self, planes: bytes | memoryview) -> None:
        """One whole frame, I420; it is left out where the one before is still on its way."""
        if self._process.poll() is not None:
            self._again()
            return
        self._push()
        if not self._rest:
            self._rest = memoryview(planes)
            self._push()

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stderr
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stderr.close()

    def _push(self) -> None:
        assert self._process.stdin
        pipe = self._process.stdin.fileno()
        try:
            while self._rest:
                if not select.select([], [pipe], [], 0 if len(self._rest) == self._frame_bytes else 1 / self._fps)[1]:
                    return
                self._rest = self._rest[os.write(pipe, self._rest) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._rest = memoryview(b"")

    def _again(self) -> None:
        if time.monotonic() - self._ended_at > AGAIN_S:
            self._ended_at = time.monotonic()
            self.close()
            self._rest = memoryview(b"")
            self._process = self._open()

    @property
    def _frame_bytes(self) -> int:
        return self._size * self._size * 3 // 2

    def _open(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*_ends_with_us(), LAUNCH, "-q", "--no-fault", *pipeline(self._name, self._size, self._fps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is ours; it ends with its pipe
        )
        assert process.stdin
        os.set_blocking(process.stdin.fileno(), False)
        with contextlib.suppress(OSError):
            fcntl(process.stdin.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
        return process

    def _complaint(self) -> str:
        assert self._process.stderr
        os.set_blocking(self._process.stderr.fileno(), False)
        lines = (self._process.stderr.read() or b"").decode(errors="replace").splitlines()
        self.close()
        return next((line for line in lines if "ERROR" in line or "WARNING" in line), "no reason given").strip()


def pipeline(name: str, size: int, fps: int) -> list[str]:
    """From frames on standard input to a camera node."""
    plain = re.sub(r"[^\w .-]", "", name)
    quoted = plain.replace(" ", "\\ ")
    properties = f'properties,media.class=Video/Source,media.role=Camera,node.description=(string)"{quoted}"'
    raw = f"format=i420 width={size} height={size} framerate={fps}/1 colorimetry=bt601"
    return [
        *f"fdsrc fd=0 blocksize={size * size * 3 // 2} ! rawvideoparse {raw}".split(),
        *["!", "queue", "leaky=downstream", "max-size-buffers=2", "max-size-bytes=0", "max-size-time=0"],
        *["!", "clocksync", "sync=false"],  # without it, pipewiresink 0.3.65 ends itself as the first reader comes
        *["!", "pipewiresink", "mode=provide", "sync=false", "async=false", f"client-name={plain}"],
        f"stream-properties={properties}",
    ]


def _ends_with_us() -> list[str]:
    """Else it waits for its first reader for ever, its input's end or not, after we were killed."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def missing() -> str | None:
    """What of it is not on this machine."""
    for program in (LAUNCH, INSPECT):
        if shutil.which(program) is None:
            return f"the program {program}"
    for element, of in (("rawvideoparse", "GStreamer's base plugins"), ("pipewiresink", "GStreamer's PipeWire plugin")):
        if subprocess.run([INSPECT, "--exists", "--atleast-version=0.0", element], capture_output=True).returncode:
            return of
    folders = [os.environ.get("PIPEWIRE_RUNTIME_DIR"), os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.getuid()}"]
    if not any(folder and Path(folder, "pipewire-0").exists() for folder in folders):
        return NO_DAEMON
    return None
