"""How many sessions a node carries: steps of the real pipeline and its encoder, timed before the node starts.

The timing runs in a process of its own (``python -m webrtc.fleet.capacity``), for it loads all that an engine does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np
from av import VideoFrame

from engine.config import EngineConfig
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME
from engine.cores import usable_cores
from engine.errors import VivifyError

LIMIT_S = 120.0
WARM_UP, STEPS, ROWS = 6, 15, 2  # steps before, steps that are timed, and of how many sessions
FILLED = 0.8  # of the time between two pictures: the rest is for what nobody foresees
# RTP, SRTP, pictures on their way and the event loop, for each session, in times of the networks' step: 0.13 to 0.16
# against 0.11 of a core, at 256 and at 512 pixels (benchmarks/load.jsonl, one and two sessions). Not timed here.
TRANSPORT = 1.3
MOST = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """Processor time of one step, milliseconds: of the networks for all sessions, of the rest for each."""

    networks_ms: float
    picture_ms: float
    encode_ms: float
    cores: int

    @property
    def transport_ms(self) -> float:
        return TRANSPORT * self.networks_ms

    @property
    def slots(self) -> int:
        """Sessions: as many as all cores carry, as one step draws in time, as one event loop sends. 1 at least."""
        room = FILLED * 1000 / FRAMES_PER_SECOND
        cores = (room * self.cores - self.networks_ms) / (self.picture_ms + self.encode_ms + self.transport_ms)
        engine = self.cores * (room - self.networks_ms) / self.picture_ms
        return max(1, min(MOST, int(min(cores, engine, room / self.transport_ms))))

    def __str__(self) -> str:
        return (
            f"{self.slots} sessions: a step's networks {self.networks_ms:.1f} ms; for each session a picture "
            f"{self.picture_ms:.1f} ms, encoding {self.encode_ms:.1f} ms, sending about {self.transport_ms:.1f} ms; "
            f"{self.cores} {'core' if self.cores == 1 else 'cores'}"
        )


def measure(engine: EngineConfig) -> Measured:
    """What this process's cores do. It takes some seconds. Raises VivifyError."""
    if engine.device != "cpu":
        raise VivifyError("Sessions are counted by measuring on a CPU alone: give --max-sessions a number for a GPU.")
    if engine.method != "geometry":
        raise VivifyError("Sessions are counted for geometric pictures alone: give --max-sessions a number.")
    told = ("avatar", "size", "quality", "mover", "lips")
    given = json.dumps({name: getattr(engine, name) for name in told})
    command = [sys.executable, "-m", "webrtc.fleet.capacity", given]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise VivifyError(
            f"Measuring was expected to take {LIMIT_S:.0f} s at most: give --max-sessions a number."
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise VivifyError(f"Measuring how many sessions fit failed ({last}): give --max-sessions a number.")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _time(config: EngineConfig) -> Measured:
    from engine import avatars
    from engine.audio.sound_files import read_speech
    from engine.contracts import SAMPLE_RATE
    from engine.face.avatar import Avatar
    from engine.paths import assets
    from engine.pipeline import Pipeline, Request

    pipeline = Pipeline(config, planes=True)
    avatar = Avatar.load(avatars.resolve(config.avatar)[1])
    rows = [pipeline.join(avatar, 0, seed) for seed in range(ROWS)]
    speech = read_speech(assets() / "speech.wav", SAMPLE_RATE)[SAMPLE_RATE:]
    networks, pictures, began = [], [], 0.0
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            began = time.process_time()
        samples = speech[step * SAMPLES_PER_FRAME :][:SAMPLES_PER_FRAME]
        drawn = pipeline.step([Request(row, samples, 0.5, True) for row in rows])
        networks.append(drawn[0].features_ms + min(one.motion_ms for one in drawn))
        pictures.append(drawn[0].picture)
    spent = 1000 * (time.process_time() - began) / STEPS
    shared = float(np.median(networks[WARM_UP:]))
    return Measured(
        shared, max(spent - shared, 0.1) / ROWS, _encoding([one for one in pictures if one is not None]), usable_cores()
    )


def _encoding(pictures: list[np.ndarray]) -> float:
    """Milliseconds of a picture."""
    from webrtc.rtc.sending.picture_encoders import PictureEncoder

    encoder, began = PictureEncoder(), 0.0
    for number, picture in enumerate(pictures):
        if number == WARM_UP:
            began = time.process_time()
        frame = VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts, frame.time_base = number * 3600, Fraction(1, 90_000)
        encoder.encode(frame)
    return 1000 * (time.process_time() - began) / max(len(pictures) - WARM_UP, 1)


if __name__ == "__main__":
    print(json.dumps(asdict(_time(EngineConfig(**json.loads(sys.argv[1]), max_sessions=ROWS)))))
