"""One streaming step of the motion networks as functions of tensors: all state goes in, and comes out.

An exporter drops what a module keeps for itself. So a step is given its state: what is small as one vector a row,
"memory"; the rings of keys and values one by one; and what its rows count. There are no masks in it: who runs the
program keeps apart the rows that ran, and rings need no keeping (`engine.streaming.RingKVCache`).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.audio.encoder import MELS_PER_FRAME, AudioEncoder
from engine.audio.mel import BANDS, cleaned
from engine.contracts import SAMPLES_PER_FRAME
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.upper_face import UNIT
from engine.motion.head.head_pose import HeadPose
from engine.motion.head.pose_codebook import FRAMES_PER_CODE
from engine.streaming import Place, RingKVCache, StreamingModule, places

Named = dict[str, Tensor]


def forgotten(facial: FacialMotion) -> set[str]:
    """Which of its state a barge-in drops: it is asked, with a state of ones."""
    with facial.streaming(1):
        for place in places(facial):
            place.put(torch.ones_like(place.tensor))
        facial.forget(torch.tensor([True]))
        return {place.name for place in places(facial) if not place.tensor.any()}


class ExplicitStep(nn.Module):
    """A step of the part of ``model`` whose state's names begin with ``part``, and not with ``without``.

    The model must be streaming.

    ``dropped`` state comes first in the memory, so that a barge-in clears the first ``forgets`` of a row's numbers.
    """

    outputs: tuple[str, ...]  # what it says, beside its state

    def __init__(self, model: StreamingModule[Any], part: str, dropped: set[str], without: str = "-") -> None:
        super().__init__()
        self.model, self._dropped = model, dropped
        found = [p for p in places(model) if p.name.startswith(part) and not p.name.startswith(without)]
        self._counts = [p for p in found if not p.tensor.is_floating_point()]
        self._rings = [p for p in found if isinstance(p.owner, RingKVCache) and p.field != "end"]
        self._small = [p for p in found if p.tensor.is_floating_point() and not isinstance(p.owner, RingKVCache)]
        self._small.sort(key=lambda place: place.name not in dropped)
        self._shapes = [place.tensor.shape[1:] for place in self._small]
        sizes = zip(self._small, self._shapes, strict=True)
        self.forgets = sum(shape.numel() for place, shape in sizes if place.name in dropped)

    def example(self, rows: int) -> Named:
        """Some input of ``rows`` rows, by the names it goes in under; the state last."""
        rings = {f"ring{k}": torch.zeros(rows, *p.tensor.shape[1:]) for k, p in enumerate(self._rings)}
        return {"memory": torch.zeros(rows, sum(shape.numel() for shape in self._shapes))} | rings

    def names(self) -> list[str]:
        """What comes out: what is said, then the state that follows on the one given, named after it."""
        return [*self.outputs, "memory.next", *(f"ring{k}.next" for k in range(len(self._rings)))]

    def _count(self, place: Place) -> Tensor:
        """What the rows have counted for ``place``, which holds whole numbers."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its rows count.")

    def _put(self, memory: Tensor, rings: tuple[Tensor, ...]) -> None:
        for place in self._counts:
            place.put(self._count(place))
        parts = memory.split([shape.numel() for shape in self._shapes], 1)
        for place, shape, part in zip(self._small, self._shapes, parts, strict=True):
            place.put(part.reshape(-1, *shape))
        for place, ring in zip(self._rings, rings, strict=True):
            place.put(ring.clone())  # it is written in place, which nobody may do to what a program is given

    def _taken(self) -> tuple[Tensor, ...]:
        small = [place.tensor for place in self._small]
        memory = torch.cat([t.flatten(1) if t.dim() > 1 else t[:, None] for t in small], 1)
        return memory, *(place.tensor for place in self._rings)


class MelStep(ExplicitStep):
    """samples [B, 640] -> mel [B, 4, 40]; what features and head begin with, each from its own memory."""

    outputs = ("mel",)

    def __init__(self, facial: FacialMotion, dropped: set[str]) -> None:
        super().__init__(facial, "encoder.mel.", dropped)

    def example(self, rows: int) -> Named:
        return {"samples": 0.1 * torch.randn(rows, SAMPLES_PER_FRAME)} | super().example(rows)

    def forward(self, samples: Tensor, memory: Tensor, *rings: Tensor) -> tuple[Tensor, ...]:
        self._put(memory, rings)
        return _encoder(self.model).mel(cleaned(samples)), *self._taken()


