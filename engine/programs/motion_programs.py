"""The motion networks as exported programs: one streaming step for any number of rows, on a CPU and without torch.

What a row remembers lies in arrays here; a program runs the rows from the first to the last one that have sound, and
what it says the others remember is dropped. Rows count their steps here, and chance is drawn here.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from engine.config import LIPS
from engine.contracts import FloatArray
from engine.motion.chance import normal, uniform
from engine.motion.motion_networks import Mask, Moved, Whole
from engine.paths import assets
from engine.programs.expnet_lips import ExpNetLips
from engine.programs.program import Program, Weights


class MotionPrograms:
    """`engine.motion.motion_networks.MotionNetworks` for ``rows`` sessions.

    Raises VivifyError where programs or weights are missing, damaged or do not belong together. ``facial`` are other
    weights of the same sizes than the bundled ones. ``lips`` may be SadTalker's instead: brows stay ours.
    """

    def __init__(self, rows: int, facial: Path | None = None, lips: str = LIPS[0]) -> None:
        weights, programs = assets() / "weights", assets() / "programs"
        face, pose = Weights(facial or weights / "facial.safetensors"), Weights(weights / "pose.safetensors")
        self._mel = Program(programs / "mel.onnx", face, rows)
        mel = {"samples": self._mel.inputs["samples"], "mel": self._mel.outputs["mel"]}
        self._features = Program(programs / "features.onnx", face, rows, lent=mel)
        self._face = Program(programs / "face.onnx", face, rows, lent={"features": self._features.outputs["features"]})
        self._mel_of_head = Program(programs / "mel.onnx", face, rows, lent=mel)
        self._head = Program(programs / "head.onnx", pose, rows, lent=mel)
        self._thinking = Program(programs / "head_thinking.onnx", pose, rows, lent=self._head.inputs)
        self._every = int(self._head.notes["every"])  # steps from one head code to the next
        self._seeds = np.zeros(rows, np.int64)
        self._expnet = ExpNetLips(rows) if lips == "expnet" else None

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """See `MotionNetworks`."""
        self._seeds[mask] = seeds[mask]
        for program in (self._mel, self._features, self._face, self._mel_of_head, self._head):
            program.inputs["memory"][mask] = 0
        for counts in (self._face.inputs["spoken"], self._face.inputs["lived"], self._head.inputs["shown"]):
            counts[mask] = 0  # which empties the rings
        if self._expnet:
            self._expnet.begin(mask)

    def forget(self, mask: Mask) -> None:
        """See `MotionNetworks`."""
        for program in (self._mel, self._features, self._face):
            program.inputs["memory"][mask, : program.notes["forgets"]] = 0
        self._face.inputs["spoken"][mask] = 0
        if self._expnet:
            self._expnet.forget(mask)

    def step(self, samples: FloatArray, speaking: Mask, look_ahead: Whole, mask: Mask, shown: Mask) -> Moved:
        """See `MotionNetworks`."""
        began = time.perf_counter()
        alike = np.array_equal(self._mel.inputs["memory"][shown], self._mel_of_head.inputs["memory"][shown])
        self._mel.inputs["samples"][:] = samples
        _advance(self._mel, mask)
        _advance(self._features, mask)
        heard = time.perf_counter()
        self._animate(look_ahead, mask)
        shapes, lips, said = (self._face.outputs[name].copy() for name in ("shapes", "lips", "said"))
        if self._expnet:
            self._expnet.speak(shapes, samples, look_ahead, mask)
            lips[:] = 0  # they belong to the lips that are not shown
        if alike:  # as ever but after a beginning or a barge-in: the head hears what the face has heard
            self._mel_of_head.inputs["memory"][shown] = self._mel.outputs["memory.next"][shown]
        else:
            _advance(self._mel_of_head, shown)
        heads = self._pose(speaking, shown).copy()
        ended = time.perf_counter()
        ours = None if self._expnet else said
        return Moved(shapes, lips, heads, 1000 * (heard - began), 1000 * (ended - heard), ours)

    def _animate(self, look_ahead: Whole, mask: Mask) -> None:
        given = self._face.inputs
        given["look_ahead"][:] = look_ahead
        given["chance"][:] = normal(self._seeds, given["lived"], given["chance"].shape[1])
        _advance(self._face, mask)
        given["spoken"] += mask
        given["lived"] += mask

    def _pose(self, speaking: Mask, shown: Mask) -> FloatArray:
        given = self._head.inputs
        given["speaking"][:, 0] = speaking
        due = (shown & (given["shown"] % self._every == 0)).any()
        program = self._thinking if due else self._head
        given["chance"][:] = uniform(self._seeds, given["shown"])
        _advance(program, shown)
        given["shown"] += shown
        return program.outputs["heads"]


def _advance(program: Program, mask: Mask) -> None:
    """Run the rows of ``mask`` [B]; what the program says that others remember is dropped."""
    ran = np.flatnonzero(mask)
    if len(ran):
        program.run_stretch(ran)
        program.inputs["memory"][ran] = program.outputs["memory.next"][ran]
