"""`vivify render`: the live pipeline without a network, as fast as the machine allows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients.mp4 import AUDIO_RATE, Mp4Writer
from engine import avatars
from engine.audio.sound_files import read_speech
from engine.clock import frame_count, look_ahead_frames
from engine.config import DEFAULT_QUALITY, EngineConfig, Quality
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk
from engine.face.avatar import Avatar
from engine.latency import LatencyWindow
from engine.pipeline import Pipeline
from engine.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What a rendering cost. ``speed`` is seconds of video per second of work."""

    frames: int
    seconds: float
    speed: float
    stages_ms: dict[str, dict[str, float]]


def render(
    speech: Path,
    out: Path,
    avatar: str,
    look_ahead_ms: int = 80,
    size: int = 512,
    seed: int = 0,
    on_frame: Callable[[int, int], None] | None = None,
    wishes: dict[str, Any] | None = None,
    quality: Quality = DEFAULT_QUALITY,
) -> RenderReport:
    """Speak ``speech`` with ``avatar`` into the MP4 file ``out``. The same input and seed give the same pictures.

    Nobody waits for a film: "auto" never gives the networks up here. ``on_frame(done, total)`` is called for every
    picture; ``wishes`` are `Controls` to begin with. Raises VivifyError for input that cannot be used.
    """
    voice = read_speech(speech)  # [n], 16 kHz
    _, folder = avatars.resolve(avatar)
    scheduler = Scheduler(Pipeline(EngineConfig(avatar, size, 1, quality), unhurried=True))
    session = scheduler.open(Avatar.load(folder), look_ahead_ms, seed, live=False)
    scheduler.set_controls(session, wishes or {})
    total = frame_count(len(voice))
    padded = np.zeros((total + look_ahead_frames(look_ahead_ms)) * SAMPLES_PER_FRAME, np.float32)
    padded[: len(voice)] = voice
    window = LatencyWindow(total)
    began = time.perf_counter()
    with Mp4Writer(out, size) as file:
        for start in range(0, len(padded), SAMPLES_PER_FRAME):
            session.push_audio(AudioChunk(start, padded[start : start + SAMPLES_PER_FRAME]))
            scheduler.tick()
            for frame in session.frames():
                file.picture(frame.picture)
                ledger = frame.ledger
                window.add(features=ledger.features_ms, motion=ledger.motion_ms, render=ledger.render_ms)
                if on_frame:
                    on_frame(file.pictures, total)
        file.sound(read_speech(speech, AUDIO_RATE))
    spent = time.perf_counter() - began
    seconds = total * SAMPLES_PER_FRAME / 16_000
    return RenderReport(total, seconds, round(seconds / spent, 2), window.summary())


def report_json(report: RenderReport) -> str:
    """One line for machines."""
    return json.dumps(asdict(report))
