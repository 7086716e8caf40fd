"""The networks have the paper's shapes, and each loss is what it should be where that can be known."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from math import log
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from a2v.tiny_faces import TINY
from engine.a2v.disentanglement.disentangled import Disentangled
from engine.a2v.disentanglement.disentanglement_losses import (
    believed,
    contrastive,
    judged,
    looked_through,
    matched,
)
from engine.a2v.disentanglement.encoders import classifiers
from engine.a2v.disentanglement.memory_bank import MemoryBank, orthogonality
from engine.a2v.disentanglement.network_sizes import PAPER, Sizes
from engine.a2v.disentanglement.outside_networks import MEAN, SPREAD, OutsideNetwork
from engine.a2v.disentanglement.scale_judge import Verdict
from engine.a2v.disentanglement.style_generator import ModulatedConv
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu


def shapes(net: Disentangled) -> dict[str, tuple[int, ...]]:
    """What each network gives for two rows."""
    side = net.sizes.picture
    pictures, mels = torch.empty(2, 3, side, side), torch.empty(2, 20, 40)
    seen = net.seen(pictures)
    met, apart = net.lips_seen(seen), net.apart(seen)
    nonlips, lips = net.nonlips(apart), net.lips(met)
    appearance = net.appearance(pictures)
    made = net.draw(appearance, nonlips, lips)
    given = {"appearance": appearance, "f_v": seen, "f_cl": met, "f_ol": apart, "f_nl": nonlips, "f_l": lips}
    given |= {"f_a": net.heard(mels), "picture": made}
    given |= {f"D{k}": verdict.features[-1] for k, verdict in enumerate(net.judge(made))}
    return {name: tuple(value.shape[1:]) for name, value in given.items()}


PAPERS = {"f_v": (512,), "f_cl": (512,), "f_ol": (512,), "f_nl": (42,), "f_l": (470,), "f_a": (512,)}


def test_the_papers_sizes() -> None:
    with torch.device("meta"):
        net = Disentangled(replace(PAPER, identity="plain", visual="plain", audio="plain", plain=(8, 16)))
        told = shapes(net)
    assert told.items() >= (PAPERS | {"appearance": (2048,), "picture": (3, 224, 224)}).items()
    assert (net.mlp_ol.weight.shape, net.mlp_cl.weight.shape) == ((512, 512), (512, 512))
    assert net.mlp_nl[1].weight.shape == (42, 512)
    assert net.mlp_a2l[1].weight.shape == (470, 512)


@pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed (extra 'a2v')")
def test_the_papers_encoders_are_torchvisions() -> None:
    models = classifiers()
    with torch.device("meta"):
        net = Disentangled(PAPER)
        assert shapes(net).items() >= PAPERS.items()
        whole = models.resnext50_32x4d(weights=None)

    def count(module: torch.nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    assert isinstance(net.identity, models.ResNet)
    assert count(net.identity) == count(whole) - 2049 * 1000 == 22_979_904
    assert count(net.visual) == 2_223_872 + 1281 * 512  # MobileNetV2 without its classifier, brought to 512
    assert count(net.audio) == 21_284_672 - 2 * 64 * 49  # ResNet-34 on one channel instead of three


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="42 \\+ 10"):
        replace(PAPER, lips=10)
    with pytest.raises(ValueError, match="are not 200"):
        replace(PAPER, picture=200)
    assert Sizes.of(TINY.told()) == TINY
    with pytest.raises(VivifyError, match="train them anew"):
        Sizes.of('{"picture": 3, "colour": 1}')


def test_modulation_is_a_convolution_of_each_rows_own_weights() -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(5, 7, 3, 4)
    x, style = torch.randn(3, 5, 6, 6), torch.randn(3, 4)
    out = conv(x, style)
    for row in range(3):
        weight = conv.weight * (style[row] @ conv.scales.weight.T / 2 + conv.scales.bias)[None, :, None, None]
        weight = weight / weight.flatten(1).norm(dim=1)[:, None, None, None]
        assert torch.allclose(out[row], F.conv2d(x[row : row + 1], weight, padding=1)[0], atol=1e-5)


def test_contrastive_loss() -> None:
    own, none = torch.eye(6), torch.ones(6, 6) / 6**0.5
    assert float(contrastive(own, own, torch.tensor(4.0))) < 1e-5
    assert float(contrastive(none, none, torch.tensor(4.0))) == pytest.approx(log(6))
    assert float(contrastive(own, own.roll(1, 0), torch.tensor(99.0))) == pytest.approx(100, rel=1e-4)  # bounded


def test_losses_of_the_picture() -> None:
    def verdict(logit: float, feature: float) -> list[Verdict]:
        return [Verdict(torch.full((2, 1, 3, 3), float(logit)), [torch.full((2, 4, 3, 3), float(feature))] * 3)] * 2

    assert float(judged(verdict(0, 0), verdict(0, 0))) == pytest.approx(2 * log(2))
    assert float(judged(verdict(30, 0), verdict(-30, 0))) == pytest.approx(0)
    assert float(believed(verdict(0, 0))) == pytest.approx(log(2))
    assert float(believed(verdict(-30, 0))) == pytest.approx(30)
    assert float(matched(verdict(0, 1), verdict(5, 1.5))) == pytest.approx(3 * 0.5)  # three layers, mean of two scales
    true, made = [torch.zeros(2, 3), torch.ones(2, 5)], [torch.ones(2, 3), torch.ones(2, 5) * 3]
    assert float(looked_through(true, made)) == pytest.approx(1 + 2)


def test_orthogonality() -> None:
    signs = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])[:, 1:]  # uncorrelated
    assert float(orthogonality(signs, signs)) == pytest.approx(1, abs=1e-5)
    assert float(orthogonality(signs[:, :1], 5 * signs[:, 1:] + 2)) == pytest.approx(0, abs=1e-6)
    assert float(orthogonality(signs, -3 * signs[:, :1])) == pytest.approx(1 / 3, abs=1e-5)
    assert float(orthogonality(torch.ones(4, 2), signs)) == pytest.approx(0)


def test_the_bank_shows_what_no_batch_can() -> None:
    bank = MemoryBank(3, 2, 1)
    for sign in (9.0, 1.0, -1.0, 1.0):
        batch = torch.full((2, 1), sign)
        assert float(orthogonality(batch, batch)) == pytest.approx(0)  # never changes within a batch
        bank.remember(batch, batch)
    now = torch.full((2, 1), -1.0, requires_grad=True)
    apart, lips = bank.with_these(now, now.detach())
    assert apart[:, 0].tolist() == [-1, -1, 1, 1, -1, -1, 1, 1]  # three batches at most: the 9 is forgotten
    loss = orthogonality(apart, lips)
    assert float(loss.detach()) == pytest.approx(1, abs=1e-4)
    (apart * torch.arange(8.0)[:, None]).sum().backward()
    assert now.grad is not None
    assert now.grad[:, 0].tolist() == [0, 1]


def write_network(path: Path, batch: int | str = "n", last: str = "Flatten") -> None:
    """Two convolutions, a pool between them, and a linear layer over the means: outputs of two layers."""
    rng = np.random.default_rng(0)
    arrays = {
        "w1": rng.normal(0, 0.3, (4, 3, 3, 3)),
        "b1": rng.normal(0, 0.3, 4),
        "w2": rng.normal(0, 0.3, (6, 2, 3, 3)),
        "scale": rng.uniform(0.5, 2, 6),
        "shift": rng.normal(0, 1, 6),
        "mean": rng.normal(0, 1, 6),
        "var": rng.uniform(0.5, 2, 6),
        "w3": rng.normal(0, 0.3, (5, 6)),
        "b3": rng.normal(0, 0.3, 5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], pads=[0, 1, 1, 0], strides=[2, 1], group=2),
        helper.make_node("BatchNormalization", ["c2", "scale", "shift", "mean", "var"], ["n2"], epsilon=1e-3),
        helper.make_node("LeakyRelu", ["n2"], ["r2"], alpha=0.1),
        helper.make_node("AveragePool", ["r2"], ["a2"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["a2"], ["m2"]),
        helper.make_node(last, ["m2"], ["f2"]),
        helper.make_node("Gemm", ["f2", "w3", "b3"], ["y"], transB=1),
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 16, 16])]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("r1", "y")]
    held = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "features", given, made, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


@pytest.mark.parametrize("batch", ["n", 1])
def test_an_outside_network_says_what_onnx_runtime_says_and_gives_gradients(tmp_path: Path, batch: int | str) -> None:
    write_network(tmp_path / "net.onnx", batch)
    network = OutsideNetwork(tmp_path / "net.onnx")
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mean, spread = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (MEAN, SPREAD))
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"x": (pictures[k : k + 1].numpy() - mean) / spread}) for k in range(2)]
    for layer, said in enumerate(network(pictures)):
        assert np.allclose(said.numpy(), np.concatenate([row[layer] for row in rows]), atol=1e-5)
    assert not list(network.parameters())
    exact = network.double()
    pictures = pictures[:1].double().requires_grad_()
    (slope,) = torch.autograd.grad(exact(pictures)[1].sum(), pictures)
    step = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).double() * 1e-6
    with torch.no_grad():
        rise = (exact(pictures + step)[1] - exact(pictures - step)[1]).sum() / 2
    assert float((slope * step).sum()) == pytest.approx(float(rise), rel=1e-4)
    assert network.float()(torch.rand(1, 3, 40, 24))[0].shape == (1, 4, 16, 16)  # brought to the file's size


def test_files_that_are_no_such_network_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"\xff\xffno")
    with pytest.raises(VivifyError, match="cannot be read: export it anew"):
        OutsideNetwork(tmp_path / "no.onnx")
    write_network(tmp_path / "net.onnx", last="Det")
    with pytest.raises(VivifyError, match="but has Det: export only the layers"):
        OutsideNetwork(tmp_path / "net.onnx")
    model = onnx.load(str(tmp_path / "net.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(model, str(tmp_path / "grey.onnx"))
    with pytest.raises(VivifyError, match="expected to take pictures"):
        OutsideNetwork(tmp_path / "grey.onnx")
