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
# RTP, SRTP, messages, pictures on their way, the event loop and all that busy caches cost, for each session's picture,
# in times of what its 40 ms of a voice take: 3.5 ms live (benchmarks/load.jsonl, one and two sessions, at 256 and 512
# pixels alike) against 0.35. Half of it is the event loop's own.
TRANSPORT, IN_LOOP = 10.0, 0.5
MOST = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """Processor time of one step, milliseconds: of the networks for all sessions, of the rest for each."""

    networks_ms: float
    picture_ms: float
    encode_ms: float
    voice_ms: float
    cores: int

    @property
    def transport_ms(self) -> float:
        return TRANSPORT * self.voice_ms

    @property
    def slots(self) -> int:
        """Sessions: as many as all cores carry, as steps draw in time, as one event loop sends. 1 at least."""
        room = FILLED * 1000 / FRAMES_PER_SECOND
        shared = self.networks_ms / min(self.cores, ROWS)  # as many sessions as there are cores step together
        cores = room * self.cores / (shared + self.picture_ms + self.encode_ms + self.transport_ms)
        engine = room * self.cores / (self.networks_ms + self.picture_ms)
        return max(1, min(MOST, int(min(cores, engine, room / (IN_LOOP * self.transport_ms)))))

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
    encoding = _encoding([one for one in pictures if one is not None])
    return Measured(shared, max(spent - shared, 0.1) / ROWS, encoding, _voicing(), usable_cores())


def _encoding(pictures: list[np.ndarray]) -> float:
    """Milliseconds of a picture, I420 [H * 3 // 2, W]."""
    from webrtc.rtc.sending.picture_encoders import PictureEncoder

    encoder, began = PictureEncoder(), 0.0
    for number, picture in enumerate(pictures):
        if number == WARM_UP:
            began = time.process_time()
        frame = VideoFrame.from_numpy_buffer(picture, format="yuv420p")
        frame.pts, frame.time_base = number * 3600, Fraction(1, 90_000)
        encoder.encode(frame)
    return 1000 * (time.process_time() - began) / max(len(pictures) - WARM_UP, 1)


def _voicing() -> float:
    """Milliseconds for as much of a voice as a picture lasts: decoded, put in line, taken out, encoded."""
    from engine.audio.sound_files import read_speech
    from engine.paths import assets
    from webrtc.media.packet_order import VoicePacket
    from webrtc.media.voice_line import PIECE, VOICE_RATE, VoiceLine
    from webrtc.media.voice_stream import VoiceStream
    from webrtc.rtc.sending.sound_encoder import VoiceEncoder
    from webrtc.rtc.tracks import sound_frame

    speech = np.round(32767 * read_speech(assets() / "speech.wav", VOICE_RATE)).astype(np.int16)
    frames = [sound_frame(speech[at : at + PIECE], at) for at in range(VOICE_RATE, 3 * VOICE_RATE, PIECE)]
    spoken = [payload for encoder in [VoiceEncoder()] for frame in frames for payload in encoder.encode(frame)[0]]
    stream, line, encoder, began = VoiceStream(), VoiceLine(), VoiceEncoder(), time.process_time()
    for number, payload in enumerate(spoken):
        for piece in stream.push(VoicePacket(1, number, number * PIECE, "opus", VOICE_RATE, payload), 0.0):
            line.take_in(piece)
        line.chunks(whole=True)
        encoder.encode(sound_frame(line.take(PIECE), number * PIECE))
    return 1000 * (time.process_time() - began) / len(spoken) * VOICE_RATE / PIECE / FRAMES_PER_SECOND


if __name__ == "__main__":
    print(json.dumps(asdict(_time(EngineConfig(**json.loads(sys.argv[1]), max_sessions=ROWS)))))