class FeaturesStep(ExplicitStep):
    """mel [B, 4, 40] -> features [B, 1, F]."""

    outputs = ("features",)

    def __init__(self, facial: FacialMotion, dropped: set[str]) -> None:
        super().__init__(facial, "encoder.convs.", dropped)

    def example(self, rows: int) -> Named:
        return {"mel": torch.randn(rows, MELS_PER_FRAME, BANDS)} | super().example(rows)

    def forward(self, mel: Tensor, memory: Tensor, *rings: Tensor) -> tuple[Tensor, ...]:
        self._put(memory, rings)
        return _encoder(self.model).from_mel(mel), *self._taken()


def _encoder(facial: nn.Module) -> AudioEncoder:
    encoder = cast(FacialMotion, facial).encoder
    assert isinstance(encoder, AudioEncoder), "programs begin with the bundled features"
    return encoder


class FaceStep(ExplicitStep):
    """features [B, 1, F], look_ahead [B], chance [B, 5] -> blendshapes [B, 52], lip offsets [B, n, 3], and what is said
    [B, 9 + P]: articulators and the probabilities of phones.

    ``spoken`` [B] steps since the row began or was told to forget, ``lived`` since it began.
    """

    outputs = ("shapes", "lips", "said")

    def __init__(self, facial: FacialMotion, dropped: set[str]) -> None:
        super().__init__(facial, "generator.", dropped)
        self._width = facial.config.features

    def example(self, rows: int) -> Named:
        given = {"features": torch.randn(rows, 1, self._width)}
        given |= {name: torch.arange(rows) for name in ("look_ahead", "spoken", "lived")}
        return given | {"chance": torch.randn(rows, len(UNIT))} | super().example(rows)

    def forward(
        self,
        features: Tensor,
        look_ahead: Tensor,
        spoken: Tensor,
        lived: Tensor,
        chance: Tensor,
        memory: Tensor,
        *rings: Tensor,
    ) -> tuple[Tensor, ...]:
        self._spoken, self._lived = spoken, lived
        self._put(memory, rings)
        generator = cast(FacialMotion, self.model).generator
        generator.upper_face.given_chance = chance
        shapes, said = generator.utter(features, look_ahead)
        lips = generator.offset_lips(features, look_ahead)
        return shapes[:, 0], lips[:, 0], said[:, 0], *self._taken()

    def _count(self, place: Place) -> Tensor:
        return self._spoken if place.name in self._dropped else self._lived


class HeadStep(ExplicitStep):
    """mel [B, 4, 40], speaking [B, 1], chance [B] -> poses [B, 6]; ``shown`` [B] steps since the row began.

    With ``thinks`` a next code is drawn in the rows in which one is due; without, no row may be due.
    """

    outputs = ("heads",)

    def __init__(self, head: HeadPose, thinks: bool) -> None:
        super().__init__(head, "", set(), without="mel.")
        self._thinks = thinks

    def example(self, rows: int) -> Named:
        given = {"mel": torch.randn(rows, MELS_PER_FRAME, BANDS), "speaking": torch.ones(rows, 1).bool()}
        given |= {"shown": torch.arange(rows)}
        return given | {"chance": torch.rand(rows, dtype=torch.float64)} | super().example(rows)

    def forward(
        self, mel: Tensor, speaking: Tensor, shown: Tensor, chance: Tensor, memory: Tensor, *rings: Tensor
    ) -> tuple[Tensor, ...]:
        self._shown = shown
        self._put(memory, rings)
        head = cast(HeadPose, self.model)
        head.given_chance, head.thinks = chance, self._thinks
        poses = head.move(mel, speaking)
        return poses[:, 0], *self._taken()

    def _count(self, place: Place) -> Tensor:
        if ".attention." not in place.name:
            return self._shown
        return (self._shown + (FRAMES_PER_CODE - 1)) // FRAMES_PER_CODE  # codes so far: attention looks back over them
