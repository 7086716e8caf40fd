"""From a torch module to an ONNX program without weights: they stay in their safetensors file, and travel once.

Weights are inputs while the program is optimised, so that nothing is folded into them, and initializers that lie
elsewhere afterwards, under the names the file knows them by. What else an ONNX file would carry (where every node comes
from, shapes between them) is left out: the file is small, and the same whenever the networks are.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from engine.programs.program import Weights

OPSET = 20
WEIGHT = "model."  # what the steps call the module whose weights these are


def _attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):  # type: ignore[no-untyped-def]
    """The exporter's own form of it multiplies and reshapes all the keys of a ring, each time."""
    op = import_module("onnxscript").opset20
    scaled = op.Mul(query, op.Constant(value_float=float(query.shape[-1]) ** -0.5))
    scores = op.Add(op.MatMul(scaled, op.Transpose(key, perm=[0, 1, 3, 2])), attn_mask)
    return op.MatMul(op.Softmax(scores, axis=-1), value)


def _written(ring, dim, index, src):  # type: ignore[no-untyped-def]
    """Of `RingKVCache`: ``src`` [B, H, T, D] into slots ``index`` [B, H, T, D] of a ring, whole vectors at a time."""
    op = import_module("onnxscript").opset20
    heads = ring.shape[1]
    slot = op.Slice(index, op.Constant(value_ints=[0]), op.Constant(value_ints=[1]), op.Constant(value_ints=[3]))
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    rows = op.Range(zero, op.Squeeze(op.Shape(index, start=0, end=1)), one)
    row = op.Expand(op.Reshape(rows, op.Constant(value_ints=[-1, 1, 1, 1])), op.Shape(slot))
    head = op.Constant(value_ints=list(range(heads)))
    head = op.Expand(op.Reshape(head, op.Constant(value_ints=[1, heads, 1, 1])), op.Shape(slot))
    return op.ScatterND(ring, op.Concat(row, head, slot, axis=3), src)


def _convolved(x, weight, bias=None, stride=(1,), padding=(0,), dilation=(1,), groups=1):  # type: ignore[no-untyped-def]
    """A convolution over a few steps as one product for all rows: the runtime's own goes row by row."""
    op = import_module("onnxscript").opset20
    out, channels, kernel = weight.shape
    if groups != 1:
        given = {"strides": list(stride), "dilations": list(dilation), "group": groups}
        return op.Conv(x, weight, bias, **given) if bias is not None else op.Conv(x, weight, **given)
    steps = (x.shape[2] - dilation[0] * (kernel - 1) - 1) // stride[0] + 1
    places = [stride[0] * s + dilation[0] * k for s in range(steps) for k in range(kernel)]
    seen = op.Gather(x, op.Constant(value_ints=places), axis=2)  # [B, C, steps * kernel]
    seen = op.Reshape(seen, op.Constant(value_ints=[-1, channels, steps, kernel]))
    seen = op.Reshape(op.Transpose(seen, perm=[0, 2, 1, 3]), op.Constant(value_ints=[-1, channels * kernel]))
    flat = op.Transpose(op.Reshape(weight, op.Constant(value_ints=[out, channels * kernel])), perm=[1, 0])
    y = op.Reshape(op.Add(op.MatMul(seen, flat), bias), op.Constant(value_ints=[-1, steps, out]))
    return op.Transpose(y, perm=[0, 2, 1])


def _forms() -> dict[Any, Any]:
    """What is written in another form than the exporter's."""
    aten = torch.ops.aten
    return {
        aten.scaled_dot_product_attention.default: _attention,
        aten.scatter.src: _written,
        aten.conv1d.default: _convolved,
    }


def exported(
    step: nn.Module, given: Mapping[str, Tensor], outputs: list[str], weights: Weights, any_rows: bool = True
) -> onnx.ModelProto:
    """``step`` of ``given`` as a program; ``any_rows`` leaves the length of the inputs' first axis open."""
    rows = {0: torch.export.Dim("rows", min=1)} if any_rows else None
    plain = [rows for name in given if not name.startswith("ring")]
    rings = tuple(rows for name in given if name.startswith("ring"))  # they come as one list of arguments
    program = torch.onnx.export(
        step.eval(),
        tuple(given.values()),
        dynamo=True,
        verbose=False,
        optimize=False,
        opset_version=OPSET,
        input_names=list(given),
        output_names=outputs,
        dynamic_shapes=(*plain, rings) if any_rows and rings else tuple(plain) if any_rows else None,
        custom_translation_table=_forms(),
    )
    assert program is not None
    model = _without_weights(program.model_proto, weights)
    _prove_rings(model)
    return model


def tensors(model: onnx.ModelProto) -> list[str]:
    """The names of the weights that a program needs."""
    return sorted(t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL)


def _prove_rings(model: onnx.ModelProto) -> None:
    """Rings may be written where they lie: each is read by the node alone that makes the next ring of it."""
    for given in model.graph.input:
        if given.name.startswith("ring"):
            readers = [node for node in model.graph.node if given.name in node.input and node.op_type != "Shape"]
            made = [(node.op_type, *node.output) for node in readers]
            known = [[(op_type, f"{given.name}.next")] for op_type in ("ScatterND", "Identity")]
            assert made in known, f"{given.name} is read by {made}"


def _without_weights(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    graph = model.graph
    own = {t.name: t for t in graph.initializer if t.name.removeprefix(WEIGHT) in weights.tensors}
    rest = [t for t in graph.initializer if t.name not in own]
    _fill(graph.initializer, rest)
    graph.input.extend(onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in own.values())
    model = import_module("onnxscript.optimizer").optimize(model)  # only who exports needs the package
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    _fill(graph.input, [i for i in graph.input if i.name not in own])
    graph.initializer.extend(_elsewhere(own[name], weights) for name in sorted(own) if name in used)
    for node in graph.node:
        node.input[:] = [name.removeprefix(WEIGHT) if name in own else name for name in node.input]
    for held in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        held.ClearField("doc_string")
        held.ClearField("metadata_props")
    del graph.value_info[:]
    return model


def _fill(field: Any, items: list[Any]) -> None:
    """Put ``items`` into a repeated field of a message, instead of what it held."""
    del field[:]
    field.extend(items)


def _elsewhere(tensor: onnx.TensorProto, weights: Weights) -> onnx.TensorProto:
    """An initializer that says where its values are, as far as a program may know: in which file."""
    out = onnx.TensorProto(name=tensor.name.removeprefix(WEIGHT), data_type=tensor.data_type, dims=tensor.dims)
    out.data_location = onnx.TensorProto.EXTERNAL
    out.external_data.add(key="location", value=weights.path.name)
    return out
