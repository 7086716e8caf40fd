"""Which pictures an engine draws: geometry's alone, or finished by the networks of VividTalk 3.3; and who decides."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from pathlib import Path
from statistics import median
from typing import NamedTuple

from engine.config import Quality
from engine.contracts import FRAMES_PER_SECOND, ByteArray, Motion
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.programs.program import Weights
from engine.render.canvas import Canvas
from engine.render.learned.learned_renderer import LearnedRenderer, PictureNetworks
from engine.render.learned.own_programs import OwnPrograms
from engine.render.learned.picture_programs import PicturePrograms
from engine.render.prepared import Prepared, prepare
from engine.render.renderer import Renderer

log = logging.getLogger("vivify")
FRAME_MS = 1000 / FRAMES_PER_SECOND
TOO_LONG = 0.7 * FRAME_MS  # a step that takes longer leaves too little for what else the machine has to do
SHORT = 0.6 * FRAME_MS  # what a step with the networks must promise to take before they are tried again
SEEN = 12  # steps that are looked back at
PATIENCE = 10 * FRAMES_PER_SECOND  # steps before the first new try; twice as many before each further one
LONGEST_PATIENCE = 300 * FRAMES_PER_SECOND
MOST_PREPARED = 8  # portraits kept ready, some 5 MB each; one that was not asked for in a while is prepared anew


class Ready(NamedTuple):
    """What is worked out of an avatar once for all its sessions."""

    avatar: Avatar
    known: Prepared
    networks: PictureNetworks | None  # that finish its pictures, where any are wanted


class Governor:
    """Decides, step by step, whether the networks can be afforded: they go before any picture is dropped.

    A retreat shows how many times as long a step takes with them as without. They are tried again once steps have for
    some time been so short that even that many times as long would fit; each failed try doubles the wait, so that a
    machine at its limit does not change its mind all the time.
    """

    def __init__(self) -> None:
        self.learned = True
        self._taken: deque[float] = deque(maxlen=SEEN)  # ms of the last steps
        self._retreat = 0.0  # ms that a step took when the networks were given up
        self._ratio = 0.0  # of steps with them to steps without; 0 while unknown
        self._calm = 0  # steps in a row that would have left room
        self._patience = PATIENCE

    def observe(self, step_ms: float) -> None:
        """Take note of how long a step that drew pictures took."""
        self._taken.append(step_ms)
        if len(self._taken) < SEEN:
            return
        usual = median(self._taken)
        if self.learned and usual > TOO_LONG:
            self._switch(to=False)
            self._retreat, self._ratio = usual, 0.0
        elif not self.learned:
            self._ratio = self._ratio or max(self._retreat / usual, 1.0)
            self._calm = self._calm + 1 if usual * self._ratio < SHORT else 0
            if self._calm >= self._patience:
                self._switch(to=True)
                self._patience = min(2 * self._patience, LONGEST_PATIENCE)

    def _switch(self, to: bool) -> None:
        self.learned = to
        self._taken.clear()
        self._calm = 0


class Painters:
    """Makes the renderers of one engine's sessions and sees to it that all draw in the quality that holds just now.

    Raises VivifyError where learned pictures are asked for and there are no weights. Who leaves it to the machine gets
    geometry then. ``unhurried`` engines have no deadline: they never give the networks up. ``planes``: pictures without
    a matte are planar I420, for whoever encodes them.
    """

    def __init__(
        self, quality: Quality, size: int, weights: Path, unhurried: bool = False, planes: bool = False
    ) -> None:
        self._size, self._planes = size, planes
        self._weights = weights
        self._prepared: OrderedDict[int, Ready] = OrderedDict()  # by identity
        wanted = quality == "learned" or (quality == "auto" and weights.is_file())
        self._networks = PicturePrograms(weights) if wanted else None
        self._canvases: list[Canvas] = []  # that nobody paints on just now
        self._governor = Governor() if wanted and quality == "auto" and not unhurried else None

    @property
    def learned(self) -> bool:
        """Whether pictures are finished by the networks just now."""
        return self._networks is not None and (self._governor is None or self._governor.learned)

    def renderer(self, avatar: Avatar) -> Renderer:
        made = self._prepared.pop(id(avatar), None) or Ready(avatar, prepare(avatar), self._networks_of(avatar))
        self._prepared[id(avatar)] = made
        while len(self._prepared) > MOST_PREPARED:
            self._prepared.popitem(last=False)
        if self._planes:
            made.known.scene.make_ready(avatar.size / self._size, bool(made.known.face.own_lips.any()))
        if made.networks is None:
            return Renderer(avatar, self._size, made.known)
        renderer = LearnedRenderer(avatar, made.networks, self._size, made.known)
        renderer.share = float(self.learned)
        return renderer

    def _networks_of(self, avatar: Avatar) -> PictureNetworks | None:
        """The shared ones; of whom a film showed the face, which knows better, those tuned on it, if there are any."""
        film = avatar.film
        if self._networks is None or not film or not film.looks:
            return self._networks
        try:
            return OwnPrograms(Weights(self._weights), film.network) if film.network else None
        except VivifyError as problem:
            log.warning("%s Until then geometry and film paint it alone.", problem)
            return None

    def paint(self, renderer: Renderer, motion: Motion, alpha: bool) -> ByteArray:
        """The picture of ``motion``; a change of quality is faded in or out over some frames.

        From any thread: as many canvases are made as pictures are painted at once, not one for each renderer.
        """
        if isinstance(renderer, LearnedRenderer):
            renderer.fade(self.learned)
        try:
            renderer.canvas = self._canvases.pop()
        except IndexError:
            renderer.canvas = Canvas(self._size)
        picture = renderer.planes(motion) if self._planes and not alpha else renderer.render(motion, alpha=alpha)
        self._canvases.append(renderer.canvas)
        renderer.canvas = None
        return picture

    def observe(self, step_ms: float) -> None:
        """Take note of how long a step that drew pictures took."""
        if self._governor:
            self._governor.observe(step_ms)
