"""Many voices on their way through SadTalker's networks at once: a row a session, each with a past of its own."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import Tensor

from engine.contracts import FloatArray
from engine.sadtalker.face3d.moved_faces import MovedPortrait
from engine.sadtalker.talking.blinks import Blinks
from engine.sadtalker.talking.film_motion import MOVING
from engine.sadtalker.talking.live_expression import LiveExpression
from engine.sadtalker.talking.live_pose import LivePose
from engine.sadtalker.talking.mapping_windows import MappingWindows
from engine.sadtalker.voice.exp_net import EXPRESSION, ExpNet
from engine.sadtalker.voice.mel_windows import DELAY
from engine.sadtalker.voice.pose_vae import PoseVAE
from engine.sadtalker.weights.weight_file import Weights

WAITS = DELAY  # frames that pictures are behind the voice


class TalkingRows:
    """All rows show one portrait. A step takes 40 ms of each voice and gives the window of the frame WAITS before."""

    def __init__(self, weights: Weights, portrait: MovedPortrait, rows: int, style: int = 0) -> None:
        self._expression = LiveExpression(weights.network("expression", ExpNet))
        self._pose = LivePose(weights.network("pose", PoseVAE))
        self._windows = MappingWindows(MOVING)
        self._reference = portrait.coefficients[:EXPRESSION].expand(rows, -1)
        self._stands = portrait.coefficients[EXPRESSION:MOVING].expand(rows, -1)
        self._style = torch.full((rows,), style)
        self._blinks = [Blinks(row) for row in range(rows)]
        self._waiting = [WAITS] * rows  # steps until a row's first own frame
        self._streams = ExitStack()
        for module in (self._expression, self._pose, self._windows):
            module.eval()
            self._streams.enter_context(module.streaming(rows))

    def begin(self, row: int, seed: int) -> None:
        """Start a row anew, its blinks and poses by ``seed``."""
        mask = torch.zeros(len(self._blinks), dtype=torch.bool)
        mask[row] = True
        for module in (self._expression, self._pose, self._windows):
            module.reset(mask)
        self._pose.seed(row, seed)
        self._blinks[row] = Blinks(seed)
        self._waiting[row] = WAITS

    def forget(self, row: int) -> None:
        """Let a row hear silence instead of what it has heard: the mouth rests at once, the head goes on."""
        mask = torch.zeros(len(self._blinks), dtype=torch.bool)
        mask[row] = True
        self._expression.reset(mask)

    def step(self, samples: FloatArray, rows: list[int]) -> Tensor:
        """``samples`` [B, 640] -> windows [B, 70, 27]; those of ``rows`` are heard, others are to be ignored."""
        mask = torch.zeros(len(self._blinks), dtype=torch.bool)
        mask[rows] = True
        blinks = torch.zeros(len(self._blinks), 1)
        for row in rows:
            blinks[row] = self._blinks[row].next()
        with torch.inference_mode():
            heard = self._expression.hear(torch.from_numpy(samples), mask)
            expression = self._expression.network(heard, self._reference, blinks)
            # Until a row's first own frame has come, nothing moves on but what it hears.
            starts = mask & (torch.tensor(self._waiting) == 0)
            pose = self._pose(heard, self._stands, self._style, starts)
            windows: Tensor = self._windows(torch.cat([expression, pose], 2), starts)
        for row in rows:
            self._waiting[row] = max(self._waiting[row] - 1, 0)
        return windows[:, 0]
