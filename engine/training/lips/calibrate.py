"""Give back what learning from averages takes away: one gain for each rare movement of the lips.

Where a network is unsure whether the lips round or roll in, it says the average of doing so and not, and so never goes
all the way. On development speech the gain makes the strongest tenth of what it says as strong as the teacher's.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.contracts import SAMPLES_PER_FRAME
from engine.motion.facial.articulators import ARTICULATORS, FUNNEL, PUCKER, ROLL, TONGUE
from engine.motion.facial.facial_motion import FacialMotion
from engine.training.lips.lip_dataset import Recording
from engine.training.lips.lip_evaluation import mouth_of
from engine.training.lips.teacher import articulators
from engine.training.speech.speech_recording import DOUBT

RARE = (PUCKER, FUNNEL, ROLL, TONGUE)
LIMIT = 1.8
LOOK_AHEAD = 2
_STRONG = 95  # percentile


def gains(model: FacialMotion, recordings: list[Recording]) -> torch.Tensor:
    """Gains [9] for ``model``, whose own must be one: at least 1, at most `LIMIT`, and 1 for movements not rare."""
    mouth = mouth_of(model, LOOK_AHEAD)
    said = np.concatenate([mouth(samples) for samples, _ in recordings])
    taught = np.concatenate(
        [
            articulators([(p.removeprefix(DOUBT), s, e) for p, s, e in phones], len(samples) // SAMPLES_PER_FRAME)
            for samples, phones in recordings
        ]
    )
    out = torch.ones(len(ARTICULATORS))
    for k in RARE:
        ratio = np.percentile(taught[:, k], _STRONG) / max(1e-3, np.percentile(said[:, k], _STRONG))
        out[k] = float(np.clip(ratio, 1.0, LIMIT))
    return out
