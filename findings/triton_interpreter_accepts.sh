#!/usr/bin/env bash
# Triton's interpreter runs kernels, with right results, that its compiler refuses, and one that the compiler refuses
# only when a size happens to be 1.
#
# Versions: triton 3.9.0, torch 2.13.0. Seen: 2026-11-28, on a CPU alone, compiled for sm_90. Output:
#   guess: a kernel that passes its tests in the interpreter compiles
#   seen: break: interpreter right, compiler: unsupported AST node type: Break
#   seen: return in a loop: interpreter right, compiler: Cannot have `return` statements inside `while` or `for` ...
#   seen: sum begun with 0: interpreter right, compiler: Loop-carried variable total has initial type int32 but ...
#   seen: n.to(float32), n = 7: interpreter right, compiler: accepts
#   seen: n.to(float32), n = 1: interpreter right, compiler: 'int' object has no attribute 'to'
#
# For builders: the interpreter executes Python, the compiler a part of it with fixed types, and it turns every integer
# argument that is 1 into a constant, which has none of a tensor's methods: a batch of one fails where two were tried.
# No GPU is needed to find this out: triton.compile with a GPUTarget makes machine code on any machine, in about a
# second. Do it in the tests for every launch, also with sizes of 1.
#
# PyPI's torch for Linux may bring several gigabytes of CUDA with it; a CPU build of the same version will do.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 triton==3.9.0 numpy==2.3.5
cd "$dir"

cat > kernels.py <<'PY'
import triton
import triton.language as tl


@triton.jit
def first_over_four(source, target, n):
    found = 0.0
    for i in range(n):
        found = tl.load(source + i)
        if found > 4.0:
            break
    tl.store(target, found)


@triton.jit
def first_over_four_or_none(source, target, n):
    tl.store(target, 0.0)
    for i in range(n):
        value = tl.load(source + i)
        if value > 4.0:
            tl.store(target, value)
            return


@triton.jit
def total(source, target, n):
    total = 0
    for i in range(n):
        total += tl.load(source + i)
    tl.store(target, total)


@triton.jit
def share(source, target, n):
    tl.store(target, tl.load(source) / n.to(tl.float32))


# name, kernel, n, right result for 1, 2, 3 ... 8, and words of the compiler's refusal (none where it accepts)
CASES = (
    ("break", first_over_four, 7, 5.0, "unsupported AST node type: Break"),
    ("return in a loop", first_over_four_or_none, 7, 5.0, "Cannot have `return` statements inside"),
    ("sum begun with 0", total, 7, 28.0, "initial type int32 but is re-assigned to fp32"),
    ("n.to(float32), n = 7", share, 7, 1 / 7, ""),
    ("n.to(float32), n = 1", share, 1, 1.0, "'int' object has no attribute 'to'"),
)
PY

cat > interpret.py <<'PY'
import sys

import kernels
import torch

for name, kernel, n, right, _ in kernels.CASES:
    target = torch.full((1,), -1.0)
    kernel[(1,)](torch.arange(1.0, 9.0), target, n)
    if abs(target.item() - right) > 1e-6:
        sys.exit(f"{name}: the interpreter says {target.item()}, {right} is right")
PY

cat > compile.py <<'PY'
import re
import sys

import kernels
import triton
from triton.backends.compiler import GPUTarget

holds = []
for name, kernel, n, _, words in kernels.CASES:
    # as a launch does it: an integer that is 1 becomes a constant
    signature = {"source": "*fp32", "target": "*fp32", "n": "constexpr" if n == 1 else "i32"}
    source = triton.compiler.ASTSource(kernel, signature, {"n": 1} if n == 1 else {})
    try:
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
        said = "accepts" if made.asm["cubin"] else "makes nothing"
        holds.append(not words and said == "accepts")
    except triton.CompilationError as error:
        said = str(error).strip().splitlines()[-1]
        holds.append(bool(words) and words in said)
        inner = re.fullmatch(r"""\w+\((["'])(.*)\1\)""", said)  # an error within the error
        said = inner[2] if inner else said
    print(f"seen: {name}: interpreter right, compiler: {said}")
sys.exit(0 if all(holds) else "not as seen")
PY

export TRITON_CACHE_DIR="$dir/cache"
python=("$dir/venv/bin/python" -W ignore)
show='import torch, triton; print(f"versions: triton {triton.__version__}, torch {torch.__version__}")'
"${python[@]}" -c "$show"
echo "guess: a kernel that passes its tests in the interpreter compiles"
if TRITON_INTERPRET=1 "${python[@]}" interpret.py && TRITON_INTERPRET=0 "${python[@]}" compile.py; then
    echo "as seen on 2026-11-28"
else
    echo "CHANGED: this is no longer what was seen on 2026-11-28" >&2
    exit 1
fi
