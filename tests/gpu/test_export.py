"""The networks as exported programs: the same numbers; TensorRT refused in a sentence."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from engine.cuda.network_export import Core, WithTensorRT, example, export
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
