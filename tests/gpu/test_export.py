"""The networks as exported programs: the same numbers; TensorRT refused in a sentence."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec

import pytest
import torch

from engine.config import EngineConfig
from engine.cuda.cuda_pipeline import DevicePipeline
from engine.cuda.network_export import PRECISION, Core, WithTensorRT, example, export
from engine.errors import VivifyError
from engine.render.learned.picture_generator import LearnedHalf

pytestmark = pytest.mark.cpu
CPU = torch.device("cpu")


def core() -> Core:
    torch.manual_seed(0)
    model = LearnedHalf()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        model.motion.decoder[-1].bias[2] -= 6  # nothing is believed, or nothing would be changed
    return Core(model.eval().requires_grad_(False))


@pytest.mark.parametrize("rows", [2])
def test_the_exported_program_says_the_same(rows: int) -> None:
    eager = core()
    program = export(eager, rows, CPU).module()
    given = example(rows, CPU)
    for got, wanted in zip(program(*given), eager(*given), strict=True):
        torch.testing.assert_close(got, wanted, atol=3e-6, rtol=1e-4)
        assert wanted.abs().max() > 1e-4, "else it proves nothing"


@pytest.mark.skipif(find_spec("torch_tensorrt") is not None, reason="torch-tensorrt is installed")
def test_tensorrt_is_refused_in_a_sentence_where_it_is_missing() -> None:
    with pytest.raises(VivifyError, match=r"need the package torch-tensorrt, which is not installed: pip install"):
        WithTensorRT(core(), CPU)


@pytest.mark.skipif(find_spec("torch_tensorrt") is None, reason="torch-tensorrt is not installed")
def test_tensorrt_takes_the_precision_that_is_asked_for() -> None:
    compile_program = import_module("torch_tensorrt").dynamo.compile
    assert set(PRECISION) <= set(inspect.signature(compile_program).parameters)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"compiler": "tensorrt", "quality": "learned"}, "give --device cuda, too"),
        ({"compiler": "tensorrt", "device": "cuda"}, "give --quality learned or auto"),
        ({"compiler": "gcc"}, "must be tensorrt, but 'gcc' was given"),
    ],
)
def test_what_nothing_can_be_compiled_for_is_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(VivifyError, match=sentence):
        EngineConfig(**given)  # type: ignore[arg-type]


@pytest.mark.skipif(find_spec("torch_tensorrt") is not None, reason="torch-tensorrt is installed")
def test_the_pipeline_asks_for_tensorrt_where_it_is_wished() -> None:
    config = EngineConfig(size=256, max_sessions=1, quality="learned", device="cuda", compiler="tensorrt")
    with pytest.raises(VivifyError, match="need the package torch-tensorrt"):
        DevicePipeline(config, "cpu", graphs=False)
