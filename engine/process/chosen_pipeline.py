"""Which pipeline an engine runs: on the CPU, on a GPU, or with SadTalker's pictures."""

from __future__ import annotations

from collections.abc import Callable

from engine.config import EngineConfig
from engine.cores import usable_cores
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.pipeline import Pipeline


def chosen_pipeline(config: EngineConfig) -> tuple[Pipeline, Callable[[Avatar], None]]:
    """The pipeline of the config's device, and what makes it ready for its first avatar; only CUDA and SadTalker
    need torch."""
    if config.method == "sadtalker":
        return _sadtalker(config), lambda avatar: None
    if config.device == "cpu":
        return Pipeline(config, planes=True), lambda avatar: None
    try:
        from engine.cuda.cuda_pipeline import DevicePipeline
    except ImportError as missing:
        raise VivifyError(
            f"A CUDA device was asked for, but {missing.name} is not installed: pip install 'vivify[cuda]'."
        ) from missing

    device = DevicePipeline(config)
    return device, device.warm_up


def _sadtalker(config: EngineConfig) -> Pipeline:
    try:
        import torch

        from engine.sadtalker.talking.sadtalker_pipeline import SadTalkerPipeline
    except ImportError as missing:
        raise VivifyError(
            f"SadTalker needs {missing.name}, which is not installed: pip install 'vivify[sadtalker]'."
        ) from missing
    torch.set_num_threads(usable_cores())
    return SadTalkerPipeline(config)
