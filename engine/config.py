"""What an engine is told at its start. Resolved once; immutable afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from engine.contracts import LOOK_AHEADS_MS
from engine.errors import VivifyError

DEFAULT_AVATAR = "astronaut"
SIZES = (256, 512, 768, 1080)  # picture sides the renderer is tested at, pixels
LIVE_SIZES = (256, 512, 768)  # and those that go over a network as they are made
Quality = Literal["geometry", "learned", "auto"]
DEFAULT_QUALITY: Quality = "geometry"  # learned pictures are better by most figures, not by all: docs/picture.md
LIPS = ("branch", "expnet")  # who moves them: ours first
DEVICES = ("cpu", "cuda")
CODEBOOK = "codebook"
MOVERS = (CODEBOOK, "prior", "ar", "posevae")  # of heads and of what is above the mouth
DEFAULT_MOVER = "prior"  # chosen by figures: docs/movers.md
METHODS = ("geometry", "sadtalker")
TENSORRT = "tensorrt"
SLOT_END = 64  # bytes behind a picture: slots begin where cache lines do
SLOTS_PER_SESSION = 4  # pictures in flight from the engine process; with none free, a frame is dropped


def slot_bytes(size: int) -> int:
    """Bytes of the largest picture: planar I420, colour and matte of ``size`` x ``size`` pixels side by side; and more.

    The last byte of a slot tells whether it holds a picture that is not fetched yet.
    """
    return 2 * size * size * 3 // 2 + SLOT_END


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one engine process.

    ``avatar`` is a bundled avatar's name or an enrolled folder; it is what a session gets that names none. ``quality``
    says whether networks finish the pictures: "learned", never: "geometry", or while the machine can hold it: "auto".
    ``device`` is where networks run and pictures are made: "cpu" or "cuda". ``mark``: pictures that leave the process
    carry the invisible mark (docs/marks.md). ``mover`` moves heads and what is above the mouth (docs/movers.md); None:
    the usual one, see `moved_by`.
    ``lips`` are moved by our own network or by SadTalker's, trained here, on a CPU alone (docs/sadtalker.md).
    ``method``: how pictures are made; "sadtalker" of the file of ``weights`` and the ``photo`` (docs/sadtalker.md).
    ``compiler``: "tensorrt" compiles the networks that finish pictures on a GPU (docs/gpu.md).
    ``consent``: avatars are refused whose person's is not filled in.
    """

    avatar: str = DEFAULT_AVATAR
    size: int = 512
    max_sessions: int = 2
    quality: Quality = DEFAULT_QUALITY
    device: str = "cpu"
    mark: bool = True
    mover: str | None = None
    lips: str = LIPS[0]
    method: str = "geometry"
    weights: str | None = None
    photo: str | None = None
    compiler: str | None = None
    consent: bool = False

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise VivifyError(f"The picture size must be one of {SIZES} pixels, but {self.size} was given.")
        if not 1 <= self.max_sessions <= 64:
            raise VivifyError(f"max_sessions must lie between 1 and 64, but {self.max_sessions} was given.")
        checked(self.quality)
        if self.mover not in (None, *MOVERS):
            raise VivifyError(f"The mover must be one of {', '.join(MOVERS)}, but '{self.mover}' was given.")
        if self.method not in METHODS:
            raise VivifyError(f"The method must be {' or '.join(METHODS)}, but '{self.method}' was given.")
        if self.device not in DEVICES:
            raise VivifyError(f"The device must be one of {', '.join(DEVICES)}, but '{self.device}' was given.")
        if self.lips not in LIPS:
            raise VivifyError(f"The lips must be one of {', '.join(LIPS)}, but '{self.lips}' was given.")
        if self.device == "cuda" and self.lips != LIPS[0]:
            raise VivifyError("Lips by expnet run on a CPU alone: leave --device cuda out.")
        if self.consent and self.method != "geometry":
            raise VivifyError("SadTalker's photo has no field for its person's consent: leave --require-consent out.")
        if self.compiler is not None:
            self._check_compiler()

    def _check_compiler(self) -> None:
        if self.compiler != TENSORRT:
            raise VivifyError(f"The compiler must be {TENSORRT}, but '{self.compiler}' was given: or leave it out.")
        if self.device != "cuda":
            raise VivifyError("TensorRT needs a card: give --device cuda, too, or leave --compile out.")
        if self.quality == "geometry":
            raise VivifyError(
                "TensorRT compiles the networks that finish pictures, and there are none with --quality geometry: "
                "give --quality learned or auto, or leave --compile out."
            )

    @property
    def moved_by(self) -> str:
        """Who moves heads: the wished mover; else the prior, or where a card moves many at once, or where motions are
        only told and not drawn, the codebook."""
        usual = DEFAULT_MOVER if self.device == "cpu" and self.method == "geometry" else CODEBOOK
        return self.mover or usual

    def heard_ahead(self, wished_ms: int) -> int:
        """The look-ahead of a session, in milliseconds: the wished one, but the longest for SadTalker (132.5 ms)."""
        return LOOK_AHEADS_MS[-1] if self.method == "sadtalker" else wished_ms


def checked_seed(seed: int) -> int:
    """``seed`` if it can be one. Raises VivifyError otherwise."""
    if not 0 <= seed < 1 << 63:
        raise VivifyError(f"A seed was expected to be a whole number from 0 on, below 2^63, but {seed} was given.")
    return seed


def checked(quality: str) -> Quality:
    """``quality`` if there is such a one. Raises VivifyError otherwise."""
    for known in get_args(Quality):
        if quality == known:
            return cast(Quality, known)
    raise VivifyError(f"The quality must be one of {', '.join(get_args(Quality))}, but '{quality}' was given.")
