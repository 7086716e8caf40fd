"""A network as an exported program, run by ONNX Runtime on one core; no torch.

A program (``assets/programs/``, written by ``scripts/export_networks``) says what is done and holds no weights. They
are read from the safetensors file that training writes and torch reads too: so they travel once, and new weights of the
same sizes need no new program. An index beside the programs says which weights a program was made for.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from safetensors import SafetensorError, safe_open

from engine.errors import VivifyError

Array = np.ndarray[Any, np.dtype[Any]]
INDEX = "index.json"
MOST_BOUND = 128  # stretches of rows that are kept ready to be run; one takes a tenth of a millisecond to make
_REMEDY = "reinstall vivify, or make it anew with scripts/export_networks"
_KINDS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class Weights:
    """The tensors of a weights file, by name. Raises VivifyError for a missing or damaged one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise VivifyError(f"Weights were expected at {path}, but there is no such file: reinstall vivify.")
        try:
            with safe_open(str(path), framework="np") as file:
                config = json.loads((file.metadata() or {})["config"])
                self.tensors: dict[str, Array] = {name: file.get_tensor(name) for name in sorted(file.keys())}
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0].rstrip(".: ")
            raise VivifyError(f"{path} should hold weights, but cannot be read ({reason}): restore it.") from error
        sizes = {name: [str(value.dtype), *value.shape] for name, value in self.tensors.items()}
        whole = json.dumps([config, sizes], sort_keys=True)
        self.fingerprint = hashlib.sha256(whole.encode()).hexdigest()[
            :16
        ]  # of the networks' sizes, not of their values

    def digest(self) -> bytes:
        """SHA-256 of names and values: which weights these are."""
        found = hashlib.sha256()
        for name, value in self.tensors.items():
            found.update(name.encode() + b"\0" + np.ascontiguousarray(value).tobytes())
        return found.digest()

    def exchanged(self, others: Mapping[str, Array]) -> Weights:
        """These weights, some of them exchanged. Raises ValueError for names or shapes that are not among them."""
        for name, value in others.items():
            if name not in self.tensors or self.tensors[name].shape != value.shape:
                raise ValueError(f"{name} {list(value.shape)}")
        out = copy.copy(self)
        out.tensors = {name: others[name].astype(x.dtype) if name in others else x for name, x in self.tensors.items()}
        return out


@cache
def _index(folder: Path) -> dict[str, dict[str, Any]]:
    """What the index of ``folder`` tells of each program: its digest, its weights' fingerprint and tensors, and notes.

    Raises VivifyError for a missing or damaged one.
    """
    path = folder / INDEX
    try:
        return cast(dict[str, dict[str, Any]], json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise VivifyError(f"The index of exported networks at {path} cannot be read: {_REMEDY}.") from error


def told(path: Path) -> dict[str, Any]:
    """What the index beside it tells of the program at ``path``. Raises VivifyError where that is nothing."""
    known = _index(path.parent).get(path.stem)
    if known is None:
        raise VivifyError(f"The index beside {path} does not tell of it: {_REMEDY}.")
    return known


def session(path: Path, weights: Weights) -> onnxruntime.InferenceSession:
    """The program at ``path`` with its weights, on one core.

    Raises VivifyError where program or weights are missing or damaged, or do not belong together.
    """
    known = told(path)
    if not path.is_file():
        raise VivifyError(f"An exported network was expected at {path}, but there is no such file: {_REMEDY}.")
    model = path.read_bytes()
    if hashlib.sha256(model).hexdigest() != known["sha256"]:
        raise VivifyError(f"{path} is not the exported network that the index beside it tells of: {_REMEDY}.")
    if weights.fingerprint != known["fits"]:
        raise VivifyError(
            f"{path} was exported for networks of other sizes than those of {weights.path}: export these with "
            "scripts/export_networks, or use the weights that came with this version."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # so small that a second thread would only wait
    options.log_severity_level = 3
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(weights.tensors[name]) for name in known["tensors"]]
    options.add_external_initializers(known["tensors"], values)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Program:
    """An exported network and the arrays it reads and writes, for up to ``rows`` rows. Raises as `session`.

    ``inputs`` are to be filled and ``outputs`` read in their first rows. A ring is written where it lies: nothing reads
    it but what makes the next one of it (`engine.export.onnx_program` sees to that).
    """

    def __init__(self, path: Path, weights: Weights, rows: int = 1, lent: dict[str, Array] | None = None) -> None:
        """``lent`` are arrays of other programs, by the names that inputs and outputs of this one have."""
        self.notes = told(path)
        self._session = session(path, weights)
        self._bindings = lru_cache(MOST_BOUND)(self._bound)
        known = dict(lent or {})
        self.inputs = {i.name: known.get(i.name, _array(i, rows)) for i in self._session.get_inputs()}
        known |= {f"{name}.next": array for name, array in self.inputs.items() if name.startswith("ring")}
        self.outputs = {o.name: known.get(o.name, _array(o, rows)) for o in self._session.get_outputs()}

    def run(self, rows: int = 1, first: int = 0) -> None:
        """Run ``rows`` rows, from ``first`` on."""
        self._session.run_with_iobinding(self._bindings(first, rows))

    def run_stretch(self, rows: Array) -> None:
        """Run from the first to the last of ``rows`` [n], which rise; what it says of others between is dropped."""
        self.run(int(rows[-1] - rows[0]) + 1, int(rows[0]))

    def _bound(self, first: int, rows: int) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        for bind, arrays in ((binding.bind_input, self.inputs), (binding.bind_output, self.outputs)):
            for name, array in arrays.items():
                part = array[first : first + rows]
                bind(name, "cpu", 0, part.dtype.type, part.shape, part.ctypes.data)
        return binding


def _array(node: onnxruntime.NodeArg, rows: int) -> Array:
    """Zeros for an input or output, ``rows`` of them where the program leaves that open."""
    return np.zeros([rows if isinstance(size, str) else size for size in node.shape], _KINDS[node.type])
