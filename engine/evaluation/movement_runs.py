"""What movers make of a voice: the engine's own pipeline without pictures, many seeds at a time."""

from __future__ import annotations

import numpy as np

from engine.config import EngineConfig
from engine.contracts import DEFAULT_LOOK_AHEAD_MS, SAMPLES_PER_FRAME, AudioChunk, FloatArray, Motion
from engine.motion.controls import Controls
from engine.motion.rotation import euler_angles
from engine.pipeline import Pipeline, Request
from engine.session import Session


class MoverRuns:
    """One of `engine.config.MOVERS`, with as many rows as there are seeds."""

    def __init__(self, mover: str, seeds: int, look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS) -> None:
        self._seeds, self._ahead = seeds, look_ahead_ms
        self._pipeline = Pipeline(EngineConfig(max_sessions=seeds, mover=mover))

    def run(self, samples: FloatArray, controls: Controls | None = None) -> tuple[FloatArray, FloatArray]:
        """Poses [S, T, 6] and blendshapes [S, T, 52] for a voice [640 T], breath and procedural eyes included."""
        rows = [self._pipeline.join(None, self._ahead, seed) for seed in range(self._seeds)]
        for row in rows:
            self._pipeline.set_controls(row, controls or Controls())
        silence = np.zeros(self._ahead * 16, np.float32)
        session, moved = Session(0), list[list[Motion | None]]()
        for frame in np.concatenate([samples, silence]).reshape(-1, SAMPLES_PER_FRAME):
            session.push_audio(AudioChunk(SAMPLES_PER_FRAME * (len(moved)), frame))
            heard = session.next_audio()
            assert heard is not None
            asked = [Request(row, frame, heard[1], session.speaking, draw=False) for row in rows]
            moved.append([one.motion for one in self._pipeline.step(asked)])
        for row in rows:
            self._pipeline.leave(row)
        return _arrays([motions for motions in moved if motions[0] is not None])


def _arrays(moved: list[list[Motion | None]]) -> tuple[FloatArray, FloatArray]:
    rotations = np.array([[m.rotation for m in motions if m] for motions in moved])  # [T, S, 3, 3]
    shifts = np.array([[m.translation for m in motions if m] for motions in moved])
    shapes = np.array([[m.blendshapes for m in motions if m] for motions in moved])
    poses = np.concatenate([euler_angles(rotations), shifts], -1)
    return np.swapaxes(poses, 0, 1).astype(np.float32), np.swapaxes(shapes, 0, 1)
