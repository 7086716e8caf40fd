"""A film of a painting that talks, blinks and turns its head: as browsers record it, and for their fake camera."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from engine.audio.sound_files import read_speech
from engine.contracts import ByteArray, Motion
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.render.renderer import Renderer

SIDE, RATE = 256, 25


def acted(seconds: float) -> list[ByteArray]:
    """Its pictures."""
    renderer = Renderer(Avatar.load(assets() / "avatars" / "lady_in_black"), SIDE)
    return [renderer.render(_moved(k / RATE)).copy() for k in range(round(RATE * seconds))]


def _moved(t: float) -> Motion:
    beta = np.zeros(52, np.float32)
    beta[INDEX["jawOpen"]] = 0.5 * max(np.sin(5 * t), 0)
    beta[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = max(0.0, 1 - abs((t % 1.2) - 0.6) / 0.12)
    return Motion(0, beta, rotation_matrix(0.06 * np.sin(1.7 * t), 0.04 * np.sin(1.1 * t), 0), np.zeros(3, np.float32))


def recorded(path: Path, seconds: float) -> Path:
    """As MediaRecorder leaves it: WebM of VP8 and Opus at 48 kHz, written as it came, so without a length."""
    voice = read_speech(assets() / "speech.wav", 48_000)[: round(48_000 * seconds)]
    with av.open(str(path), "w", format="webm", options={"live": "1"}) as file:
        pictures = file.add_stream("libvpx", rate=RATE, options={"deadline": "realtime", "cpu-used": "8"})
        pictures.width, pictures.height, pictures.pix_fmt, pictures.bit_rate = SIDE, SIDE, "yuv420p", 1_000_000
        sound = file.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(voice[None].astype(np.float32), format="flt", layout="mono")
        frame.rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        file.mux(sound.encode(frame))
        for picture in acted(seconds):
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(pictures.encode())
        file.mux(sound.encode())
    return path


def fake_camera(path: Path, seconds: float) -> Path:
    """What chromium takes for a camera, over and over: uncompressed pictures (Y4M)."""
    with av.open(str(path), "w", format="yuv4mpegpipe") as file:
        stream = file.add_stream("rawvideo", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for picture in acted(seconds):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path
