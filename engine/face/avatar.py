"""A saved identity: everything the renderer needs to know of one portrait, with no face detector at run time.

On disk an avatar is a folder: ``avatar.json`` (version, names, provenance, licence, consent), ``avatar.safetensors``
(geometry and painted panels), ``portrait.png`` (RGB with the person's matte as alpha), and ``film.safetensors`` where a
film told more. Nothing is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from engine.contracts import ByteArray, FloatArray
from engine.errors import VivifyError
from engine.face.kept.film_memory import FILE, FilmMemory
from engine.face.morphable_model import IDENTITY
from engine.face.panels import panel_shape
from engine.face.png import read_png, write_png

VERSION = 3  # 2, which is still read, took every eye for open
MAX_FILE = 64_000_000  # bytes; a real avatar holds about two million
SIZES = (256, 512, 768, 1080)  # of portraits; films may be as large


@dataclass(frozen=True)
class Avatar:
    """One enrolled portrait. Pixels are those of ``portrait``; all arrays are read-only and may be shared."""

    portrait: ByteArray  # [S, S, 3]
    matte: ByteArray  # [S, S]
    reference: FloatArray  # [468, 3] where each vertex lies in the portrait: its texture coordinate
    neutral: FloatArray  # [468, 3] the same face with its expression taken away; equal where nothing was to take
    rotation: FloatArray  # [3, 3] the head's rotation in the portrait
    scale: float  # pixels per centimetre of the face model
    shift: FloatArray  # [3] so that pixels = scale * model @ rotation.T + shift
    alpha: FloatArray  # [150] identity coefficients of VividTalk eq. 1
    residual: FloatArray  # [468, 3] what alpha leaves, in the model's frame
    smile: float  # how far the portrait's lips stood open, centimetres; 0 for closed lips
    pivot: FloatArray  # [3] the neck joint, around which the head turns
    around: FloatArray  # [G, 3] vertices outside the face
    around_triangles: np.ndarray  # [T, 3] int32, indices into the 468 followed by the G
    around_head: FloatArray  # [G] how much each follows the head's turn
    around_skin: FloatArray  # [G] how much each follows the face's expression
    around_near: np.ndarray  # [G, 6] int32, the oval vertices it hangs on
    around_share: FloatArray  # [G, 6] and how much on each
    mirror_share: FloatArray  # [468] how much of its mirror twin's texture a vertex takes once it turns into view
    mirror_gain: FloatArray  # [3] RGB factors from the twin's light to this side's
    tucked: FloatArray  # [468, 2] texture places off the outline's soft pixels, for vertices that turn into view
    rim_beyond: FloatArray  # [36, 2] texture places of the oval for the sheet, where a hidden rim turns into view
    stiff: FloatArray  # [468] how much a vertex under glasses keeps its place in any expression; 0 without glasses
    panels: ByteArray  # [h, S + 2 * margin, 3] painted textures: mouth and eyes, see engine.face.panels
    irises: FloatArray  # [2, 3] x, y, radius of each iris, the person's right first
    tones: FloatArray  # [4, 3] RGB of skin, lips, teeth, cavity
    teeth: FloatArray  # [n, 2] lower edge of the portrait's own upper teeth in pixels; empty when none are seen
    shut: FloatArray  # [2] how far the eyes were shut, as a blink, the person's right first; ``neutral`` has them open
    facts: dict[str, str] = field(default_factory=dict)  # name, source, licence, consent ...
    film: FilmMemory | None = None  # what a film of the person added

    @property
    def size(self) -> int:
        return int(self.portrait.shape[0])

    @property
    def name(self) -> str:
        return self.facts.get("name", "avatar")

    @property
    def unit(self) -> float:
        """Outer-eye-corner distance in pixels: the unit of `Motion.translation`."""
        return float(np.linalg.norm(self.reference[33] - self.reference[263]))

    def save(self, folder: Path) -> None:
        """Write its files, all of them or none. Raises `VivifyError` when the folder cannot be written."""
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder, prefix=".new-") as place:
                self._write(Path(place))
                if not self.film:  # of whoever was enrolled here before
                    (folder / FILE).unlink(missing_ok=True)
                for path in list(Path(place).iterdir()):
                    path.replace(folder / path.name)
        except (OSError, SafetensorError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise VivifyError(
                f"The avatar could not be written to {folder} ({why}): choose another folder."
            ) from problem

    def _write(self, folder: Path) -> None:
        write_png(folder / "portrait.png", np.dstack([self.portrait, self.matte]))
        save_file({k: np.ascontiguousarray(v) for k, v in self._arrays().items()}, folder / "avatar.safetensors")
        text = json.dumps({"version": VERSION, "size": self.size, **self.facts}, indent=2, ensure_ascii=False)
        (folder / "avatar.json").write_text(text + "\n", encoding="utf-8")
        if self.film:
            self.film.save(folder)

    def _arrays(self) -> dict[str, np.ndarray]:
        out = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in ("portrait", "matte", "facts", "film"):
                continue
            out[f.name] = np.array([value], np.float32) if isinstance(value, float) else value
        return out

    @staticmethod
    def load(folder: Path) -> Avatar:
        """Read an avatar folder. Raises `VivifyError` when anything in it is missing, damaged or not an avatar."""
        folder = Path(folder)
        facts = _read_facts(folder)
        arrays = _read_arrays(folder / "avatar.safetensors")
        arrays.setdefault("shut", np.zeros(2, np.float32))
        try:
            picture = read_png(folder / "portrait.png", MAX_FILE)
        except (OSError, ValueError) as problem:
            raise _broken(folder, "portrait.png cannot be read") from problem
        size = picture.shape[0]
        if picture.shape != (size, size, 4) or not 64 <= size <= 2048:
            raise _broken(folder, f"portrait.png has shape {picture.shape}")
        _check(folder, arrays, size)
        numbers = {k: float(arrays.pop(k)[0]) for k in ("scale", "smile")}
        avatar = Avatar(
            portrait=np.ascontiguousarray(picture[..., :3]),
            matte=np.ascontiguousarray(picture[..., 3]),
            facts=facts,
            film=FilmMemory.load(folder),
            **cast(Any, {**numbers, **arrays}),
        )
        for value in vars(avatar).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        return avatar


# What each array must look like: its type and shape, where a name stands for a number that must agree everywhere.
LAYOUT: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "reference": ("f", (468, 3)),
    "neutral": ("f", (468, 3)),
    "rotation": ("f", (3, 3)),
    "scale": ("f", (1,)),
    "shift": ("f", (3,)),
    "alpha": ("f", (IDENTITY,)),
    "residual": ("f", (468, 3)),
    "smile": ("f", (1,)),
    "pivot": ("f", (3,)),
    "around": ("f", ("G", 3)),
    "around_triangles": ("i", ("T", 3)),
    "around_head": ("f", ("G",)),
    "around_skin": ("f", ("G",)),
    "around_near": ("i", ("G", 6)),
    "around_share": ("f", ("G", 6)),
    "mirror_share": ("f", (468,)),
    "mirror_gain": ("f", (3,)),
    "tucked": ("f", (468, 2)),
    "rim_beyond": ("f", (36, 2)),
    "stiff": ("f", (468,)),
    "panels": ("u", ("h", "w", 3)),
    "irises": ("f", (2, 3)),
    "tones": ("f", (4, 3)),
    "teeth": ("f", ("n", 2)),
    "shut": ("f", (2,)),
}
KINDS = {"f": np.dtype(np.float32), "i": np.dtype(np.int32), "u": np.dtype(np.uint8)}


def _broken(folder: Path, what: str) -> VivifyError:
    return VivifyError(f"The avatar {folder} is damaged ({what}): enrol it again with vivify enroll.")


def _read_facts(folder: Path) -> dict[str, str]:
    path = folder / "avatar.json"
    if not path.is_file():
        raise VivifyError(
            f"An avatar folder with avatar.json was expected at {folder}, but none is there: check the name."
        )
    try:
        if path.stat().st_size > 100_000:
            raise ValueError("too long")
        facts = json.loads(path.read_text(encoding="utf-8"))
        version = facts.pop("version")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as problem:
        raise _broken(folder, "avatar.json cannot be read") from problem
    if version not in (VERSION - 1, VERSION):
        raise VivifyError(f"The avatar {folder} is of version {version}, this program reads {VERSION}: enrol it again.")
    return {str(k): str(v) for k, v in facts.items() if k != "size"}


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ValueError("too large")
        return dict(load_file(path))
    except (OSError, ValueError, SafetensorError, KeyError) as problem:
        raise _broken(path.parent, "avatar.safetensors cannot be read") from problem


def _check(folder: Path, arrays: dict[str, np.ndarray], size: int) -> None:
    missing = set(LAYOUT) - set(arrays)
    if missing or set(arrays) - set(LAYOUT):
        raise _broken(folder, f"avatar.safetensors holds {len(arrays)} arrays instead of {len(LAYOUT)}")
    sizes: dict[str, int] = {}
    for name, (kind, shape) in LAYOUT.items():
        array = arrays[name]
        agrees = array.dtype == KINDS[kind] and array.ndim == len(shape)
        for got, wanted in zip(array.shape, shape, strict=False):
            agrees = agrees and got == (sizes.setdefault(wanted, got) if isinstance(wanted, str) else wanted)
        if not agrees:
            raise _broken(folder, f"{name} has shape {array.shape} and type {array.dtype}")
        if kind == "f" and not (np.isfinite(array).all() and (np.abs(array) < 1e5).all()):
            raise _broken(folder, f"{name} holds impossible numbers")
    if arrays["panels"].shape[:2] != panel_shape(size):
        raise _broken(folder, f"panels has shape {arrays['panels'].shape}")
    points = 468 + len(arrays["around"])
    for name, limit in (("around_triangles", points), ("around_near", 468)):
        if arrays[name].size and not (arrays[name].min() >= 0 and arrays[name].max() < limit):
            raise _broken(folder, f"{name} points outside the mesh")
    if (
        not 0.1 < float(arrays["scale"][0]) < 1000
        or len(arrays["around"]) > 40_000
        or len(arrays["around_triangles"]) > 80_000
    ):
        raise _broken(folder, f"its mesh does not fit a portrait of {size} pixels")
