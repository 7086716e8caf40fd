#!/usr/bin/env bash
# webrtcvad's frame length decides as much as its mode: the same steady noise is speech in 30 ms frames and none in 10
# ms frames of the strictest mode, and loud steady noise is speech for ever, in every mode.
#
# Versions: webrtcvad-wheels 2.0.14.post1. Seen: 2026-11-28. Output:
#   guess: frame length is a matter of resolution; steady noise is learned as background after a while
#   seen: noise at -26 dBFS, 20 s: frames called speech
#     mode 2:   4 % of 10 ms, 100 % of 20 ms, 100 % of 30 ms
#     mode 3:   4 % of 10 ms,  27 % of 20 ms,  99 % of 30 ms
#   seen: noise at -20 dBFS, after 50 s, mode 3: 100 % of 10 ms, 100 % of 20 ms, 100 % of 30 ms
#   seen: a tone of 440 Hz, after 50 s, mode 3: 100 % of 10 ms, 100 % of 20 ms, 100 % of 30 ms
#
# For builders: the detector's thresholds are another table for each frame length. A choice of mode, or numbers from a
# paper, hold for one frame length only: changing the frame changes the detector. It is no use alone as the end of a
# turn beside a fan, an engine or a hum: put a noise floor of your own before it.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check webrtcvad-wheels==2.0.14.post1
cd "$dir"

cat > run.py <<'PY'
import array
import math
import random
import sys
from importlib.metadata import version

import webrtcvad

RATE = 16000


def pcm(samples) -> bytes:
    return array.array("h", (max(-32768, min(32767, round(32767 * s))) for s in samples)).tobytes()


def noise(dbfs: float, seconds: int) -> bytes:
    """White, of this root mean square."""
    chance = random.Random(1)
    return pcm(chance.gauss(0.0, 10 ** (dbfs / 20)) for _ in range(RATE * seconds))


def speech(sound: bytes, mode: int, ms: int, last_seconds: int = 60) -> float:
    """Percent of the last frames that are called speech, by a fresh detector that hears them all."""
    detector, size = webrtcvad.Vad(mode), RATE * ms // 1000 * 2
    said = [detector.is_speech(sound[i : i + size], RATE) for i in range(0, len(sound) - size + 1, size)]
    said = said[-last_seconds * 1000 // ms :]
    return 100 * sum(said) / len(said)


def row(sound: bytes, mode: int, last_seconds: int = 60) -> list[float]:
    return [speech(sound, mode, ms, last_seconds) for ms in (10, 20, 30)]


SHOWN = "%3.0f %% of 10 ms, %3.0f %% of 20 ms, %3.0f %% of 30 ms"
print(f"versions: webrtcvad-wheels {version('webrtcvad-wheels')}")
print("guess: frame length is a matter of resolution; steady noise is learned as background after a while")
middle = noise(-26, 20)
two, three = row(middle, 2), row(middle, 3)
print("seen: noise at -26 dBFS, 20 s: frames called speech")
print("  mode 2: " + SHOWN % tuple(two))
print("  mode 3: " + SHOWN % tuple(three))
loud = row(noise(-20, 60), 3, 10)
tone = row(pcm(0.3 * math.sin(2 * math.pi * 440 * n / RATE) for n in range(60 * RATE)), 3, 10)
print("seen: noise at -20 dBFS, after 50 s, mode 3: " + SHOWN % tuple(loud))
print("seen: a tone of 440 Hz, after 50 s, mode 3: " + SHOWN % tuple(tone))
if not (two[0] < 20 and two[1] > 90 and three[0] < 20 and three[2] > 90 and min(loud + tone) > 99):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python run.py
