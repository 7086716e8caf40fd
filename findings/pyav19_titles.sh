#!/usr/bin/env bash
# A sound file whose title is no UTF-8 cannot be opened with PyAV 18 unless metadata_errors is given; with PyAV 19 it opens,
# the same argument is a TypeError, and the title comes with lone surrogates that cannot be encoded again.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2) and av 19.0.2 (FFmpeg 9.0.2), which needs Python 3.12. Seen: 2026-11-28. Output:
#   guess: a title in Latin-1 does not keep the sound from being read, and what cures it in one version does in the next
#   seen: av 18.1.0 (FFmpeg 8.1.2): open(path): UnicodeDecodeError
#   seen: av 18.1.0 (FFmpeg 8.1.2): open(path, metadata_errors='ignore'): title 'Caf'
#   seen: av 19.0.2 (FFmpeg 9.0.2): open(path): title 'Caf\udce9', as UTF-8: UnicodeEncodeError, by way of its bytes: 'Café'
#   seen: av 19.0.2 (FFmpeg 9.0.2): open(path, metadata_errors='ignore'): TypeError
#
# For builders: old recorders and taggers write titles in whatever their system spoke. Code for both versions chooses its
# arguments by av.__version__, and with 19 decodes what it shows by title.encode("utf-8", "surrogateescape"); or else print,
# JSON and logs fail later, far from the file. metadata_encoding is gone in 19 as well. Until Python 3.11 is left behind, one
# lock file installs 18 below Python 3.12 and 19 from there on, so a test on a single Python sees one half only.
set -euo pipefail

python=
for one in "${PYTHON:-python3}" python3.12 python3.13 python3.14; do
  if "$one" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then python=$one && break; fi
done
if [ -z "$python" ]; then echo "PyAV 19 needs Python 3.12 or later: name one by PYTHON=..." >&2 && exit 2; fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for version in 18.1.0 19.0.2; do
  "$python" -m venv "$dir/$version"
  "$dir/$version/bin/pip" install --quiet --disable-pip-version-check "av==$version"
done
cd "$dir"

cat > run.py <<'PY'
import struct
import sys

import av


def piece(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def told(**wishes: str) -> str:
    try:
        with av.open("a.wav", **wishes) as file:
            title = file.metadata["title"]
    except (UnicodeError, TypeError) as error:
        return type(error).__name__
    try:
        title.encode()
    except UnicodeEncodeError as error:
        real = title.encode("utf-8", "surrogateescape").decode("latin-1")
        return f"title {title!a}, as UTF-8: {type(error).__name__}, by way of its bytes: {real!r}"
    return f"title {title!a}"


form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
title = b"INFO" + piece(b"INAM", "Café\0".encode("latin-1"))
with open("a.wav", "wb") as file:
    file.write(piece(b"RIFF", b"WAVE" + piece(b"fmt ", form) + piece(b"LIST", title) + piece(b"data", bytes(3200))))
version = f"av {av.__version__} (FFmpeg {av.ffmpeg_version_info})"
seen = told(), told(metadata_errors="ignore")
print(f"seen: {version}: open(path): {seen[0]}")
print(f"seen: {version}: open(path, metadata_errors='ignore'): {seen[1]}")
surrogate = r"title 'Caf\udce9', as UTF-8: UnicodeEncodeError, by way of its bytes: 'Café'"
expected = {"18": ("UnicodeDecodeError", "title 'Caf'"), "19": (surrogate, "TypeError")}
if seen != expected[av.__version__.partition(".")[0]]:
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
PY
echo "guess: a title in Latin-1 does not keep the sound from being read, and what cures it in one version does in the next"
PYTHONUTF8=1 18.1.0/bin/python run.py
PYTHONUTF8=1 19.0.2/bin/python run.py
echo "as seen on 2026-11-28"
