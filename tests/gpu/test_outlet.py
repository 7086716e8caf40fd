"""Pictures on their way out: the planes of the ordinary conversion, two parcels at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.cuda.outlet import Outlet
from kernels import rgb_to_i420


def pictures(seed: int, count: int) -> torch.Tensor:
    made = torch.randint(0, 256, (count, 32, 32, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.int32)
    return made.to(torch.uint8)


def passes(device: str) -> None:
    outlet = Outlet(32, 4, torch.device(device))
    given = [pictures(k, 1 + k % 4) for k in range(6)]
    parcel = outlet.send(given[0].to(device))
    for k in range(1, 6):
        coming = outlet.send(given[k].to(device))
        away = np.abs(parcel.wait().astype(int) - rgb_to_i420(given[k - 1]).numpy())
        assert away.max() <= 1, f"parcel {k - 1}, opened while {k} travels"
        parcel = coming
    assert parcel.wait().shape == (2, 48, 32)


@pytest.mark.cpu
def test_parcels_hold_while_the_next_travels() -> None:
    passes("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_parcels_hold_on_a_gpu() -> None:
    passes("cuda")
