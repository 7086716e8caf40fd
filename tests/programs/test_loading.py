"""Programs and weights that are missing, damaged or of different networks are refused in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.errors import VivifyError
from engine.motion.facial.facial_generator import FacialConfig
from engine.motion.facial.facial_motion import FacialMotion
from engine.paths import assets
from engine.programs.motion_programs import MotionPrograms
from engine.programs.program import INDEX, Program, Weights
from engine.render.learned.picture_generator import LearnedHalf
from engine.render.learned.picture_programs import PicturePrograms
from engine.render.learned.picture_weights import save_learned

pytestmark = pytest.mark.cpu

PROGRAMS = assets() / "programs"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROGRAMS, tmp_path / "programs"))


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights(assets() / "weights" / "facial.safetensors")


def refused(message: str, path: Path, weights: Weights) -> None:
    with pytest.raises(VivifyError, match=message) as error:
        Program(path, weights)
    assert len(str(error.value).splitlines()) == 1


def test_every_shipped_program_fits_the_shipped_weights() -> None:
    known = json.loads((PROGRAMS / INDEX).read_text())
    assert {f"{name}.onnx" for name in known} == {path.name for path in PROGRAMS.glob("*.onnx")}
    for name, told in known.items():
        held = Weights(assets() / "weights" / told["weights"])
        program = Program(PROGRAMS / f"{name}.onnx", held)
        assert set(told["tensors"]) <= set(held.tensors)
        assert all(f"{i}.next" in program.outputs for i in program.inputs if i.startswith(("ring", "memory")))
        assert (PROGRAMS / f"{name}.onnx").stat().st_size < 256 * 1024, "a program holds no weights"


def test_missing_or_damaged_programs_are_refused(copied: Path, weights: Weights) -> None:
    whole = (copied / "face.onnx").read_bytes()
    (copied / "face.onnx").write_bytes(whole[:-1000])
    refused("is not the exported network that the index beside it tells of", copied / "face.onnx", weights)
    (copied / "face.onnx").unlink()
    refused("there is no such file: reinstall vivify", copied / "face.onnx", weights)
    refused("does not tell of it", copied / "other.onnx", weights)


def test_a_missing_or_damaged_index_is_refused(tmp_path: Path, weights: Weights) -> None:
    refused("The index of exported networks", tmp_path / "face.onnx", weights)
    (tmp_path / INDEX).write_text("{")
    refused("The index of exported networks", tmp_path / "face.onnx", weights)


def test_missing_or_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "facial.safetensors"
    with pytest.raises(VivifyError, match="there is no such file: reinstall vivify"):
        MotionPrograms(1, path)
    path.write_bytes((assets() / "weights" / "facial.safetensors").read_bytes()[:-100])
    with pytest.raises(VivifyError, match="should hold weights, but cannot be read"):
        MotionPrograms(1, path)


def test_networks_of_other_sizes_are_refused(tmp_path: Path) -> None:
    FacialMotion(FacialConfig(features=24, dim=24, layers=1, heads=2)).save(tmp_path / "facial.safetensors")
    with pytest.raises(VivifyError, match=r"networks of other sizes than those of .*scripts/export_networks"):
        MotionPrograms(1, tmp_path / "facial.safetensors")
    save_learned(LearnedHalf(lips=False), tmp_path / "picture.safetensors")
    with pytest.raises(VivifyError, match="networks of other sizes"):
        PicturePrograms(tmp_path / "picture.safetensors")


def test_other_weights_of_the_same_sizes_need_no_other_program(tmp_path: Path) -> None:
    model = FacialMotion.load(assets() / "weights" / "facial.safetensors")
    model.generator.lips.out.bias += 0.1
    model.save(tmp_path / "facial.safetensors")
    said = []
    for networks in (MotionPrograms(1), MotionPrograms(1, tmp_path / "facial.safetensors")):
        one, ahead = np.ones(1, bool), np.zeros(1, np.int64)
        said.append(networks.step(np.zeros((1, 640), np.float32), one, ahead, one, one).shapes)
    assert np.abs(said[0] - said[1]).max() > 0.02
