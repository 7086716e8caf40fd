"""pylipsync with its defaults, run by the Python it is installed for: PYTHON pylipsync_peer.py PACKAGES JOB OUT.

A segment is shown once the sound of its window (64 ms, a third of whose last step lies behind its start) is there.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from pylipsync import PhonemeAnalyzer

RATE, FRAME_S, KNOWN_AFTER_S = 16000, 0.04, 0.0403
job = json.loads(Path(sys.argv[2]).read_text())
analyzer = PhonemeAnalyzer()


def rows(samples, found):
    """The shapes' weights at the middle of each frame."""
    out, at, shown = [], 0, dict.fromkeys(names, 0.0)
    for frame in range(int(len(samples) / RATE / FRAME_S + 1e-6)):
        while at < len(found) and found[at].start + KNOWN_AFTER_S <= (frame + 0.5) * FRAME_S + 1e-9:
            shown = {phoneme.name: float(phoneme.target) for phoneme in found[at].phonemes}
            at += 1
        out.append([shown.get(name, 0.0) for name in names])
    return out


names, values, seconds, used = [], {}, 0.0, 0.0
for recording in job["recordings"]:
    samples = np.fromfile(recording["16000"], "<i2").astype(np.float32) / 32768
    before = time.process_time()
    found = analyzer.extract_phoneme_segments(samples, RATE, return_seconds=True)
    used += time.process_time() - before
    seconds += len(samples) / RATE
    names = names or sorted(phoneme.name for phoneme in found[0].phonemes)
    values[recording["name"]] = rows(samples, found)
told = {"names": names, "values": values, "cpu_ms_per_s": 1000 * used / seconds}
Path(sys.argv[3]).write_text(json.dumps(told))
