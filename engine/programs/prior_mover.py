"""The audio-to-visual prior moves heads and faces: sound to its stream, its values to motion."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.lids import as_closed, as_told
from engine.motion.motion_networks import Mask, Whole
from engine.motion.mover import Carried
from engine.motion.prior.nonlip import PLACE, to_motion
from engine.motion.prior.prior_stream import PriorStream
from engine.paths import assets
from engine.programs.prior_program import PriorProgram
from engine.programs.program import Program, Weights

GUIDANCE = 2.5  # of one who says nothing else, as in the supplement
STYLE = (0.47, 0.6)  # of somebody of whom nothing is known: chosen on the films that were not for testing
LIVELY = 0.6  # of the logarithms of style at a knob of 1
CALMER = (0.9, 0.2)  # of them, in listening: heads move a third as much then, lids go on
CLOSED = 0.8  # of a blink, at which eyes are closed in the films it learned from, as their tracker saw them
_SETTLES = 0.04  # of the way from speaking to listening in a frame: a pause is not yet listening
_BROAD = 8  # bands that the prior hears
_LIDS = [PLACE["eyeBlinkLeft"], PLACE["eyeBlinkRight"]]


class PriorMover:
    """`engine.motion.mover.Mover`. Raises as `PriorProgram`."""

    def __init__(self, rows: int, causal: bool = False) -> None:
        """``causal``: the autoregressive prior instead of the diffusion."""
        face = Weights(assets() / "weights" / "facial.safetensors")
        self._mel = Program(assets() / "programs" / "mel.onnx", face, rows)
        self._stream = PriorStream(PriorProgram(rows), rows, causal)
        self._wished = np.zeros(rows, np.float32)  # style's knob
        self._listens = np.zeros(rows, np.float32)  # 0 speaking, 1 listening
        for row in range(rows):
            self.steer(row, 0.0, None)

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """See `Mover`."""
        self._mel.inputs["memory"][mask] = 0
        self._stream.begin(mask, seeds)
        self._listens[mask] = 0
        for row in np.flatnonzero(mask):
            self.steer(int(row), 0.0, None)

    def forget(self, mask: Mask) -> None:
        """See `Mover`: it goes on, and hears silence."""

    def steer(self, row: int, style: float, guidance: float | None) -> None:
        """See `Mover`."""
        self._wished[row] = style
        self._stream.guidance[row] = GUIDANCE if guidance is None else guidance

    def pin(self, row: int, ahead: int, frames: int, values: dict[int, float]) -> bool:
        """See `Mover`."""
        told = {k: as_told(value, CLOSED) if k in _LIDS else value for k, value in values.items()}
        return self._stream.pin(row, ahead, frames, told)

    def step(self, samples: FloatArray, speaking: Mask, look_ahead: Whole, mask: Mask, shown: Mask) -> Carried:
        """See `Mover`."""
        ran = np.flatnonzero(mask)
        self._mel.inputs["samples"][:] = samples
        if len(ran):
            self._mel.run_stretch(ran)
            self._mel.inputs["memory"][ran] = self._mel.outputs["memory.next"][ran]
        listens = self._listens + _SETTLES * (~speaking - self._listens)
        self._listens[:] = np.where(shown, listens, self._listens)
        self._stream.style[:] = STYLE + LIVELY * self._wished[:, None] - np.outer(self._listens, CALMER)
        sound = np.concatenate([broad(self._mel.outputs["mel"]), speaking[:, None]], 1).astype(np.float32)
        values = self._stream.step(sound, look_ahead, mask, shown)
        values[:, _LIDS] = as_closed(values[:, _LIDS], CLOSED)
        return Carried(*to_motion(values))


def broad(mel: FloatArray) -> FloatArray:
    """Mel [B, 4, 40] -> eight broad bands at four hops [B, 32]: `engine.motion.head.head_pose.sound_features`."""
    rows, hops, bands = mel.shape
    return np.asarray(mel.reshape(rows, hops, _BROAD, bands // _BROAD).mean(3).reshape(rows, hops * _BROAD))
