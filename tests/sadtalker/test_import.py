"""`vivify sadtalker import`: the official files become one of ours, or nothing is written and a sentence says why."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sadtalker.released_folder import SMALL, mapping, our_tensors, their_names, write_release
from sadtalker.released_keys import released
from safetensors.torch import load_file, save_file
from scipy.io import savemat
from torch import Tensor

from engine.errors import VivifyError
from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.voice.exp_net import ExpNet
from engine.sadtalker.weights.network_set import Sizes, expected
from engine.sadtalker.weights.official_release import import_release
from engine.sadtalker.weights.pickled_part import Pickled, extract
from engine.sadtalker.weights.standard_points import own_standard_points, read_standard_points
from engine.sadtalker.weights.weight_file import open_weights, write_weights

pytestmark = pytest.mark.cpu


def test_every_released_name_and_shape_has_its_place() -> None:
    """The released sizes, without the gigabyte: names and shapes alone."""
    ours = {f"{n}.{k}": list(s) for n, part in expected(Sizes()).items() for k, s in part.items()}
    meta = {name: torch.empty(shape, device="meta") for name, shape in ours.items()}
    renamed = {name: list(value.shape) for name, value in their_names(meta).items()}
    networks = ("face_3drecon", "audio2exp", "audio2pose", "generator", "kp_extractor")
    assert renamed == {f"{n}.{key}": shape for n in networks for key, shape in released(n).items()}
    assert {k: list(v.shape) for k, v in mapping(meta, "mapping_crop").items()} == released("mapping")
    assert {k: list(v.shape) for k, v in mapping(meta, "mapping_full").items()} == released("mapping_still")


def test_the_release_becomes_one_file(tmp_path: Path) -> None:
    tensors = our_tensors()
    write_release(tmp_path / "checkpoints", tensors, 512)
    out = tmp_path / "out" / "sad.safetensors"
    told = import_release(tmp_path, out, sizes=SMALL)
    assert told.tensors == len(tensors)
    assert [note.split()[0] for note in told.notes] == ["1", "similarity_Lm3D_all.mat"]
    assert list(out.parent.iterdir()) == [out]
    written = load_file(out)
    assert all(torch.equal(written[name], value) for name, value in tensors.items())
    weights = open_weights(out)
    assert (weights.pixels, weights.modes) == (512, ("crop", "full"))
    network = weights.network("expression", ExpNet)
    assert torch.equal(network.mapping1.weight, tensors["expression.mapping1.weight"])
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert weights.network("generator", FaceGenerator).shape == SMALL.render


def test_the_older_release_too(tmp_path: Path) -> None:
    tensors = our_tensors()
    named = their_names(tensors)

    def part(network: str) -> dict[str, Tensor]:
        return {k.removeprefix(f"{network}."): v for k, v in named.items() if k.startswith(f"{network}.")}

    torch.save({"model": part("audio2exp"), "epoch": 1}, tmp_path / "auido2exp_00300-model.pth")
    torch.save({"model": part("audio2pose")}, tmp_path / "auido2pose_00140-model.pth")
    face = {"generator": part("generator"), "kp_detector": part("kp_extractor"), "he_estimator": {}}
    torch.save(face, tmp_path / "facevid2vid_00189-model.pth.tar")
    torch.save({"net_recon": part("face_3drecon")}, tmp_path / "epoch_20.pth")
    torch.save({"mapping": mapping(tensors, "mapping_crop")}, tmp_path / "mapping_00229-model.pth.tar")
    told = import_release(tmp_path, tmp_path / "sad.safetensors", sizes=SMALL)
    assert open_weights(tmp_path / "sad.safetensors").modes == ("crop",)
    assert any("'full'" in note for note in told.notes)
    (tmp_path / "epoch_20.pth").unlink()
    with pytest.raises(VivifyError, match=r"epoch_20\.pth is missing"):
        import_release(tmp_path, tmp_path / "other.safetensors", sizes=SMALL)


class Runs:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("echo run",)


def changed(name: str, change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        path = folder / name
        if path.suffix == ".safetensors":
            tensors = load_file(path)
            change(tensors)
            save_file(tensors, path)
        else:
            whole = torch.load(path, weights_only=True)
            change(whole["mapping"])
            torch.save(whole, path)

    return spoil


def cut_short(name: str) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


MAIN, MAPPING = "SadTalker_V0.0.2_256.safetensors", "mapping_00229-model.pth.tar"
EXPRESSION = "audio2exp.mapping1.bias"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (changed(MAIN, lambda t: t.pop(EXPRESSION)), r"'expression\.mapping1\.bias' is missing"),
        (changed(MAIN, lambda t: t.update({"audio2exp.mapping2.bias": torch.zeros(3)})), r"mapping2\.bias' .* no netw"),
        (changed(MAIN, lambda t: t.update({"enhancer.bias": torch.zeros(3)})), r"'enhancer\.bias' .* no network"),
        (changed(MAIN, lambda t: t.update({EXPRESSION: torch.zeros(3)})), r"shape \[64\], but has \[3\]"),
        (changed(MAIN, lambda t: t[EXPRESSION].fill_(torch.nan)), r"mapping1\.bias' .* no number"),
        (changed(MAIN, lambda t: t.update({EXPRESSION: torch.zeros(64, dtype=torch.int8)})), r"float32, but is int8"),
        (changed(MAPPING, lambda t: t.pop("fc_t.bias")), r"'mapping_crop\.fc_t\.bias' is missing"),
        (cut_short(MAIN), r"cut short or no file of weights"),
        (lambda f: torch.save({"mapping": {"a": Runs()}}, f / MAPPING), r"more than numbers, which would run"),
        (lambda f: [p.unlink() for p in f.glob("mapping*")], r"'crop' or 'full', but holds neither"),
        (lambda f: (f / MAIN).unlink(), r"auido2exp_00300-model\.pth is missing"),
    ],
)  # fmt: skip
def test_what_is_odd_is_refused_by_name(tmp_path: Path, spoil: Callable[[Path], object], told: str) -> None:
    write_release(tmp_path / "release", our_tensors())
    spoil(tmp_path / "release")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(VivifyError, match=told):
        import_release(tmp_path / "release", out / "sad.safetensors", sizes=SMALL)
    assert not list(out.iterdir()), "nothing half-written"


def test_odd_pickles_are_refused(tmp_path: Path) -> None:
    """In this process, for each of its own takes seconds."""
    path = tmp_path / MAPPING
    wanted = Pickled(path, ("mapping",))
    for content, told in (
        ({"other": {}}, "an entry 'mapping'"),
        ([1], "an entry 'mapping'"),
        ({"mapping": {"fc_t.bias": 3}}, "expected to be a tensor, but is int"),
        ({"mapping": Runs()}, "more than numbers"),
    ):
        torch.save(content, path)
        with pytest.raises(VivifyError, match=told):
            extract(wanted, tmp_path / "part.safetensors")
    torch.save({"mapping": {"a": torch.zeros(1000)}}, path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(VivifyError, match="cut short or no file of torch's"):
        extract(wanted, tmp_path / "part.safetensors")
    path.write_text("nothing of the kind")
    with pytest.raises(VivifyError, match=r"more than numbers|no file of torch"):
        extract(wanted, tmp_path / "part.safetensors")
    assert not (tmp_path / "part.safetensors").exists()


def test_files_of_ours_are_opened_with_suspicion(tmp_path: Path) -> None:
    good = tmp_path / "sad.safetensors"
    write_weights(good, our_tensors(), SMALL, 256, own_standard_points(), {})
    with pytest.raises(VivifyError, match="vivify sadtalker import"):
        open_weights(tmp_path / "absent.safetensors")
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(VivifyError, match="not made by Vivify"):
        open_weights(other)
    whole = good.read_bytes()
    other.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VivifyError, match="cut short"):
        open_weights(other)
    other.write_bytes(whole.replace(b'\\"width\\": 2', b'\\"width\\": 0', 1))
    with pytest.raises(VivifyError, match="odd sizes"):
        open_weights(other)
    write_release(tmp_path / "release", our_tensors())
    write_release(tmp_path / "release", our_tensors(), 512)
    with pytest.raises(VivifyError, match="choose with --size"):
        import_release(tmp_path / "release", good, sizes=SMALL)
    with pytest.raises(VivifyError, match="folder of SadTalker's weights"):
        import_release(tmp_path / "nowhere", good, sizes=SMALL)


def test_the_standard_points_of_the_release_are_read(tmp_path: Path) -> None:
    """As MATLAB writes them, packed or not; ours are much like them."""
    points = np.random.default_rng(1).standard_normal((68, 3))
    path = tmp_path / "similarity_Lm3D_all.mat"
    for packed in (False, True):
        savemat(path, {"other": np.zeros(3), "lm": points}, do_compression=packed)
        read = read_standard_points(path)
        np.testing.assert_allclose(read[0], points[[36, 39]].mean(0), rtol=1e-6)
        np.testing.assert_allclose(read[2:], points[[30, 48, 54]], rtol=1e-6)
    for spoiled in (b"", path.read_bytes()[:300], b"x" * 5000):
        path.write_bytes(spoiled)
        with pytest.raises(VivifyError, match="array 'lm' of 68 points"):
            read_standard_points(path)
    ours = own_standard_points()
    assert ours[0, 0] < 0 < ours[1, 0], "the viewer's left first"
    assert ours[3, 1] < ours[2, 1] < ours[0, 1], "upwards"
    assert ours[2, 2] > ours[0, 2], "towards the viewer"
