"""The bundled sentence as a TTS service would give it; read without a demuxer, whose interfaces move with PyAV."""

from __future__ import annotations

import wave

import numpy as np
from av import AudioFrame, AudioResampler

from engine.paths import assets
from webrtc.media.voice_line import PcmArray

LEAD_IN_S = 0.3  # of silence before the words


def sentence(rate: int) -> PcmArray:
    """Mono int16 [n] at ``rate`` Hz."""
    with wave.open(str(assets() / "speech.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        own = file.getframerate()
    begin = max(int(np.argmax(np.abs(pcm.astype(int)) > 1000)) - int(LEAD_IN_S * own), 0)
    frame = AudioFrame.from_ndarray(pcm[np.newaxis, begin:].astype(np.int16), format="s16", layout="mono")
    frame.sample_rate = own
    resampler = AudioResampler(format="s16", layout="mono", rate=rate)
    made = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([piece.to_ndarray().reshape(-1).astype(np.int16) for piece in made])
