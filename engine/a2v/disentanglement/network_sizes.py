"""How large the networks are: the paper's sizes, and small ones for a handful of films and a CPU."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import VivifyError


@dataclass(frozen=True)
class Sizes:
    """Numbers of the supplement's I.2; what it leaves open is marked so in docs/a2v.md."""

    picture: int = 224  # pixels a side
    identity: str = "resnext50_32x4d"  # a classifier of torchvision's, or "plain"
    visual: str = "mobilenet_v2"
    audio: str = "resnet34"
    plain: tuple[int, ...] = ()  # widths of plain encoders, each halving the side
    appearance: int = 2048  # what the identity encoder gives
    features: int = 512  # f_v, f_a, and both of the spaces made of f_v
    nonlips: int = 42
    lips: int = 470
    start: int = 7  # pixels a side that the generator begins with
    channels: tuple[int, ...] = (512, 512, 512, 512, 256, 128)  # of the generator, from `start` on, each twice the side
    judge: int = 64  # of the discriminator's first layer
    judge_layers: int = 4
    judge_scales: int = 2

    def __post_init__(self) -> None:
        if self.nonlips + self.lips != self.features:
            raise ValueError(
                f"Non-lip and lip features together must be as many as f_v's {self.features}, which the generator is "
                f"pretrained on, but are {self.nonlips} + {self.lips}."
            )
        if self.start << (len(self.channels) - 1) != self.picture:
            raise ValueError(f"{self.start} pixels doubled {len(self.channels) - 1} times are not {self.picture}.")

    @property
    def style(self) -> int:
        """Of f_cat, which the generator draws from."""
        return self.appearance + self.nonlips + self.lips

    def told(self) -> str:
        """As a weights file says it."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, told: str) -> Sizes:
        """The sizes that `told` said. Raises VivifyError when they are no sizes of ours."""
        try:
            said: dict[str, Any] = json.loads(told)
            plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
            return cls(**plain)
        except (TypeError, ValueError, AttributeError) as error:
            raise VivifyError(
                f"Weights with the sizes of their networks were expected, but they say '{told[:80]}': train them anew."
            ) from error


PAPER = Sizes()
SMALL = Sizes(
    picture=96,
    identity="plain",
    visual="plain",
    audio="plain",
    plain=(24, 48, 96, 128),
    appearance=128,
    features=64,
    nonlips=12,
    lips=52,
    start=6,
    channels=(128, 128, 64, 32, 16),
    judge=16,
    judge_layers=3,
)
CONFIGS = {"paper": PAPER, "small": SMALL}
