#!/usr/bin/env bash
# RGB pictures encoded by PyAV become BT.601 at every size, and the film does not say so; the names that PyAV has for
# the matrix are numbers of another list, so that the obvious tag is a wrong one.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2, x264). Seen: 2026-11-28. Output:
#   guess: a film of 1080 lines is BT.709, as players take it, or it is tagged
#   seen: tags of the film (matrix, range, primaries, transfer): 2 0 2 2, where 2 and 0 are "unspecified"
#   seen: (200, 60, 40) comes back as BT.601: (200, 59, 39), as BT.709: (212, 72, 36)
#   seen: Colorspace.SMPTE170M is 5, which H.264 calls BT.470BG; SMPTE 170M is 6
#
# For builders: convert with reformat(dst_colorspace=...) and set colorspace, color_range, color_primaries and color_trc
# of stream.codec_context before the first frame, in the numbers of H.264's annex E: 1 BT.709, 6 BT.601. The members of
# av.video.reformatter.Colorspace are swscale's. Chromium takes untagged films from 720 lines on, and untagged H.264 over
# WebRTC of any size, for BT.709; so red comes out 10 of 255 too bright.
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
from av.video.reformatter import Colorspace

RED = (200, 60, 40)
SIDE = 1080

with av.open("film.mp4", "w") as film:
    stream = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "1"})
    stream.width = stream.height = SIDE
    stream.pix_fmt = "yuv420p"
    film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), RED, np.uint8), format="rgb24")))
    film.mux(stream.encode())
with av.open("film.mp4") as film:
    frame = next(film.decode(video=0))


def shown(matrix: Colorspace) -> tuple[int, ...]:
    picture = frame.reformat(format="rgb24", src_colorspace=matrix, dst_colorspace=matrix).to_ndarray()
    return tuple(int(value) for value in picture[SIDE // 2, SIDE // 2])


tags = tuple(int(t) for t in (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc))
old, new = shown(Colorspace.ITU601), shown(Colorspace.ITU709)
print(f"versions: av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print("guess: a film of 1080 lines is BT.709, as players take it, or it is tagged")
print("seen: tags of the film (matrix, range, primaries, transfer):", *tags, end=', where 2 and 0 are "unspecified"\n')
print(f"seen: {RED} comes back as BT.601: {old}, as BT.709: {new}")
print(f"seen: Colorspace.SMPTE170M is {Colorspace.SMPTE170M.value}, which H.264 calls BT.470BG; SMPTE 170M is 6")
close = max(abs(a - b) for a, b in zip(old, RED))
if not (tags == (2, 0, 2, 2) and close <= 2 and new[0] - RED[0] > 5 and Colorspace.SMPTE170M.value == 5):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
