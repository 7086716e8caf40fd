#!/usr/bin/env bash
# LiveKit's AVSynchronizer.reset(), called while a picture waits for its time, ends its pictures for good: nothing is
# raised, the sound goes on, and after some more pictures push() waits for ever.
#
# Versions: livekit 1.1.21 (Python; what livekit-agents 1.8.9 wants). Seen: 2026-11-28. Output, for 50 pictures at 25 fps:
#   guess: reset() lets the pace of pictures begin anew
#   seen: without reset(): 50 of 50 pictures taken; the pictures' task lives
#   seen: reset() between two pictures: 50 of 50 pictures taken; the pictures' task lives
#   seen: reset() while one waits: 14 of 50 pictures taken; the pictures' task died of AssertionError
#
# For builders: reset() looks like what an interruption needs, beside clear_queue(), and pictures pushed in time wait for
# the next tick almost always, so that it ends them almost always. Its only word is "Task exception was never retrieved",
# at the end of the program. clear_queue() alone is safe; a pace that has fallen behind by more than 300 ms begins anew
# by itself.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check livekit==1.1.21
cd "$dir"

cat > run.py <<'PY'
import asyncio
import sys
from importlib.metadata import version

from livekit import rtc

COUNT = 50
PICTURE = bytes(64 * 96)


async def show(reset_after: float | None) -> tuple[int, str]:
    """Push pictures at 25 a second; after the tenth, `reset` so many seconds after a push. How many were taken."""
    audio, video = rtc.AudioSource(24000, 1, queue_size_ms=100), rtc.VideoSource(64, 64)
    sync = rtc.AVSynchronizer(audio_source=audio, video_source=video, video_fps=25, video_queue_size_ms=100)
    task = sync._capture_video_task
    taken = 0
    for number in range(COUNT):
        try:
            await asyncio.wait_for(sync.push(rtc.VideoFrame(64, 64, rtc.VideoBufferType.I420, PICTURE)), 1)
        except TimeoutError:
            break
        taken += 1
        if number == 10 and reset_after is not None:
            if reset_after == 0:  # one more, which has to wait for its time
                await sync.push(rtc.VideoFrame(64, 64, rtc.VideoBufferType.I420, PICTURE))
                taken += 1
            await asyncio.sleep(reset_after)
            sync.reset()
        await asyncio.sleep(0.041)
    end = "lives" if not task.done() else f"died of {type(task.exception()).__name__}"
    await sync.aclose()
    return min(taken, COUNT), end


async def main() -> bool:
    results = []
    for name, after in (("without reset()", None), ("reset() between two pictures", 0.02), ("reset() while one waits", 0)):
        taken, end = await show(after)
        print(f"seen: {name}: {taken} of {COUNT} pictures taken; the pictures' task {end}")
        results.append((taken, end))
    return (
        results[0] == (COUNT, "lives") and results[1] == (COUNT, "lives")
        and results[2][0] < COUNT // 2 and "AssertionError" in results[2][1]
    )  # fmt: skip


print(f"versions: livekit {version('livekit')}")
print("guess: reset() lets the pace of pictures begin anew")
if not asyncio.run(main()):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
