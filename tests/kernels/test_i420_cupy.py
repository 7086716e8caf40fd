"""The CUDA C of the colour conversion, compiled for this processor: the same arithmetic, thread after thread."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from kernels.gpu import i420_cupy
from kernels.plain import reference

HOST = r"""
struct Place { long long x; };
static Place blockIdx, blockDim, threadIdx;
#define __global__
SOURCE
extern "C" void launch(const unsigned char* rgb, unsigned char* out, long long h, long long w,
                       long long n, long long t) {
    blockDim.x = t;
    for (blockIdx.x = 0; blockIdx.x < (n + t - 1) / t; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < t; ++threadIdx.x) rgb_to_i420(rgb, out, h, w, n);
}
"""


@pytest.mark.cpu
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_its_arithmetic_equals_the_reference(tmp_path: Path) -> None:
    (tmp_path / "host.cpp").write_text(HOST.replace("SOURCE", i420_cupy.SOURCE))
    library = tmp_path / "host.so"
    subprocess.run(["g++", "-O1", "-shared", "-fPIC", "-o", library, tmp_path / "host.cpp"], check=True)
    launch = ctypes.CDLL(str(library)).launch
    rgb = torch.randint(0, 256, (3, 14, 22, 3), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    rgb = rgb.to(torch.uint8)
    rgb[0, :7], rgb[0, 7:] = 255, 0
    out = torch.full((3, 21, 22), 77, dtype=torch.uint8)
    sizes = (ctypes.c_longlong(n) for n in (14, 22, 3 * 7 * 11, i420_cupy.THREADS))
    launch(ctypes.c_void_p(rgb.data_ptr()), ctypes.c_void_p(out.data_ptr()), *sizes)
    away = (out.int() - reference.rgb_to_i420(rgb).int()).abs()
    assert int(away.max()) <= 1
    assert (away == 0).float().mean() > 0.999


@pytest.mark.cpu
def test_tensors_that_are_not_on_a_gpu_are_refused() -> None:
    with pytest.raises(ValueError, match=r"on a GPU, but came as torch\.uint8"):
        i420_cupy.rgb_to_i420(torch.zeros(1, 4, 4, 3, dtype=torch.uint8))


@pytest.mark.cpu
@pytest.mark.skipif(i420_cupy.available(), reason="cupy is installed")
def test_its_absence_is_told_in_a_sentence() -> None:
    with pytest.raises(RuntimeError, match="needs cupy, which is not installed: pip install"):
        i420_cupy._kernel()
