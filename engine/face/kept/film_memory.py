"""What an avatar keeps of a film of its person: looks that a photo does not show, and manner. ``film.safetensors``.

A region's look is what a film showed beyond the picture that geometry paints, as a function of what the face does:
``phi(z) @ looks``, the first of them linear, the others what single frames showed beyond that, each where the face does
about the same. Where nothing moves nothing is added.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.face.kept.own_network import OwnNetwork, own_network

FILE = "film.safetensors"
MOST_BYTES = 32_000_000
REGIONS = ("mouth", "eye_right", "eye_left")
SAID = 49  # of the networks: nine articulators and the probabilities of forty phones
HELD = 5  # blendshapes of the lips' corners that a person holds otherwise
SQUARED = 3  # of the first axes, whose products count as well
MOST_AXES, MOST_RAW, MOST_SIDE, MOST_SEEN, MOST_PLACES = 24, 256, 256, 64, 64
HEAD, DRIFTS = 5, 7  # numbers that tell where a head is, and terms made of them
NODES = 18  # a side, of the grid by which surroundings drift
VERTICES = 468  # of the face's mesh
MOST_VIEWS, MOST_WIDE = 4, 2304  # of turned heads, and their pixels a side


@dataclass(frozen=True)
class Look:
    """One region. n axes of r raw features; m = 1 + n + 6 terms; k single frames; a canvas of h x w pixels."""

    axes: FloatArray  # [r, n] from raw features to those that count, of size 1 in the film
    low: FloatArray  # [n] bounds seen in the film, 0 within
    high: FloatArray  # [n]
    reach: FloatArray  # [1] the farthest from rest that the film went
    looks: np.ndarray  # [m + k, h, w, 3] int8
    steps: FloatArray  # [m + k] grey levels of one step of ``looks``
    under: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [3] RGB that looks are added to
    # between the lips, instead of the teeth and tongue that geometry paints; empty where these stay
    onto: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [m, d] from terms to numbers by
    seen: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [k, d] which frames are near
    places: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [K, n] where the film's lie
    beside: FloatArray = field(default_factory=lambda: np.zeros(2, np.float32))  # [2] how near one of those must be to
    # count, and how far from them a face may be


@dataclass(frozen=True)
class Manner:
    """How this person moves, beside everybody."""

    opening: FloatArray = field(
        default_factory=lambda: np.zeros(0, np.float32)
    )  # [51], by `heard` in `engine.motion.manner`
    head: FloatArray = field(default_factory=lambda: np.ones(3, np.float32))  # [3] factors of yaw, pitch and roll
    blink_gap: FloatArray = field(default_factory=lambda: np.ones(1, np.float32))  # [1] factor of pauses between blinks
    corners: FloatArray = field(
        default_factory=lambda: np.zeros(0, np.float32)
    )  # [5] what is added in speech to `CORNERS` of `engine.motion.manner`


@dataclass(frozen=True)
class Drift:
    """Where hair, ears, neck and shoulders go as the head moves, beyond what a sheet hung on the face says."""

    usual: FloatArray  # [5] how far this head moves: `engine.render.remembered.drifting.head_numbers` count in it
    low: FloatArray  # [5] bounds seen in the film, 0 within
    high: FloatArray  # [5]
    nodes: FloatArray  # [7, 18, 18, 2] pixels of the portrait by term, over the portrait and its margin


@dataclass(frozen=True)
class View:
    """What a head turned so far shows beyond the portrait, as its texture's difference.

    h is the side of the portrait with its margins.
    """

    turn: FloatArray  # [2] sines of turn and nod
    beside: np.ndarray  # [h, h, 4] int8, in steps of two grey levels; the fourth is 0
    covered: FloatArray  # [468] how much of the face's own texture it covers at each vertex


@dataclass(frozen=True)
class FilmMemory:
    """All of it."""

    looks: dict[str, Look]
    manner: Manner
    drift: Drift | None = None
    views: tuple[View, ...] = ()
    network: OwnNetwork | None = None

    def save(self, folder: Path) -> None:
        """Write ``film.safetensors`` into an avatar's ``folder``."""
        arrays = {f"manner.{f.name}": np.ascontiguousarray(getattr(self.manner, f.name)) for f in fields(Manner)}
        for name, look in self.looks.items():
            arrays |= {f"{name}.{f.name}": np.ascontiguousarray(getattr(look, f.name)) for f in fields(Look)}
        if self.drift:
            arrays |= {f"drift.{f.name}": np.ascontiguousarray(getattr(self.drift, f.name)) for f in fields(Drift)}
        for k, view in enumerate(self.views):
            arrays |= {f"view{k}.{f.name}": np.ascontiguousarray(getattr(view, f.name)) for f in fields(View)}
        if self.network:
            arrays |= self.network.arrays()
        save_file(arrays, Path(folder) / FILE)

    @staticmethod
    def load(folder: Path) -> FilmMemory | None:
        """What ``folder`` keeps, or None. Raises VivifyError when it is damaged."""
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            if path.stat().st_size > MOST_BYTES:
                raise ValueError("too large")
            arrays = dict(load_file(path))
            looks = {name: _look(arrays, name) for name in REGIONS if f"{name}.looks" in arrays}
            views = tuple(_view(arrays, f"view{k}") for k in range(MOST_VIEWS) if f"view{k}.beside" in arrays)
            drift = _drift(arrays) if "drift.nodes" in arrays else None
            return FilmMemory(looks, _manner(arrays), drift, views, own_network(arrays))
        except (OSError, ValueError, KeyError, SafetensorError) as problem:
            raise VivifyError(
                f"What {folder} keeps of its film is damaged, or of an earlier version ({problem}): "
                f"delete {FILE}, or enrol the film again."
            ) from problem


