"""Lids of a film closed as far as its person closes them: trackers see a closed eye half open.

Blinks are short, smoothed over time, and lids' landmarks keep apart where lids meet; on films of nine people a blink
ended at .54 to .9 of one. A face painted with that would look out from under its lids, and what the film shows of
closed ones would be laid on an open eye.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX
from engine.face.lids import as_closed

BEGINS, COUNTS = 0.3, 0.4  # of a blink: from where one is under way, and how far it must go to say anything
LONG = 15  # frames: lids that stay down longer hang, or the eye looks down
FEWEST = 2  # blinks that tell how far they go
USUAL = 65.0  # percentile of blinks at which eyes are closed: lids that only sink to half count as blinks, too
LEAST = 0.6  # of what a tracker may see of closed lids: who only half closes an eye would else seem to sleep


def lids_closed(shots: Sequence[FloatArray]) -> list[FloatArray]:
    """Blendshapes of shots, each [T, 52], with eyeBlink such that this person's usual blink closes the eye."""
    out = [shot.copy() for shot in shots]
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        blinks = [shot[:, INDEX[name]] for shot in shots]
        ends = [float(blink[k].max()) for blink in blinks for k in _stretches(blink) if k.stop - k.start <= LONG]
        ends = [end for end in ends if end > COUNTS]
        if len(ends) < FEWEST:
            continue
        usual = float(np.clip(np.percentile(ends, USUAL), LEAST, 1))
        for shot, blink in zip(out, blinks, strict=True):
            closed = as_closed(blink, usual)
            for k in _stretches(blink):
                if k.stop - k.start > LONG:
                    closed[k] = blink[k]
            shot[:, INDEX[name]] = closed
    return out


def _stretches(blink: FloatArray) -> list[slice]:
    """Frames of a shot [T] in which lids are on their way or down."""
    under_way = np.concatenate([[0], blink > BEGINS, [0]]).astype(np.int8)
    begins, ends = (np.flatnonzero(np.diff(under_way) == step) for step in (1, -1))
    return [slice(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)]
