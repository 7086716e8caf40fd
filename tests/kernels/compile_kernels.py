"""Compile every launch of the Triton kernels to machine code for a GPU that need not be there; run by test_compiles.py.

Launches are caught where they would reach the driver. As in a real launch, integers that are 1 become constants and
those beyond 32 bits are 64 bits wide. Prints one line for each kernel: its name, registers in use, bytes spilled.
"""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import kernels
from kernels import Look, Scenes

KINDS = {
    torch.float32: "fp32",
    torch.float64: "fp64",
    torch.float16: "fp16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int8: "i8",
    torch.uint8: "u8",
}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


def kind_of(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return "*" + KINDS[value.dtype]
    if isinstance(value, float):
        return "fp32"
    assert isinstance(value, int), value
    if value == 1:
        return "constexpr"
    return "i32" if -(2**31) <= value < 2**31 else "i64"


def compile_launch(function: triton.JITFunction, *given: object, grid: object, warmup: bool, **options: object) -> None:
    options = {name: value for name, value in options.items() if name in ("num_warps", "num_stages")}
    signature, constants = {}, {}
    for place, (parameter, value) in enumerate(zip(function.params, given, strict=True)):
        kind = "constexpr" if parameter.is_constexpr or isinstance(value, bool) else kind_of(value)
        signature[parameter.name] = kind
        if kind == "constexpr":
            constants[(place,)] = value
    made = triton.compile(ASTSource(function, signature, constants), target=GPUTarget("cuda", 90, 32), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage = subprocess.run([str(CUOBJDUMP), "-res-usage", file.name], capture_output=True, text=True).stdout
    words = dict(word.split(":") for word in usage.split() if word.startswith(("REG:", "LOCAL:")))
    print(function.__name__, words.get("REG"), words.get("LOCAL"))


def launch_everything(size: int) -> None:
    """Every verb once on a picture of ``size`` rows."""
    mesh, faces = torch.rand(2, 6, 3), torch.tensor([[0, 1, 2], [3, 4, 5]])
    kernels.rasterize(mesh, faces, torch.rand(6, 3), size, 8)
    kernels.rasterize(mesh, faces.int(), torch.rand(6, 3), size, 1)
    image, grid = torch.rand(2, 3, 8, 8), torch.rand(2, 4, 4, 2)
    share = torch.rand(2, 4, 4)
    kernels.warp_grid(image, grid, size, 8)
    kernels.warp_grid(image, grid, size, 8, share)
    kernels.warp_grid(image, grid, size, 8, share, torch.rand(2, 3, size, 8))
    kernels.warp_grid(torch.rand(1, 3, 1, 1), torch.rand(1, 1, 1, 2), size, 8)
    kernels.to_rgb24(torch.rand(2, 3, size, 8))
    for kind in (torch.uint8, torch.float32):
        kernels.rgb_to_i420(torch.ones(2, 2 * size, 8, 3, dtype=kind))
    kernels.rgb_to_i420(torch.ones(2, 2, 2, 3))
    for channels in (3, 6) if size > 1 else (3,):
        tables = Scenes(
            torch.zeros(2, 4, 3, dtype=torch.int32),
            torch.zeros(2, 4, dtype=torch.int32),
            torch.zeros(2, 4, dtype=torch.int8),
            torch.zeros(2, 2, 2),
            torch.zeros(2, 8, 8, 3, dtype=torch.uint8),
            torch.zeros(2, 2, dtype=torch.int32),
            torch.zeros(2, 3),
        )
        rows = torch.zeros(1, dtype=torch.int64), torch.zeros(1, 4, dtype=torch.int32)
        kernels.paint_scenes(
            torch.rand(1, 6, 3), torch.rand(1, 6, channels), *rows, tables, size, Look(3.0, 2.0, 0.22, size * size)
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    triton.JITFunction.run = lambda self, *given, **more: compile_launch(self, *given, **more)
    with kernels.use_backend("triton"):
        for size in (1, 16):
            launch_everything(size)
