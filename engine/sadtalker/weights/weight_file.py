"""Our file of weights: safetensors with a JSON header, every tensor NETWORK.NAME."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.sadtalker.weights.network_set import MAKERS, MODES, Sizes, expected, sizes_as_json, sizes_from_json

FORMAT, VERSION = "vivify-sadtalker", 1
POINTS = "standard_points"  # [5, 3], beside the networks
OPTIONAL = {f"mapping_{mode}" for mode in MODES}  # one of the two is enough
NetworkT = TypeVar("NetworkT", bound=nn.Module)

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Weights:
    """An open file: its networks are made when they are asked for."""

    path: Path
    sizes: Sizes
    pixels: int  # that the generator was trained for: 256 or 512
    modes: tuple[str, ...]
    points: FloatArray  # [5, 3]

    def network(self, name: str, kind: type[NetworkT]) -> NetworkT:
        """One of them with its weights, in eval, without gradients. Raises VivifyError when it is damaged."""
        with torch.device("meta"):
            network = MAKERS[name](self.sizes)
        with safe_open(str(self.path), framework="pt") as file:
            tensors = {key: file.get_tensor(f"{name}.{key}") for key in network.state_dict()}
        for key, value in tensors.items():
            check_numbers(f"{name}.{key}", value, self.path.name)
        network.load_state_dict(tensors, assign=True)
        return cast(kind, network.eval().requires_grad_(False))  # type: ignore[valid-type]


def check_numbers(name: str, value: Tensor, where: str) -> None:
    """Raises VivifyError for a tensor that holds what is no number, or no floats."""
    if name.endswith("num_batches_tracked"):
        return
    if value.dtype != torch.float32:
        raise VivifyError(f"'{name}' in {where} was expected to be float32, but is {str(value.dtype)[6:]}.")
    if not bool(torch.isfinite(value).all()):
        raise VivifyError(f"'{name}' in {where} holds what is no number: download the official weights again.")


def check_names(found: dict[str, tuple[int, ...]], sizes: Sizes, where: str, without_mappings: bool = False) -> None:
    """Every tensor at its place, none missing, none left over, each of its shape. Raises VivifyError by name."""
    wanted = expected(sizes)
    present = {name.split(".", 1)[0] for name in found}
    if not OPTIONAL & present and not without_mappings:
        raise VivifyError(f"{where} was expected to hold a mapping network, for 'crop' or 'full', but holds neither.")
    needed = {f"{n}.{k}": s for n, part in wanted.items() if n not in OPTIONAL or n in present for k, s in part.items()}
    if missing := sorted(set(needed) - set(found)):
        raise VivifyError(f"'{missing[0]}' is missing in {where}{_more(missing)}: download the official weights again.")
    if extra := sorted(set(found) - set(needed)):
        raise VivifyError(f"'{extra[0]}' in {where} belongs to no network of SadTalker's{_more(extra)}.")
    for name, shape in needed.items():
        if found[name] != shape:
            raise VivifyError(
                f"'{name}' in {where} was expected to have the shape {list(shape)}, but has {list(found[name])}."
            )


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def write_weights(
    path: Path, tensors: Tensors, sizes: Sizes, pixels: int, points: FloatArray, facts: dict[str, Any]
) -> None:
    """Write ``path`` whole or not at all. Raises VivifyError when it cannot be written or the tensors are not all."""
    check_names({name: tuple(value.shape) for name, value in tensors.items()}, sizes, "what was given")
    modes = [mode for mode in MODES if any(name.startswith(f"mapping_{mode}.") for name in tensors)]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "pixels": pixels,
        "modes": modes,
        "sizes": sizes_as_json(sizes),
        **facts,
    }
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({**tensors, POINTS: torch.from_numpy(np.ascontiguousarray(points, np.float32))}, part, _text(header))
        os.replace(part, path)
    except (OSError, SafetensorError) as problem:
        raise VivifyError(f"The weights could not be written to {path} ({problem}): choose another place.") from problem
    finally:
        with suppress(OSError):
            part.unlink()


def _text(header: dict[str, Any]) -> dict[str, str]:
    return {"vivify": json.dumps(header)}


def open_weights(path: Path) -> Weights:
    """Look into a file of ours. Raises VivifyError when it is missing, damaged, or somebody else's."""
    if not path.is_file():
        raise VivifyError(
            f"Weights of SadTalker were expected at {path}, but there is no such file: "
            "vivify sadtalker import OFFICIAL_FOLDER -o FILE.safetensors makes one of the official ones."
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("vivify", "{}"))
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  no dictionary
            points = file.get_tensor(POINTS).numpy() if found.pop(POINTS, None) == (5, 3) else None
    except (SafetensorError, OSError, ValueError) as problem:
        raise VivifyError(
            f"{path.name} is cut short or no file of weights: import the official ones again."
        ) from problem
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise VivifyError(
            f"{path.name} was not made by Vivify: vivify sadtalker import OFFICIAL_FOLDER -o FILE.safetensors does."
        )
    if header.get("version") != VERSION or header.get("pixels") not in (256, 512) or points is None:
        raise VivifyError(f"{path.name} was made by another version: import the official weights again.")
    if not np.isfinite(points).all():
        raise VivifyError(f"'{POINTS}' in {path.name} holds what is no number: import the official weights again.")
    sizes = sizes_from_json(header.get("sizes"))
    check_names(found, sizes, path.name)
    modes = tuple(mode for mode in MODES if any(name.startswith(f"mapping_{mode}.") for name in found))
    return Weights(path, sizes, header["pixels"], modes, points)
