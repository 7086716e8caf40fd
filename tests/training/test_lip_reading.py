"""The lip-reading loss: a mouth is drawn with gradients, and read by a network that somebody gives as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from engine.errors import VivifyError
from engine.export.onnx_in_torch import OnnxInTorch, graph_of
from engine.face.blendshapes import INDEX, NAMES
from engine.training.sadtalker.coefficient_space import arkit_space, official_space
from engine.training.sadtalker.lip_reading import MouthPictures, MouthReader

pytestmark = pytest.mark.cpu


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def reader(path: Path) -> Path:
    """A tiny network of ONNX's own making: a convolution over the five pictures, a mean, letters."""
    rng = np.random.default_rng(0)
    held = {
        "w": rng.normal(0, 0.3, (4, 1, 5, 8, 8)).astype(np.float32),
        "b": np.zeros(4, np.float32),
        "out": rng.normal(0, 2.0, (4, 6)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["mouths", "w", "b"], ["c"], strides=[1, 8, 8], kernel_shape=[5, 8, 8]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "out"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "reader",
        [helper.make_tensor_value_info("mouths", TensorProto.FLOAT, ["n", 1, 5, 88, 88])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 6])],
        [onnx.numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def test_torch_runs_the_file_as_onnx_runtime_does(tmp_path: Path) -> None:
    path = reader(tmp_path / "reader.onnx")
    mouths = np.random.default_rng(3).random((2, 1, 5, 88, 88), np.float32)
    wanted = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"mouths": mouths})
    (said,) = OnnxInTorch(graph_of(path, "a reader"), "a reader")(torch.from_numpy(mouths))
    np.testing.assert_allclose(said.numpy(), wanted[0], rtol=1e-4, atol=1e-4)


def test_a_drawn_mouth_opens_and_pulls_its_expression(tmp_path: Path) -> None:
    draw, shapes = MouthPictures(), torch.zeros(2, len(NAMES))
    shapes[1, INDEX["jawOpen"]] = 0.6
    shut, wide = draw(shapes)
    assert 0.2 < shut.mean() < 0.95
    assert (wide < 0.05).sum() > (shut < 0.05).sum() + 50  # it is dark between the lips
    read = MouthReader(reader(tmp_path / "reader.onnx"), arkit_space())
    said = torch.zeros(1, 5, len(NAMES), requires_grad=True)
    target = torch.zeros(1, 5, len(NAMES))
    target[..., INDEX["jawOpen"]] = 0.6
    loss = read(said, target)
    loss.backward()
    assert said.grad is not None
    assert said.grad[..., INDEX["jawOpen"]].abs().sum() > 0
    assert loss > read(target, target)


def test_what_no_reader_is_gets_a_sentence(tmp_path: Path) -> None:
    odd = tmp_path / "odd.onnx"
    odd.write_bytes(b"nothing")
    with pytest.raises(VivifyError, match="expected to be the lip-reading network"):
        MouthReader(odd, arkit_space())
    node = helper.make_node("NonZero", ["x"], ["y"])
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph([node], "odd", info[:1], info[1:])), str(odd))
    with pytest.raises(VivifyError, match="operators that training cannot run through"):
        MouthReader(odd, arkit_space())
    with pytest.raises(VivifyError, match="needs --space arkit"):
        MouthReader(reader(tmp_path / "reader.onnx"), official_space())
