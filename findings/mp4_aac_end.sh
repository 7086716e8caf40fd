#!/usr/bin/env bash
# AAC in an MP4 decodes to more sound than the file says it has: FFmpeg takes off the encoder's delay at the beginning,
# and leaves what fills up the last packet at the end.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2). Seen: 2026-11-28. Output:
#   guess: a track of 2.000 s gives 2.000 s of samples, for its delay and its end are both in the file
#   seen: .m4a, aac: says 2.0000 s, gives 2.0201 s
#   seen: .mp3, libmp3lame: says 2.0000 s, gives 2.0000 s
#   seen: .ogg, libopus: says 2.0065 s, gives 2.0000 s
#
# For builders: whoever lays pictures over decoded sound, or joins films end to end, gets up to 46 ms too much from each
# file made of AAC. Cut the last frame at start_time + duration of the stream. MP3 and Opus end where they should; Opus
# in Ogg says a length that counts the delay.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5
cd "$dir"

cat > run.py <<'PY'
import sys

import av
import numpy as np

SECONDS = 2.0


def write(path: str, codec: str, rate: int) -> None:
    tone = 0.3 * np.sin(np.arange(int(SECONDS * rate)) / 20)
    with av.open(path, "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode())


def read(path: str) -> tuple[float, float]:
    """Seconds that the file says its sound has, and that decoding gives."""
    with av.open(path) as file:
        stream = file.streams.audio[0]
        said = float(stream.duration * stream.time_base)
        return said, sum(frame.samples / frame.sample_rate for frame in file.decode(stream))


print(f"versions: av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print("guess: a track of 2.000 s gives 2.000 s of samples, for its delay and its end are both in the file")
given = {}
for path, codec, rate in (("a.m4a", "aac", 44_100), ("a.mp3", "libmp3lame", 44_100), ("a.ogg", "libopus", 48_000)):
    write(path, codec, rate)
    said, given[path] = read(path)
    print(f"seen: {path[1:]}, {codec}: says {said:.4f} s, gives {given[path]:.4f} s")
right = [abs(given[path] - SECONDS) < 0.0005 for path in ("a.mp3", "a.ogg")]
if not (given["a.m4a"] - SECONDS > 0.01 and all(right)):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
