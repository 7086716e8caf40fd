#!/usr/bin/env bash
# VP9 with an alpha channel, written to WebM, comes back opaque from FFmpeg's default decoder, and to MP4 it is written
# without its alpha and without a word.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2, libvpx). Seen: 2026-11-28. Output:
#   guess: what was encoded as yuva420p is decoded as yuva420p, and a container that cannot hold it refuses
#   seen: .webm, default decoder: yuv420p, alpha 255 to 255
#   seen: .webm, libvpx-vp9: yuva420p, alpha 1 to 254, at most 2 off
#   seen: .mp4, default decoder: yuv420p, alpha 255 to 255
#   seen: .mp4, libvpx-vp9: yuv420p, alpha 255 to 255
#
# For builders: in WebM alpha is a second VP9 picture beside each block, which the native decoder does not look at; all
# it leaves is the stream's tag alpha_mode=1. Look for this tag and choose the decoder by name. A test that reads its
# own film with the default decoder sees no alpha in a good file. In MP4 there is no place for it: refuse it yourself.
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

SIZE = 64
picture = np.full((SIZE, SIZE, 4), 128, np.uint8)
picture[..., 3] = np.linspace(0, 255, SIZE).astype(np.uint8)  # from clear on the left to opaque on the right


def write(path: str) -> None:
    with av.open(path, "w") as film:
        stream = film.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuva420p"
        for n in range(5):
            frame = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format="yuva420p")
            frame.pts = n
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


def read(path: str, decoder: str | None) -> tuple[str, np.ndarray]:
    """Pixel format and alpha of the first picture."""
    with av.open(path) as film:
        stream = film.streams.video[0]
        if decoder is None:
            frame = next(film.decode(stream))
        else:
            chosen = av.CodecContext.create(decoder, "r")
            frame = [f for packet in film.demux(stream) for f in chosen.decode(packet if packet.size else None)][0]
        return frame.format.name, frame.to_ndarray(format="rgba")[..., 3].astype(int)


print(f"versions: av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print("guess: what was encoded as yuva420p is decoded as yuva420p, and a container that cannot hold it refuses")
seen = {}
for path in ("film.webm", "film.mp4"):
    write(path)
    for decoder in (None, "libvpx-vp9"):
        name, alpha = read(path, decoder)
        off = abs(alpha - picture[..., 3]).max()
        near = f", at most {off} off" if off < 20 else ""
        print(f"seen: {path[4:]}, {decoder or 'default decoder'}: {name}, alpha {alpha.min()} to {alpha.max()}{near}")
        seen[path, decoder] = name == "yuva420p" and off < 20, name == "yuv420p" and alpha.min() == 255
kept, lost = (True, False), (False, True)
if list(seen.values()) != [lost, kept, lost, lost]:
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
