"""SadTalker's PoseVAE as the engine runs it, over a whole recording, to be measured beside our head."""

from __future__ import annotations

import numpy as np

from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.programs.posevae_head import SOFTLY, PoseVaeHead

STRETCH = 32 - SOFTLY  # frames from one stretch to the next


def posevae_moves(samples: FloatArray, seed: int, look_ahead: int = 2) -> FloatArray:
    """The poses [T, 6] of one seed for a recording [640 T], each beside the frame it is shown with.

    Radians and outer-eye-corner distances; the sound is heard ``look_ahead`` frames ahead.
    """
    frames = len(samples) // SAMPLES_PER_FRAME
    padded = np.concatenate([samples[: frames * SAMPLES_PER_FRAME], np.zeros(look_ahead * SAMPLES_PER_FRAME)])
    head, one = PoseVaeHead(1), np.array([True])
    head.begin(one, np.array([seed]))
    said = []
    for k, piece in enumerate(padded.astype(np.float32).reshape(-1, 1, SAMPLES_PER_FRAME)):
        poses = head.step(piece, np.array([look_ahead]), one, one if k >= look_ahead else ~one)
        if k >= look_ahead:
            said.append(poses[0].copy())
    return np.stack(said) if said else np.zeros((0, 6), np.float32)


def seams(poses: list[FloatArray], each: int = STRETCH) -> dict[str, float]:
    """Whether heads jump where one stretch takes over from another: steps between frames there and elsewhere, degrees.

    Root mean square, and the largest; ``poses`` begin with the first stretch.
    """
    at, elsewhere = [], []
    for pose in poses:
        step = np.degrees(np.linalg.norm(np.diff(pose[:, :3], axis=0), axis=1))
        seam = np.zeros(len(step), bool)
        seam[each - 1 :: each] = True
        at.append(step[seam])
        elsewhere.append(step[~seam])
    there, usual = np.concatenate(at), np.concatenate(elsewhere)
    told = {"seam": np.sqrt((there**2).mean()), "elsewhere": np.sqrt((usual**2).mean())}
    told |= {"largest_seam": there.max(), "largest_elsewhere": usual.max()}
    return {name: round(float(value), 3) for name, value in told.items()}
