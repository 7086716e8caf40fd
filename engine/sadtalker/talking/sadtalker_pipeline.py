"""The pipeline whose pictures are SadTalker's: the same sessions, clock and barge-in, where the machine holds it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from engine.config import EngineConfig
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, ByteArray
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.motion.motion_networks import Moved
from engine.pipeline import Drawn, Pipeline, Request
from engine.render.renderer import Renderer
from engine.sadtalker.face3d.moved_faces import read_portrait
from engine.sadtalker.talking.face_painter import DrawingNetworks, FacePainter
from engine.sadtalker.talking.talking_rows import WAITS, TalkingRows
from engine.sadtalker.weights.weight_file import open_weights

FILLED = 0.8  # of the time between two pictures: the rest is for what nobody foresees
TRIALS = 3  # pictures that are timed
LOOK_AHEAD_MS = 1000 * WAITS // FRAMES_PER_SECOND  # the only one there is: ExpNet hears so far ahead


class SadTalkerPipeline(Pipeline):
    """`Pipeline` for one photo. Motions are the geometric networks', for whoever else is told what the face does.

    Raises VivifyError for weights or a photo that cannot be used, and where pictures take longer than live ones may: it
    says which rate the machine would hold.
    """

    def __init__(self, config: EngineConfig) -> None:
        if config.weights is None or config.photo is None:
            raise VivifyError("SadTalker's pictures need weights and a photo: --weights FILE --photo P.")
        weights = open_weights(Path(config.weights))
        if weights.pixels != config.size:
            raise VivifyError(
                f"{Path(config.weights).name} draws {weights.pixels} pixels, but --size {config.size} was asked for."
            )
        portrait = read_portrait(Path(config.photo), weights)
        self._painter = FacePainter(DrawingNetworks(weights), portrait.picture, portrait.coefficients)
        self._talking = TalkingRows(weights, portrait, config.max_sessions)
        self._check_rate(config)
        super().__init__(config)
        self._unused: Renderer | None = None

    def _check_rate(self, config: EngineConfig) -> None:
        spent = []
        for _ in range(1 + TRIALS):  # the first pays for what is made once
            began = time.perf_counter()
            window = self._talking.step(np.zeros((config.max_sessions, SAMPLES_PER_FRAME), np.float32), [0])
            self._painter.draw(self._painter.keypoints(window[0]))
            spent.append(time.perf_counter() - began)
        self._talking.begin(0, 0)
        each = float(np.median(spent[1:]))
        fits = int(FILLED / FRAMES_PER_SECOND / each)
        if fits == 0:
            raise VivifyError(
                f"Live pictures come {FRAMES_PER_SECOND} a second, but this machine draws {1 / each:.1f} of "
                f"SadTalker's with {config.size} pixels: make films with vivify render --method sadtalker instead."
            )
        if fits < config.max_sessions:
            raise VivifyError(
                f"This machine holds {fits} sessions of SadTalker's at a time: give --max-sessions {fits}."
            )

    def renderer(self, avatar: Avatar) -> Renderer:
        """One for all: what it would draw is not shown."""
        if self._unused is None:
            self._unused = super().renderer(avatar)
        return self._unused

    def join(self, avatar: Avatar | None, look_ahead_ms: int, seed: int, renderer: Renderer | None = None) -> int:
        """As `Pipeline.join`; whatever look-ahead is wished, it is LOOK_AHEAD_MS."""
        row = super().join(avatar, LOOK_AHEAD_MS, seed, renderer)
        self._talking.begin(row, seed)
        return row

    def forget(self, row: int) -> None:
        super().forget(row)
        self._talking.forget(row)

    def set_look_ahead(self, row: int, milliseconds: int) -> None:
        """There is only the one."""

    def _draw_all(self, requests: list[Request], moved: Moved) -> list[Drawn]:
        began = time.perf_counter()
        samples = np.zeros((self.config.max_sessions, SAMPLES_PER_FRAME), np.float32)
        for request in requests:
            samples[request.row] = request.samples
        windows = self._talking.step(samples, [request.row for request in requests])
        spent_ms = 1000 * (time.perf_counter() - began)
        return [self._drawn(request, moved, windows[request.row], spent_ms) for request in requests]

    def _drawn(self, request: Request, moved: Moved, window: torch.Tensor, spent_ms: float) -> Drawn:
        motion = self._compose(request, moved)
        began = time.perf_counter()
        picture: ByteArray | None = None
        if motion is not None and request.draw:
            picture = self._painter.draw(self._painter.keypoints(window))
            if request.matte:  # the photo's own background is part of the picture
                picture = np.concatenate([picture, np.full_like(picture[..., :1], 255)], 2)
        render_ms = 1000 * (time.perf_counter() - began)
        return Drawn(request.row, motion, picture, moved.features_ms, moved.motion_ms + spent_ms, render_ms)
