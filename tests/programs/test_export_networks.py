"""The shipped programs are what the networks are exported as; where the exporter is not installed, what can be seen."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from engine.export.motion_steps import FaceStep, FeaturesStep, HeadStep, MelStep, forgotten
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.head.head_pose import HeadPose
from engine.paths import assets
from engine.programs.program import Program, Weights
from engine.streaming import places

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(find_spec("onnxscript") is None, reason="onnxscript is not installed: vivify[export]")
def test_they_are_what_the_networks_are_exported_as() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/export_networks", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_steps_take_and_give_what_the_programs_do() -> None:
    facial = FacialMotion.load(assets() / "weights" / "facial.safetensors")
    head = HeadPose.load(assets() / "weights" / "pose.safetensors")
    dropped = forgotten(facial)
    with torch.no_grad(), facial.streaming(2), head.streaming(2):
        steps = {"mel": MelStep(facial, dropped), "features": FeaturesStep(facial, dropped)}
        steps |= {"face": FaceStep(facial, dropped)}
        steps |= {name: HeadStep(head, name == "head_thinking") for name in ("head", "head_thinking")}
        for name, step in steps.items():
            weights = Weights(assets() / "weights" / ("pose.safetensors" if "head" in name else "facial.safetensors"))
            program, given = Program(assets() / "programs" / f"{name}.onnx", weights, 2), step.example(2)
            assert {k: v.shape for k, v in program.inputs.items()} == {k: tuple(v.shape) for k, v in given.items()}
            assert list(program.outputs) == step.names()
            said = step.eval()(*given.values())
            assert [tuple(t.shape) for t in said] == [a.shape for a in program.outputs.values()]
            assert program.notes.get("forgets", 0) == step.forgets


def test_a_barge_in_drops_what_is_heard_and_said_and_not_the_brows() -> None:
    facial = FacialMotion.load(assets() / "weights" / "facial.safetensors")
    dropped = forgotten(facial)
    with facial.streaming(1):
        kept = {place.name for place in places(facial)} - dropped
    assert any(name.startswith("encoder.mel") for name in dropped)
    assert all("upper_face" in name or name.endswith((".keys", ".values")) for name in kept)
    assert not any("upper_face" in name for name in dropped)
