#!/usr/bin/env bash
# torch.onnx.export drops what a module writes into its buffers, without a warning, and verify=True finds nothing
# wrong.
#
# Versions: torch 2.13.0, onnx 1.18.0, onnxscript 0.7.2, onnxruntime 1.31.1. Seen: 2026-11-28. Output, for three steps
# of a running mean over ones:
#   guess: a buffer that changes is kept, or becomes an input and an output, or the export refuses or warns
#   seen: torch, in place: 0.100 0.190 0.271; the file, inputs ['x'], outputs 1: 0.100 0.100 0.100; words about it: 0
#   seen: torch, assigned: 0.100 0.190 0.271; the file, inputs ['x'], outputs 1: 0.100 0.100 0.100; words about it: 0
#   seen: state passed in and out: the file: 0.100 0.190 0.271
#
# For builders: a network that runs frame by frame (convolutions' tails, a ring of keys, a smoothed pose) is right in
# its first step and wrong in all others, and the first step is what the exporter's own comparison runs. Give all state
# in and out as tensors, and test an exported file over many steps, with a state that matters.
#
# PyPI's torch for Linux may bring several gigabytes of CUDA with it; a CPU build of the same version will do.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 onnx==1.18.0 onnxscript==0.7.2 onnxruntime==1.31.1 numpy==2.3.5
cd "$dir"

cat > run.py <<'PY'
import logging
import sys
import warnings

import numpy as np
import onnxruntime
import torch

STEPS = 3
said: list[str] = []  # all warnings and log lines of the exports


class Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        said.append(record.getMessage())


class InPlace(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean.mul_(0.9).add_(x, alpha=0.1)
        return self.mean + 0.0


class Assigned(InPlace):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x
        return self.mean + 0.0


class PassedOn(torch.nn.Module):
    def forward(self, x: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = 0.9 * mean + 0.1 * x
        return mean + 0.0, mean


def export(module: torch.nn.Module, *inputs: torch.Tensor) -> onnxruntime.InferenceSession:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.onnx.export(module.eval(), inputs, "m.onnx", dynamo=True, opset_version=20, verify=True, verbose=False)
    said.extend(str(w.message) for w in caught)
    return onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])


def shown(values: list[float]) -> str:
    return " ".join(f"{v:.3f}" for v in values)


for name in ("torch.onnx", "torch.export", "onnxscript"):
    logging.getLogger(name).addHandler(Listener())
ones = np.ones((1, 4), np.float32)
right = [1 - 0.9 ** (n + 1) for n in range(STEPS)]
holds = []
print(f"versions: torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
print("guess: a buffer that changes is kept, or becomes an input and an output, or the export refuses or warns")
for name, made in (("in place", InPlace), ("assigned", Assigned)):
    said.clear()
    session = export(made(), torch.ones(1, 4))
    module = made().eval()
    eager = [module(torch.ones(1, 4))[0, 0].item() for _ in range(STEPS)]
    names, outputs = [i.name for i in session.get_inputs()], len(session.get_outputs())
    file = [float(session.run(None, {"x": ones})[0][0, 0]) for _ in range(STEPS)]
    words = sum(any(w in line.lower() for w in ("buffer", "mutat", "state", "in-place", "mean")) for line in said)
    print(
        f"seen: torch, {name}: {shown(eager)}; the file, inputs {names}, outputs {outputs}: {shown(file)}; "
        f"words about it: {words}"
    )
    holds += [np.allclose(eager, right), np.allclose(file, right[0]), names == ["x"], outputs == 1, words == 0]
session = export(PassedOn(), torch.ones(1, 4), torch.zeros(1, 4))
state, file = np.zeros((1, 4), np.float32), []
for _ in range(STEPS):
    value, state = session.run(None, {"x": ones, "mean": state})
    file.append(float(value[0, 0]))
print(f"seen: state passed in and out: the file: {shown(file)}")
if not (all(holds) and np.allclose(file, right)):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python -W ignore run.py