def _manner(arrays: dict[str, np.ndarray]) -> Manner:
    arrays = {"manner.corners": Manner().corners} | arrays  # which films taught nothing of, once
    manner = Manner(**{f.name: arrays[f"manner.{f.name}"] for f in fields(Manner)})
    shapes = [len(manner.opening) in (0, SAID + 2), manner.head.shape == (3,), manner.blink_gap.shape == (1,)]
    shapes.append(len(manner.corners) in (0, HELD))
    numbers = (manner.opening, manner.head, manner.blink_gap, manner.corners)
    if not all(shapes) or not all(x.dtype == np.float32 and np.isfinite(x).all() and x.ndim == 1 for x in numbers):
        raise ValueError("manner")
    return manner


def _drift(arrays: dict[str, np.ndarray]) -> Drift:
    drift = Drift(**{f.name: arrays[f"drift.{f.name}"] for f in fields(Drift)})
    numbers = (drift.usual, drift.low, drift.high, drift.nodes)
    shapes = [x.shape for x in numbers] == [(HEAD,)] * 3 + [(DRIFTS, NODES, NODES, 2)]
    sane = all(x.dtype == np.float32 and np.isfinite(x).all() and (np.abs(x) < 1e4).all() for x in numbers)
    if not shapes or not sane or not (drift.usual > 0).all():
        raise ValueError("drift")
    return drift


def _view(arrays: dict[str, np.ndarray], name: str) -> View:
    view = View(**{f.name: arrays[f"{name}.{f.name}"] for f in fields(View)})
    picture, numbers = view.beside, (view.turn, view.covered)
    right = picture.dtype == np.int8 and picture.ndim == 3 and picture.shape[2] == 4
    right = right and picture.shape[0] == picture.shape[1] <= MOST_WIDE and not picture[..., 3].any()
    right = right and view.turn.shape == (2,) and view.covered.shape == (VERTICES,)
    if not right or not all(x.dtype == np.float32 and (np.abs(x) < 1.01).all() for x in numbers):
        raise ValueError(name)
    return view


def _look(arrays: dict[str, np.ndarray], name: str) -> Look:
    """Raises ValueError or KeyError unless every array is what `Look` says. Earlier films lack the last five."""
    given = {f.name: arrays[f"{name}.{f.name}"] for f in fields(Look) if f"{name}.{f.name}" in arrays}
    look = Look(**({f.name: arrays[f"{name}.{f.name}"] for f in fields(Look)[:6]} | given))
    raw, count = look.axes.shape
    single = len(look.seen)
    terms = 1 + count + SQUARED * (SQUARED + 1) // 2
    right = (
        SQUARED <= count <= MOST_AXES
        and raw <= MOST_RAW
        and look.low.shape == look.high.shape == (count,)
        and look.reach.shape == (1,)
        and look.looks.dtype == np.int8
        and look.looks.ndim == 4
        and look.looks.shape[0] == terms + single
        and look.looks.shape[3] == 3
        and min(look.looks.shape[1:3]) >= 8
        and max(look.looks.shape[1:3]) <= MOST_SIDE
        and look.steps.shape == (terms + single,)
        and look.under.shape in ((0,), (3,))
        and single <= MOST_SEEN
        and look.onto.ndim == look.seen.ndim == 2
        and look.places.ndim == 2
        and len(look.places) <= MOST_PLACES
        and (not len(look.places) or (look.places.shape[1] == count and (look.beside > 0).all()))
        and look.beside.shape == (2,)
        and (not single or (look.onto.shape[0] == terms and look.onto.shape[1] == look.seen.shape[1] <= MOST_AXES))
    )
    numbers = [getattr(look, f.name) for f in fields(Look) if f.name != "looks"]
    if not right or not all(x.dtype == np.float32 and np.isfinite(x).all() for x in numbers):
        raise ValueError(name)
    return look
