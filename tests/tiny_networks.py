"""Tiny ONNX networks with fixed random weights, in place of the foreign ones that figures need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tiny(path: Path, shape: tuple[int, ...], features: int = 4, batch: int | str = "N") -> Path:
    """A network that flattens [N, *shape] and multiplies it with fixed random numbers."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 1 / np.sqrt(np.prod(shape)), (int(np.prod(shape)), features)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, features])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
