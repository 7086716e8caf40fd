"""Networks that a user brings as ONNX files, for losses to look through: VGG's features, a gaze encoder's.

ONNX Runtime gives no gradients, so the graph is carried out by torch: the operations of such classifiers, and a
sentence for any other. Nothing of them is trained.
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

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which both of them were trained with


def _pads(x: Tensor, given: dict[str, Any], fill: float = 0.0) -> Tensor:
    pads = given.get("pads", [0, 0, 0, 0])
    return F.pad(x, (pads[1], pads[3], pads[0], pads[2]), value=fill) if any(pads) else x


def _conv(given: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    strides, spread = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    return F.conv2d(_pads(x, given), weight, bias, tuple(strides), 0, tuple(spread), given.get("group", 1))


def _most(given: dict[str, Any], x: Tensor) -> Tensor:
    padded = _pads(x, given, -float("inf"))
    return F.max_pool2d(padded, given["kernel_shape"], given.get("strides", 1), ceil_mode=bool(given.get("ceil_mode")))


def _average(given: dict[str, Any], x: Tensor) -> Tensor:
    pads = given.get("pads", [0, 0, 0, 0])
    counted = bool(given.get("count_include_pad"))
    step, ceil = given.get("strides", 1), bool(given.get("ceil_mode"))
    return F.avg_pool2d(x, given["kernel_shape"], step, tuple(pads[:2]), ceil, counted)


def _gemm(given: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    x = x.T if given.get("transA") else x
    product = given.get("alpha", 1.0) * (x @ (weight.T if given.get("transB") else weight))
    return product if bias is None else product + given.get("beta", 1.0) * bias


def _batch_norm(given: dict[str, Any], x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    return F.batch_norm(x, mean, spread, scale, bias, eps=given.get("epsilon", 1e-5))


def _mean(given: dict[str, Any], x: Tensor, axes: Tensor | None = None) -> Tensor:
    along = axes.tolist() if axes is not None else given.get("axes", list(range(x.dim())))
    return x.mean(tuple(along), keepdim=bool(given.get("keepdims", 1)))


def _reshape(given: dict[str, Any], x: Tensor, shape: Tensor) -> Tensor:
    if given.get("allowzero"):
        return x.reshape(shape.tolist())
    return x.reshape([x.shape[k] if side == 0 else int(side) for k, side in enumerate(shape.tolist())])


def _clip(given: dict[str, Any], x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    low = given.get("min") if low is None else low
    high = given.get("max") if high is None else high
    return torch.clamp(x, low, high) if low is not None or high is not None else x  # type: ignore[call-overload,no-any-return]


def _flatten(given: dict[str, Any], x: Tensor) -> Tensor:
    axis = given.get("axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda given, a, b: a + b,
    "AveragePool": _average,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda given, *parts: torch.cat(parts, given["axis"]),
    "Conv": _conv,
    "Div": lambda given, a, b: a / b,
    "Dropout": lambda given, x, *rest: x,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda given, x: x.mean((2, 3), keepdim=True),
    "Identity": lambda given, x: x,
    "LeakyRelu": lambda given, x: F.leaky_relu(x, given.get("alpha", 0.01)),
    "MatMul": lambda given, a, b: a @ b,
    "MaxPool": _most,
    "Mul": lambda given, a, b: a * b,
    "ReduceMean": _mean,
    "Relu": lambda given, x: F.relu(x),
    "Reshape": _reshape,
    "Shape": lambda given, x: torch.tensor(x.shape[given.get("start", 0) : given.get("end", x.dim())]),
    "Sigmoid": lambda given, x: torch.sigmoid(x),
    "Sub": lambda given, a, b: a - b,
    "Transpose": lambda given, x: x.permute(given["perm"]),
}


class OutsideNetwork(nn.Module):
    """Pictures [N, 3, H, W] in [0, 1] -> what every output of an ONNX file says of them, a list.

    The file takes one batch of pictures, N free or 1, as ImageNet's networks have them: RGB, normalised by `MEAN` and
    `SPREAD`; pictures are resized to its height and width where these are fixed. Raises VivifyError when the file
    cannot be read or has an operation that is not among `OPERATIONS`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            graph = onnx.load(str(path)).graph
        except Exception as error:  # protobuf's own, of no common class
            raise VivifyError(
                f"'{path}' was expected to be an ONNX file, but cannot be read: export it anew."
            ) from error
        inputs = [value for value in graph.input if value.name not in {held.name for held in graph.initializer}]
        sides = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
        if len(sides) != 4 or sides[1] not in (0, 3):
            raise VivifyError(
                f"'{path}' was expected to take pictures [N, 3, H, W] and nothing else, but does not: export it "
                "with them as its only input."
            )
        unknown = sorted({node.op_type for node in graph.node} - set(OPERATIONS) - {"Constant"})
        if unknown:
            raise VivifyError(
                f"'{path}' was expected to be a network of {', '.join(OPERATIONS)}, but has {', '.join(unknown)}: "
                "export only the layers whose features are compared."
            )
        self._input, self._outputs = inputs[0].name, [value.name for value in graph.output]
        self._size = (sides[2], sides[3]) if sides[2] and sides[3] else None
        self._single = sides[0] == 1
        self._nodes, self._held = [], {}
        arrays = [(held.name, numpy_helper.to_array(held)) for held in graph.initializer]
        for node in graph.node:
            given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                value = given.get("value")
                held = numpy_helper.to_array(value) if value is not None else np.array(next(iter(given.values())))
                arrays.append((node.output[0], held))
            else:
                self._nodes.append((OPERATIONS[node.op_type], given, list(node.input), node.output[0]))
        for number, (name, array) in enumerate(arrays):
            self.register_buffer(f"held{number}", torch.from_numpy(np.array(array)), persistent=False)
            self._held[name] = f"held{number}"
        self.register_buffer("middle", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1), persistent=False)

    middle: Tensor
    spread: Tensor

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = (pictures - self.middle) / self.spread
        if self._size and tuple(x.shape[2:]) != self._size:
            x = F.interpolate(x, self._size, mode="bilinear", align_corners=False, antialias=True)
        if not self._single:
            return self._carried_out(x)
        rows = [self._carried_out(row) for row in x.split(1)]
        return [torch.cat(parts) for parts in zip(*rows, strict=True)]

    def _carried_out(self, x: Tensor) -> list[Tensor]:
        known = {name: getattr(self, held) for name, held in self._held.items()} | {self._input: x}
        for operation, given, inputs, output in self._nodes:
            known[output] = operation(given, *[known[name] if name else None for name in inputs])
        return [known[name] for name in self._outputs]
