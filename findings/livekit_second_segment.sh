#!/usr/bin/env bash
# LiveKit's AvatarRunner reports only the first of two segments that wait for it at once; who waits for the second one's
# playback_finished waits for ever.
#
# Versions: livekit-agents 1.8.9, livekit 1.1.21. Seen: 2026-11-28, without a room. Output, for segments of 0.5 s:
#   guess: playback_finished comes once a segment, at its length
#   seen: one after the other: 0.5 s, 0.5 s
#   seen: both at once: 0.5 s
#
# For builders: whether something is being played is one flag, set when sound is read and cleared when an end comes out of
# the video generator; a segment that was read to its end meanwhile, as any generator with a delay lets it be, has set the
# flag in vain. An AgentSession waits for one segment before it sends the next; whoever writes to the output himself has
# to do so, too.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check livekit-agents==1.8.9
cd "$dir"

cat > run.py <<'PY'
import asyncio
import sys
from collections import deque
from importlib.metadata import version

from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarOptions, AvatarRunner, QueueAudioOutput, VideoGenerator

RATE, DELAY_S = 24000, 0.2
TEN_MS = rtc.AudioFrame(bytes(RATE // 100 * 2), RATE, 1, RATE // 100)


class Later(VideoGenerator):
    """A generator without pictures: everything comes back a fifth of a second later, at the pace of speech."""

    def __init__(self) -> None:
        self.waiting: deque = deque()

    async def push_audio(self, frame) -> None:
        self.waiting.append((asyncio.get_running_loop().time() + DELAY_S, frame))

    def clear_buffer(self) -> None:
        self.waiting.clear()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self.waiting or self.waiting[0][0] > asyncio.get_running_loop().time():
            await asyncio.sleep(0.005)
        _, frame = self.waiting.popleft()
        if isinstance(frame, rtc.AudioFrame):
            await asyncio.sleep(frame.duration)
        return frame


class Publication:
    async def wait_for_subscription(self) -> None: ...


class Room:
    """Connected; nobody is there."""

    @property
    def local_participant(self):
        return self

    async def publish_track(self, track, options):
        return Publication()

    def isconnected(self) -> bool:
        return True

    def on(self, *_) -> None: ...
    def off(self, *_) -> None: ...


async def say(output: QueueAudioOutput) -> None:
    for _ in range(50):
        await output.capture_frame(TEN_MS)
    output.flush()


async def scene(name: str) -> list[str]:
    output = QueueAudioOutput(sample_rate=RATE, wait_playback_start=True)
    reported: list[str] = []
    output.on("playback_finished", lambda event: reported.append(f"{event.playback_position:.1f} s"))
    runner = AvatarRunner(Room(), audio_recv=output, video_gen=Later(), options=AvatarOptions(64, 64, 25, RATE, 1))
    await runner.start()
    if name == "one after the other":
        await say(output)
        await asyncio.sleep(1.5)
    else:
        await say(output)
    await say(output)
    await asyncio.sleep(3)
    await runner.aclose()
    print(f"seen: {name}: {', '.join(reported)}")
    return reported


async def main() -> bool:
    one = await scene("one after the other")
    both = await scene("both at once")
    return one == ["0.5 s", "0.5 s"] and both == ["0.5 s"]


print(f"versions: livekit-agents {version('livekit-agents')}, livekit {version('livekit')}")
print("guess: playback_finished comes once a segment, at its length")
if not asyncio.run(main()):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
