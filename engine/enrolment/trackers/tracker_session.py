"""The trackers' networks, by ONNX Runtime: read when first asked for, and once in a process."""

from __future__ import annotations

from functools import cache
from typing import Any

from engine.errors import VivifyError
from engine.paths import assets

NAMES = ("face_near", "face_far", "face_mesh", "person", "likeness")


@cache
def tracker(name: str) -> Any:
    """The network ``assets/trackers/NAME.onnx``, as an `onnxruntime.InferenceSession`.

    Raises `VivifyError` when its file is missing.
    """
    import onnxruntime

    path = assets() / "trackers" / f"{name}.onnx"
    if not path.is_file():
        raise VivifyError(f"A face tracker was expected at {path}, but there is no such file: reinstall vivify.")
    options = onnxruntime.SessionOptions()
    # These networks take milliseconds: a second thread gains little, and between pictures it would spin.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
