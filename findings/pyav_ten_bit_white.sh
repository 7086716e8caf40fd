#!/usr/bin/env bash
# White of a film of 10 or 12 bits comes out of PyAV as 253 of 255, and in 16 bits as 65283 of 65535; of 8 bits as 255
# and 65021.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2). Seen: 2026-11-29. Output:
#   guess: to_ndarray(format="rgb24") makes 255 of white, "rgb48le" 65535, whatever the film's depth
#   seen: yuv420p (235, 128, 128): rgb24 255, rgb48le 65021
#   seen: yuv420p10le (940, 512, 512): rgb24 253, rgb48le 65283
#   seen: yuv444p10le (940, 512, 512): rgb24 255, rgb48le 65283
#   seen: yuv420p12le (3760, 2048, 2048): rgb24 253, rgb48le 65283
#
# For builders: swscale counts a full channel of 16 bits as 255 * 256. Who takes codes of HDR films (PQ, HLG) out of
# "rgb48le" divides by 65280 and clips; divided by 65535, PQ's white of 203 cd/m² is read as 199. Films of telephones, which are
# of 10 bits, are darker by two levels in "rgb24" than the same of 8 bits; other interpolations change nothing.
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

WHITES = {
    "yuv420p": (235, 128, 128),
    "yuv420p10le": (940, 512, 512),
    "yuv444p10le": (940, 512, 512),
    "yuv420p12le": (3760, 2048, 2048),
}

print(f"versions: av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print('guess: to_ndarray(format="rgb24") makes 255 of white, "rgb48le" 65535, whatever the film\'s depth')
seen = []
for kind, levels in WHITES.items():
    frame = av.VideoFrame(64, 64, kind)
    frame.color_range = 1  # 16 to 235, as films are
    for plane, level in zip(frame.planes, levels):
        deep = np.uint8 if kind == "yuv420p" else np.uint16
        plane.update(np.full(plane.buffer_size // deep().itemsize, level, deep).tobytes())
    small, large = (int(frame.to_ndarray(format=to)[32, 32, 0]) for to in ("rgb24", "rgb48le"))
    print(f"seen: {kind} {levels}: rgb24 {small}, rgb48le {large}")
    seen.append((small, large))
if seen != [(255, 65021), (253, 65283), (255, 65283), (253, 65283)]:
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-29")
print("as seen on 2026-11-29")
PY
venv/bin/python run.py
