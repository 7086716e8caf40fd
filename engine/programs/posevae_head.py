"""SadTalker's PoseVAE as the engine's head (`--mover posevae`), live and without jumps.

The paper says 32 frames at once from their sound, each time from the first pose anew, and smooths the whole recording.
Live, a stretch says its frames one by one: frame j knows the sound up to j, and the newest stands for what has not
come, which the decoder was trained with. Each stretch begins where the one before stands, as in training, eight frames
before that one ends, and takes over softly; so nothing waits, and nothing is to be smoothed.
"""

from __future__ import annotations

import numpy as np

from engine.audio.mel_columns import MelColumns
from engine.contracts import FloatArray
from engine.motion.chance import normal
from engine.motion.motion_networks import Mask, Whole
from engine.paths import assets
from engine.programs.program import Program, Weights

SLOTS = 2  # stretches that a row may be in: an older and a newer one
SOFTLY = 8  # frames in which the newer takes over
WIDE = 3.0  # latents are drawn so much wider than trained, where heads hardly move: chosen on a film of training's


class PoseVaeHead:
    """Heads of ``rows`` sessions. Raises VivifyError as `Program`."""

    def __init__(self, rows: int) -> None:
        weights, programs = Weights(assets() / "weights" / "posevae.safetensors"), assets() / "programs"
        self._mel = MelColumns(rows)
        self._sound = Program(programs / "posevae_sound.onnx", weights, rows)
        self._stretch = Program(programs / "posevae.onnx", weights, rows)
        self._frames = self._stretch.inputs["sound"].shape[2]
        self._seeds = np.zeros(rows, np.int64)
        self._shown = np.zeros(rows, np.int64)

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """Start the rows of ``mask`` [B] anew, at rest, each with its seed of ``seeds`` [B]."""
        self._mel.begin(mask)
        self._seeds[mask], self._shown[mask] = seeds[mask], 0
        for array in (*self._stretch.inputs.values(), *self._stretch.outputs.values()):
            array[mask] = 0

    def step(self, samples: FloatArray, look_ahead: Whole, mask: Mask, shown: Mask) -> FloatArray:
        """The rows of ``mask`` [B] hear samples [B, 640], the heads of the rows of ``shown`` [B] move -> poses [B, 6].

        Angles in radians, translations in outer-eye-corner distances, within the engine's limits.
        """
        windows = self._mel.step(samples, look_ahead, mask)
        moved = np.flatnonzero(shown)
        if len(moved):
            rows = int(moved[-1]) + 1
            self._sound.inputs["windows"][:] = windows
            self._sound.run(rows)
            self._begin_stretches(shown)
            self._hear(moved)
            held = self._stretch.outputs["heads"].copy(), self._stretch.outputs["scaled"].copy()
            self._stretch.run(rows)
            for name, before in zip(("heads", "scaled"), held, strict=True):
                self._stretch.outputs[name][~shown] = before[~shown]
            self._shown[moved] += 1
        return self._stretch.outputs["heads"]

    def _begin_stretches(self, shown: Mask) -> None:
        """Where one is due, the newer stretch becomes the older one, and another begins where the head stands."""
        each = self._frames - SOFTLY
        due = np.flatnonzero(shown & (self._shown % each == 0))
        given = self._stretch.inputs
        for name in ("sound", "latent", "reference", "place"):
            given[name][due, 0] = given[name][due, 1]
        values = given["latent"].shape[2]
        given["latent"][due, 1] = WIDE * normal(self._seeds[due], self._shown[due] // each, values)
        given["reference"][due, 1] = self._stretch.outputs["scaled"][due]
        given["place"][due, 1] = -1  # it is counted on before it is used

    def _hear(self, moved: np.ndarray) -> None:
        """The newest sound is that of this frame of both stretches, and of all their frames to come."""
        given = self._stretch.inputs
        given["place"][moved] = np.minimum(given["place"][moved] + 1, self._frames - 1)
        later = np.arange(self._frames) >= given["place"][moved][:, :, None]  # [n, 2, T]
        newest = self._sound.outputs["sound"][moved][:, None, None]
        given["sound"][moved] = np.where(later[..., None], newest, given["sound"][moved])
        x = np.minimum(1.0, (given["place"][moved, 1] + 1) / SOFTLY)
        given["newer"][moved] = x * x * (3 - 2 * x)
