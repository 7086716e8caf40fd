#!/usr/bin/env bash
# PyAV's av.open(url, "w") connects to nobody: the first mux() does, holds Python's lock until the peer has answered,
# so that every thread of the process stands still, and a later mux() tries all over again.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2). Seen: 2026-11-28. Output, with a peer that takes a connection and hangs up after
# 2 s:
#   guess: opening connects, other threads go on, one failure ends it
#   seen: open to read: took 2.0 s, other threads stood still for 0.0 s, 1 connections, ConnectionResetError
#   seen: open to write: took 0.0 s, other threads stood still for 0.0 s, 0 connections, no error
#   seen: first mux: took 2.0 s, other threads stood still for 2.0 s, 1 connections, ConnectionResetError
#   seen: second mux: took 2.0 s, other threads stood still for 2.0 s, 1 connections, ConnectionResetError
#   seen: first mux to a protocol that the wheel lacks: a LookupError, not an OSError
#
# For builders: a server that streams out (RTMP, WHIP) must do it in a process of its own, or one slow peer stops the
# voice of every session; a thread does not help. "Opened" is no proof of a connection: call start_encoding() at once
# to learn of it. Throw the container away after an error. Catch av.error.FFmpegError rather than OSError.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
cd "$dir"

cat > peer.py <<'PY'
"""Takes one connection after the other, keeps each for two seconds, says nothing; notes them in a file."""
import socket
import time

server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    with open("connections", "a") as notes:
        notes.write("1")
    time.sleep(2)
    connection.close()
PY

cat > run.py <<'PY'
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import av

peer = subprocess.Popen([sys.executable, "peer.py"], stdout=subprocess.PIPE, text=True)
url = f"rtmp://127.0.0.1:{int(peer.stdout.readline())}/live/name"
pauses: list[float] = []


def tick() -> None:
    last = time.monotonic()
    while True:
        time.sleep(0.005)
        now = time.monotonic()
        pauses.append(now - last)
        last = now


def connections() -> int:
    return os.path.getsize("connections") if os.path.exists("connections") else 0


def watch(name: str, act: Callable[[], object]) -> tuple[float, float, int, str]:
    time.sleep(0.1)
    pauses.clear()
    before, start, error = connections(), time.monotonic(), "no error"
    try:
        act()
    except av.error.FFmpegError as caught:
        error = type(caught).__name__
    took = time.monotonic() - start
    time.sleep(0.1)
    seen = took, max(pauses), connections() - before, error
    print(f"seen: {name}: took %.1f s, other threads stood still for %.1f s, %d connections, %s" % seen)
    return seen


def packets_for(container: av.container.OutputContainer) -> list[av.Packet]:
    stream = container.add_stream("libx264", rate=25, options={"tune": "zerolatency"})
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    made = []
    for n in range(2):
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.pts = n
        made += stream.encode(frame)
    return made


threading.Thread(target=tick, daemon=True).start()
av.logging.set_level(av.logging.PANIC)
outputs: list[av.container.OutputContainer] = []
print(f"versions: av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print("guess: opening connects, other threads go on, one failure ends it")
try:
    read = watch("open to read", lambda: av.open(url))
    opened = watch("open to write", lambda: outputs.append(av.open(url, "w", format="flv")))
    packets = packets_for(outputs[0])
    first = watch("first mux", lambda: outputs[0].mux(packets[0]))
    second = watch("second mux", lambda: outputs[0].mux(packets[1]))
finally:
    peer.kill()

lacking = av.open("srt://127.0.0.1:9", "w", format="mpegts")
try:
    lacking.mux(packets_for(lacking)[0])
    kind = "no error"
except av.error.FFmpegError as error:
    kind = " and ".join(base.__name__ for base in (LookupError, OSError) if isinstance(error, base))
print(f"seen: first mux to a protocol that the wheel lacks: a {kind}, not an OSError")

holds = (
    read[0] > 1.5 and read[1] < 1 and read[2] == 1
    and opened[0] < 1 and opened[2:] == (0, "no error")
    and all(m[0] > 1.5 and m[1] > 1.5 and m[2:] == (1, "ConnectionResetError") for m in (first, second))
    and kind == "LookupError"
)  # fmt: skip
if not holds:
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
