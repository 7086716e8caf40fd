"""Tensors out of a pickled file, in a process of its own: ``python -m engine.sadtalker.weights.pickled_part``.

This is the only place that unpickles, and it reads nothing but tensors and plain containers (``weights_only=True``).
What it finds in the entries asked for goes into a safetensors file; what it has to say, one JSON object, to standard
output.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import VivifyError

MAX_BYTES = 3 << 30  # of a pickled file; the largest released one has 2.1 GB
MEMORY_LIMIT = 6 << 30  # bytes that the process may write
MAPPED_LIMIT = 12 << 30  # bytes of addresses: torch's libraries, and the file
LIMIT_S = 300.0


@dataclass(frozen=True)
class Pickled:
    """A file, and the entries of its dictionary that are wanted."""

    path: Path
    entries: tuple[str, ...]


def read_pickled(files: Sequence[Pickled], into: Path) -> list[Path]:
    """The tensors of each file's entries, as ENTRY.NAME, in safetensors files of the folder ``into``.

    Raises VivifyError for a file that is too large, cut short, no such dictionary, holds anything that would run, or
    takes more memory or time than is set aside.
    """
    for file in files:
        if (size := file.path.stat().st_size) > MAX_BYTES:
            raise VivifyError(f"{file.path.name} is {size / 1e9:.1f} GB: at most 3 were expected.")
    given = json.dumps([[str(file.path), file.entries] for file in files])
    command = [sys.executable, "-m", "engine.sadtalker.weights.pickled_part", str(into), given]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=_environment())
    except subprocess.TimeoutExpired:
        raise VivifyError(f"The pickled files were not read within {LIMIT_S:.0f} s: are they whole?") from None
    last = (done.stdout.strip().splitlines() or [""])[-1]
    try:
        said = json.loads(last)
    except ValueError:
        raise VivifyError(_too_large("A pickled file")) from None
    if problem := said.get("error"):
        raise VivifyError(problem)
    return [into / f"{number}.safetensors" for number in range(len(files))]


def _too_large(name: str) -> str:
    return f"{name} takes more memory than the {MEMORY_LIMIT >> 30} GB set aside: is it a released file?"


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[3])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def limit() -> None:
    """Hold this process to its memory."""
    try:
        import resource
    except ImportError:
        return  # only Unix has them
    for name, most in (("RLIMIT_DATA", MEMORY_LIMIT), ("RLIMIT_AS", MAPPED_LIMIT), ("RLIMIT_CORE", 0)):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (most, most))


def extract(file: Pickled, into: Path) -> None:
    """Unpickle in this very process, which `limit` should hold first. Raises VivifyError, MemoryError."""
    import torch
    from safetensors.torch import save_file

    name = file.path.name
    try:
        found = torch.load(file.path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as problem:  # it has no class of its own for each way a pickle can be wrong
        text = str(problem)
        if "memory" in text.lower():
            raise MemoryError from problem
        if "Unsupported" in text or "Weights only load failed" in text:
            raise VivifyError(
                f"{name} holds more than numbers, which would run when read: it was not read. Take the file from "
                "SadTalker's own release."
            ) from problem
        raise VivifyError(f"{name} is cut short or no file of torch's: download it again.") from problem
    tensors: dict[str, torch.Tensor] = {}
    for entry in file.entries:
        part = found.get(entry) if isinstance(found, dict) else None
        if not isinstance(part, dict):
            raise VivifyError(f"{name} was expected to have an entry '{entry}' of tensors, but has none.")
        for key, value in part.items():
            if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
                raise VivifyError(f"'{key}' in {name} was expected to be a tensor, but is {type(value).__name__}.")
            tensors[f"{entry}.{key}"] = value.detach().clone().contiguous()
    save_file(tensors, into)


def main() -> None:
    into, given = Path(sys.argv[1]), json.loads(sys.argv[2])
    limit()
    said: dict[str, str] = {}
    name = "A pickled file"
    try:
        for number, (path, entries) in enumerate(given):
            name = Path(path).name
            extract(Pickled(Path(path), tuple(entries)), into / f"{number}.safetensors")
    except VivifyError as error:
        said["error"] = str(error)
    except MemoryError:
        said["error"] = _too_large(name)
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
