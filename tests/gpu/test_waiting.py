"""Nothing in the making of a picture waits for the device, or a CUDA graph could not hold it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from capture import strictly

import kernels
from engine.cuda.batched_renderer import DeviceRenderer
from engine.face.avatar import Avatar
from engine.paths import assets
from engine.render.learned.picture_generator import LearnedHalf
from engine.render.renderer import still


class Launched:
    """A kernel that is launched and computes nothing."""

    def __getitem__(self, grid: Any) -> Any:
        return lambda *given, **more: None


@pytest.mark.cpu
@pytest.mark.parametrize("size", [256, 512])
def test_nothing_in_a_picture_waits_for_the_device(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    from kernels.gpu import paint_triton, raster

    for name in ("_keep_mesh", "_interpolate_mesh"):
        monkeypatch.setattr(raster, name, Launched())
    for name in ("_keep_scene", "_interpolate_scene", "_flag", "_paint"):
        monkeypatch.setattr(paint_triton, name, Launched())
    with torch.inference_mode(), kernels.use_backend("triton"):
        device = DeviceRenderer(size, "meta", LearnedHalf().eval(), portraits=1)
        number = device.add(Avatar.load(assets() / "avatars" / "astronaut"))
        rows = device.load([(number, still())] * 3)
        share = torch.ones(len(rows), device="meta")
        with strictly():
            made = device._by_geometry(rows, 3), device._with_networks(rows, share, 6)
    for (rgb,) in made:
        assert rgb.shape == (4, size, size, 3)
        assert rgb.device.type == "meta"
