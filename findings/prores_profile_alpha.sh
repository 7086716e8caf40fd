#!/usr/bin/env bash
# FFmpeg's ProRes encoder, fed with pictures in 4:4:4 with alpha, obeys a 422 profile by halves: it drops the alpha
# without a word, and writes 4:4:4 under the tag of a 422 file.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2, prores_ks). Seen: 2026-11-28. Output:
#   guess: hq is a quality; or, it being a 422 profile, the encoder refuses yuva444p10le or writes 4:2:2
#   seen: no profile: tag ap4h (4444), pictures yuva444p12le, alpha 0 to 255
#   seen: 4444: tag ap4h (4444), pictures yuva444p12le, alpha 0 to 255
#   seen: proxy: tag apco (Proxy), pictures yuv444p10le, alpha 255 to 255
#   seen: lt: tag apcs (LT), pictures yuv444p10le, alpha 255 to 255
#   seen: standard: tag apcn (Standard), pictures yuv444p10le, alpha 255 to 255
#   seen: hq: tag apch (HQ), pictures yuv444p10le, alpha 255 to 255
#
# For builders: to hand a cut-out face to an editor, leave the profile alone, or say 4444. "The best quality" asked for
# by profile=hq costs the alpha, and the file says 422 of what is 4:4:4, which a player that believes the tag need not
# expect. Check the tag and the alpha of a written file, not only that it opens.
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
picture[..., 3] = np.linspace(0, 255, SIZE).astype(np.uint8)


def round_trip(profile: str | None) -> tuple[str, str, str, int, int]:
    """Tag and profile of the file, format and alpha of the pictures in it."""
    path = f"{profile}.mov"
    with av.open(path, "w") as film:
        stream = film.add_stream("prores_ks", rate=25, options={"profile": profile} if profile else {})
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuva444p10le"
        for n in range(2):
            frame = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format="yuva444p10le")
            frame.pts = n
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    with av.open(path) as film:
        stream = film.streams.video[0]
        tag, name = stream.codec_context.codec_tag, stream.profile
        frame = next(film.decode(stream))
        alpha = frame.to_ndarray(format="rgba")[..., 3]
        return tag, name, frame.format.name, int(alpha.min()), int(alpha.max())


print(f"versions: av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print("guess: hq is a quality; or, it being a 422 profile, the encoder refuses yuva444p10le or writes 4:2:2")
seen = {}
for profile in (None, "4444", "proxy", "lt", "standard", "hq"):
    tag, name, pixels, least, most = seen[profile] = round_trip(profile)
    print(f"seen: {profile or 'no profile'}: tag {tag} ({name}), pictures {pixels}, alpha {least} to {most}")
whole = all(seen[p][0] == "ap4h" and seen[p][2].startswith("yuva444") and seen[p][3] < 10 for p in (None, "4444"))
tags = {"proxy": "apco", "lt": "apcs", "standard": "apcn", "hq": "apch"}
halves = all(seen[p][0] == tag and seen[p][2] == "yuv444p10le" and seen[p][3] == 255 for p, tag in tags.items())
if not (whole and halves):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
