"""A network that somebody gives as an ONNX file, run by torch, so that gradients flow through it.

ONNX Runtime has no gradients for what it is given, and a converter would bring torchvision along. What networks that
look at pictures are made of is few operators; for any other one a sentence says which.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from engine.errors import VivifyError

Given = list[Any]
Notes = dict[str, Any]


def _padded(x: Tensor, notes: Notes, value: float = 0.0) -> Tensor:
    pads = notes.get("pads") or [0] * 2 * (x.dim() - 2)
    half = len(pads) // 2
    order = [p for k in reversed(range(half)) for p in (pads[k], pads[half + k])]
    return F.pad(x, order, value=value) if any(order) else x


def _conv(given: Given, notes: Notes) -> Tensor:
    x, weight = given[:2]
    run = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.dim()]
    stride, dilation = (notes.get(k) or [1] * (x.dim() - 2) for k in ("strides", "dilations"))
    bias = given[2] if len(given) > 2 else None
    return run(_padded(x, notes), weight, bias, stride, 0, dilation, notes.get("group", 1))


def _largest(given: Given, notes: Notes) -> Tensor:
    kernel = notes["kernel_shape"]
    pool: Callable[..., Tensor] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(kernel)]
    ceil = bool(notes.get("ceil_mode"))
    return pool(_padded(given[0], notes, -torch.inf), kernel, notes.get("strides") or 1, ceil_mode=ceil)


def _average(given: Given, notes: Notes) -> Tensor:
    kernel = notes["kernel_shape"]
    pool: Callable[..., Tensor] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(kernel)]
    pads = (notes.get("pads") or [0] * 2 * len(kernel))[: len(kernel)]
    ceil, counted = bool(notes.get("ceil_mode")), bool(notes.get("count_include_pad"))
    return pool(given[0], kernel, notes.get("strides") or 1, tuple(pads), ceil, counted)


def _gemm(given: Given, notes: Notes) -> Tensor:
    a = given[0].mT if notes.get("transA") else given[0]
    b = given[1].mT if notes.get("transB") else given[1]
    y = notes.get("alpha", 1.0) * (a @ b)
    return y + notes.get("beta", 1.0) * given[2] if len(given) > 2 else y


def _whole(value: Any) -> list[int]:
    return [int(v) for v in (value.tolist() if isinstance(value, Tensor) else value)]


def _reshape(given: Given, notes: Notes) -> Tensor:
    x, wanted = given[0], _whole(given[1])
    if notes.get("allowzero"):
        return x.reshape(wanted)
    return x.reshape([x.shape[k] if size == 0 else size for k, size in enumerate(wanted)])


def _axes(given: Given, notes: Notes) -> list[int]:
    return _whole(given[1]) if len(given) > 1 else list(notes.get("axes") or [])


def _unsqueeze(given: Given, notes: Notes) -> Tensor:
    x = given[0]
    for axis in sorted(_axes(given, notes)):
        x = x.unsqueeze(axis)
    return x


def _squeeze(given: Given, notes: Notes) -> Tensor:
    axes = _axes(given, notes)
    return given[0].squeeze(tuple(axes)) if axes else given[0].squeeze()


def _mean(given: Given, notes: Notes) -> Tensor:
    axes = _axes(given, notes) or list(range(given[0].dim()))
    return given[0].mean(axes, keepdim=bool(notes.get("keepdims", 1)))


def _norm(given: Given, notes: Notes) -> Tensor:
    x, scale, shift, mean, spread = given
    return F.batch_norm(x, mean, spread, scale, shift, False, 0.0, notes.get("epsilon", 1e-5))


def _prelu(given: Given, _: Notes) -> Tensor:
    x, slope = given
    return torch.where(x < 0, x * slope, x)


def _clip(given: Given, notes: Notes) -> Tensor:
    low, high = (given[k] if len(given) > k else notes.get(name) for k, name in ((1, "min"), (2, "max")))
    return given[0].clamp(low, high) if low is not None or high is not None else given[0]


OPERATORS: dict[str, Callable[[Given, Notes], Any]] = {
    "Add": lambda g, _: g[0] + g[1],
    "AveragePool": _average,
    "BatchNormalization": _norm,
    "Clip": _clip,
    "Concat": lambda g, n: torch.cat(g, n["axis"]),
    "Conv": _conv,
    "Div": lambda g, _: g[0] / g[1],
    "Dropout": lambda g, _: g[0],
    "Elu": lambda g, n: F.elu(g[0], n.get("alpha", 1.0)),
    "Flatten": lambda g, n: g[0].reshape(int(np.prod(g[0].shape[: n.get("axis", 1)])), -1),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda g, _: g[0].mean(list(range(2, g[0].dim())), keepdim=True),
    "Identity": lambda g, _: g[0],
    "LeakyRelu": lambda g, n: F.leaky_relu(g[0], n.get("alpha", 0.01)),
    "LogSoftmax": lambda g, n: g[0].log_softmax(n.get("axis", -1)),
    "MatMul": lambda g, _: g[0] @ g[1],
    "MaxPool": _largest,
    "Mul": lambda g, _: g[0] * g[1],
    "PRelu": _prelu,
    "ReduceMean": _mean,
    "Relu": lambda g, _: g[0].relu(),
    "Reshape": _reshape,
    "Shape": lambda g, n: torch.tensor(g[0].shape[n.get("start", 0) : n.get("end", g[0].dim())]),
    "Sigmoid": lambda g, _: g[0].sigmoid(),
    "Softmax": lambda g, n: g[0].softmax(n.get("axis", -1)),
    "Squeeze": _squeeze,
    "Sub": lambda g, _: g[0] - g[1],
    "Tanh": lambda g, _: g[0].tanh(),
    "Transpose": lambda g, n: g[0].permute(n["perm"]) if n.get("perm") else g[0].mT,
    "Unsqueeze": _unsqueeze,
}


def graph_of(path: Path, what: str) -> onnx.GraphProto:
    """The graph of an ONNX file. Raises VivifyError for a file that is none; ``what`` names it."""
    try:
        return onnx.load(str(path)).graph
    except Exception as problem:  # onnx's own exceptions share no base class
        reason = str(problem).splitlines()[0]
        raise VivifyError(
            f"'{path}' was expected to be {what} as ONNX, but cannot be read: export it anew ({reason})."
        ) from problem


def inputs_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """What a network is to be given: older files name their weights among the inputs as well."""
    held = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in held]


class OnnxInTorch(nn.Module):
    """The network of a graph with one input: what each of its outputs says, a list; its weights stay as they are.

    Raises VivifyError where it takes more, or holds an operator that is not among `OPERATORS`.
    """

    def __init__(self, graph: onnx.GraphProto, what: str) -> None:
        super().__init__()
        unknown = sorted({node.op_type for node in graph.node} - set(OPERATORS) - {"Constant"})
        if unknown:
            raise VivifyError(
                f"There are operators that training cannot run through: {what} was expected to be of "
                f"{', '.join(OPERATORS)}, but has {', '.join(unknown)}: export only the layers that are needed."
            )
        inputs = [value.name for value in inputs_of(graph)]
        if len(inputs) != 1:
            raise VivifyError(f"{what} was expected to have one input, but has {', '.join(inputs) or 'none'}.")
        self._input, self._outputs = inputs[0], [value.name for value in graph.output]
        arrays = [(tensor.name, numpy_helper.to_array(tensor)) for tensor in graph.initializer]
        self._nodes = []
        for node in graph.node:
            notes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                value = notes.get("value")
                held = numpy_helper.to_array(value) if value is not None else np.array(next(iter(notes.values())))
                arrays.append((node.output[0], held))
            else:
                self._nodes.append((OPERATORS[node.op_type], list(node.input), node.output[0], notes))
        self._held = {name: f"held{number}" for number, (name, _) in enumerate(arrays)}
        for number, (_, array) in enumerate(arrays):
            self.register_buffer(f"held{number}", torch.from_numpy(np.array(array)), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        known: dict[str, Any] = {name: getattr(self, held) for name, held in self._held.items()} | {self._input: x}
        for run, names, out, notes in self._nodes:
            given = [known[name] if name else None for name in names]
            while given and given[-1] is None:  # left out at the end
                given.pop()
            known[out] = run(given, notes)
        return [known[name] for name in self._outputs]
