#!/usr/bin/env bash
# LiveKit's AudioSource with queue_size_ms=0 is no shortest queue but another way in: it takes frames of exactly 10 ms,
# never makes the caller wait, and still reports a queue that is not there.
#
# Versions: livekit 1.2.1 (Python). Seen: 2026-11-28, without a room. Output, for 0.6 s of sound at 48 kHz:
#   guess: with a queue of 0 ms capture_frame returns when its frame is played, so that 0.6 s of sound take 0.6 s
#   seen: 100 ms, frames of 20 ms: took 0.50 s, then 0.10 s said to be queued
#   seen: 0 ms, frames of 10 ms: took 0.01 s, then 0.59 s said to be queued
#   seen: 0 ms, frames of 20 ms: refused: direct capture requires 10ms frames
#
# For builders: the clock of an agent's voice is often nothing but this queue's waiting. Who sets it to 0 for the
# latency sends at once whatever there is, and has to keep the time. Frames of 20 ms, Opus's usual length, have to be
# cut. queued_duration (and wait_for_playout with it) is reckoned from the clock and the lengths handed in, not asked
# of the queue.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check livekit==1.2.1
cd "$dir"

cat > run.py <<'PY'
import asyncio
import sys
import time
from importlib.metadata import version

from livekit import rtc

RATE = 48000


async def feed(queue_ms: int, frame_ms: int) -> tuple[float, float, str]:
    """Seconds that 0.6 s of silence took to hand over, what is said to be queued then, and why not."""
    source = rtc.AudioSource(RATE, 1, queue_size_ms=queue_ms)
    size = RATE * frame_ms // 1000
    start, error = time.monotonic(), ""
    try:
        for _ in range(600 // frame_ms):
            await source.capture_frame(rtc.AudioFrame(bytes(2 * size), RATE, 1, size))
    except Exception as caught:  # the library raises nothing narrower
        error = str(caught).split(" - ")[-1].split(":")[0]
    took, queued = time.monotonic() - start, source.queued_duration
    await source.aclose()
    said = f"refused: {error}" if error else f"took {took:.2f} s, then {queued:.2f} s said to be queued"
    print(f"seen: {queue_ms} ms, frames of {frame_ms} ms: {said}")
    return took, queued, error


async def main() -> bool:
    waits = await feed(100, 20)
    tens = await feed(0, 10)
    twenties = await feed(0, 20)
    return (
        waits[0] > 0.4 and not waits[2]
        and tens[0] < 0.3 and tens[1] > 0.25 and not tens[2]
        and "10ms frames" in twenties[2]
    )  # fmt: skip


print(f"versions: livekit {version('livekit')}")
print("guess: with a queue of 0 ms capture_frame returns when its frame is played, so that 0.6 s of sound take 0.6 s")
if not asyncio.run(main()):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
