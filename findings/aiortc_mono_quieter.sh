#!/usr/bin/env bash
# aiortc plays a track of one channel 3 dB quieter than it was handed over, and tells 3 dB too much of the loudness of one
# of two channels.
#
# Versions: aiortc 1.16.0, av 18.1.0 (FFmpeg 8.1.2). Seen: 2026-11-28. Output:
#   guess: what is heard is as loud as what was sent, and the audio level says how loud that is
#   seen: one channel: sent at -15.3 dBov, heard in each of two at -18.2
#   seen: two channels: heard at -15.2, while the audio level says -12
#
# For builders: OpusEncoder takes every frame through FFmpeg's resampler to two channels, which shares a voice out between
# them at equal power. Hand over two equal channels, or encode one yourself: an Opus packet says how many it holds, and a
# player of two gives one to both at full loudness. The level (RFC 6464), which mixers choose speakers by, is summed over
# all channels and divided by the samples of one; it is also summed one sample at a time, .1 ms for 20 ms of sound.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check aiortc==1.16.0 aioice==0.13.0 av==18.1.0 numpy==2.3.5
cd "$dir"

cat > run.py <<'PY'
import math
import sys
from fractions import Fraction
from importlib.metadata import version

import numpy as np
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import compute_audio_level_dbov
from av import AudioFrame

HUM = np.round(8000 * np.sin(2 * np.pi * 300 * np.arange(48_000) / 48_000)).astype(np.int16)


def dbov(samples) -> float:
    return 20 * math.log10(float(np.sqrt(np.mean(np.square(samples, dtype=float)))) / 32767)


def sent(channels: int) -> tuple[list[AudioFrame], float]:
    """A second's frames, and how loud the left channel is heard of its second half."""
    encoder, decoder, frames, heard = OpusEncoder(), OpusDecoder(), [], []
    for at in range(0, len(HUM), 960):
        pcm = np.repeat(HUM[at : at + 960], channels)[np.newaxis]
        frame = AudioFrame.from_ndarray(pcm, format="s16", layout="mono" if channels == 1 else "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        frames.append(frame)
        for payload in encoder.encode(frame)[0]:
            heard += [piece.to_ndarray().reshape(-1, 2)[:, 0] for piece in decoder.decode(JitterFrame(payload, at))]
    return frames, dbov(np.concatenate(heard)[24_000:])


print(f"versions: aiortc {version('aiortc')}, av {version('av')}")
print("guess: what is heard is as loud as what was sent, and the audio level says how loud that is")
loud = dbov(HUM)
(_, one), (frames, two) = sent(1), sent(2)
level = compute_audio_level_dbov(frames[25])
print(f"seen: one channel: sent at {loud:.1f} dBov, heard in each of two at {one:.1f}")
print(f"seen: two channels: heard at {two:.1f}, while the audio level says {level}")
if not (-3.6 < one - loud < -2.4 and abs(two - loud) < 0.6 and 2 < level - loud < 4):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
