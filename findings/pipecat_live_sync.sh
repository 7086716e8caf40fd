#!/usr/bin/env bash
# Pipecat's output transport never shows a picture that is marked sync_with_audio when it is told that its video is live
# (video_out_is_live): each setting is made for an avatar's pictures, both together show none.
#
# Versions: pipecat-ai 1.14.0. Seen: 2026-11-28. Output, for 25 pictures in a second:
#   guess: live pictures that keep step with the sound are shown when their sound has been sent
#   seen: video_out_is_live=False, sync_with_audio=False: 25 different pictures shown
#   seen: video_out_is_live=False, sync_with_audio=True: 25 different pictures shown
#   seen: video_out_is_live=True, sync_with_audio=False: 25 different pictures shown
#   seen: video_out_is_live=True, sync_with_audio=True: 0 different pictures shown
#
# For builders: a picture in step goes through the queue of the sound and becomes the picture that is repeated; the task
# that shows live pictures looks at another queue. Nothing is logged. Leave video_out_is_live off for pictures in step;
# then the last one is repeated for as long as none comes, also after an interruption: keep pictures coming.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check pipecat-ai==1.14.0
cd "$dir"

cat > run.py <<'PY'
import asyncio
import itertools
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
from loguru import logger

logger.remove()
from pipecat.frames.frames import EndFrame, OutputImageRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner


class Transport(BaseOutputTransport):
    """Shows pictures to a set."""

    def __init__(self, live: bool) -> None:
        super().__init__(
            TransportParams(
                audio_out_enabled=True, video_out_enabled=True, video_out_is_live=live,
                video_out_width=8, video_out_height=8, video_out_framerate=60, audio_out_end_silence_secs=0,
            )
        )  # fmt: skip
        self.shown: set[bytes] = set()

    async def start(self, frame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_video_frame(self, frame) -> bool:
        self.shown.add(frame.image)
        return True


async def show(live: bool, sync: bool) -> int:
    transport = Transport(live)
    worker = PipelineWorker(Pipeline([transport]), cancel_on_idle_timeout=False, enable_rtvi=False)
    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await asyncio.sleep(0.5)
    for number in range(25):
        frame = OutputImageRawFrame(bytes([number]) * 192, (8, 8), "RGB")
        frame.sync_with_audio = sync
        await worker.queue_frame(frame)
        await asyncio.sleep(0.04)
    await asyncio.sleep(0.3)
    await worker.queue_frame(EndFrame())
    await running
    print(f"seen: video_out_is_live={live}, sync_with_audio={sync}: {len(transport.shown)} different pictures shown")
    return len(transport.shown)


async def main() -> bool:
    counts = [await show(live, sync) for live, sync in itertools.product((False, True), repeat=2)]
    return min(counts[:3]) >= 20 and counts[3] == 0


print(f"versions: pipecat-ai {version('pipecat-ai')}")
print("guess: live pictures that keep step with the sound are shown when their sound has been sent")
if not asyncio.run(main()):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
