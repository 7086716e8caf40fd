"""The published figures, on tiny networks made here: their formulas, and their refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_networks import tiny

from engine.errors import VivifyError
from engine.evaluation.foreign_networks import FeatureNet, csim, fid, frechet_distance, sync, sync_figures

pytestmark = pytest.mark.cpu


def test_frechet_distance_of_gaussians_known_beforehand() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, (4000, 3)).astype(np.float32)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(a, a + np.array([3, 0, 0], np.float32)) == pytest.approx(9, abs=0.01)
    # Standard deviations 1 and 3 in each of three directions: 3 * (3 - 1) ** 2.
    assert frechet_distance(a, 3 * a) == pytest.approx(12, rel=0.06)
    with pytest.raises(VivifyError, match="at least 2 pictures"):
        frechet_distance(a[:1], a)


def test_fid_and_csim_tell_like_from_unlike(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(1)
    a = rng.integers(0, 255, (6, 40, 40, 3), dtype=np.uint8)
    b = rng.integers(0, 255, (6, 40, 40, 3), dtype=np.uint8) // 3
    inception = FeatureNet(tiny(tmp_path / "i.onnx", (3, 299, 299)), "FID", (3, 299, 299))
    assert fid(inception, a, a) == pytest.approx(0, abs=1e-3)
    assert fid(inception, a, b) > 0.001
    arcface = FeatureNet(tiny(tmp_path / "a.onnx", (3, 112, 112), 8, batch=1), "CSIM", (3, 112, 112))
    assert csim(arcface, a, a) == pytest.approx(1, abs=1e-5)
    assert csim(arcface, a, b) < 0.95
    assert csim(arcface, a, a[:1]) <= 1, "one picture of the person is enough to compare with"


def test_sync_finds_how_late_the_sound_is() -> None:
    rng = np.random.default_rng(2)
    seen = rng.normal(0, 1, (200, 8)).astype(np.float32)
    for late in (0, 3, -4):
        figures = sync_figures(np.roll(seen, late, axis=0), seen)
        assert figures["offset"] == late
        assert figures["confidence"] > 1
    unrelated = sync_figures(rng.normal(0, 1, (200, 8)).astype(np.float32), seen)
    assert unrelated["confidence"] < 0.5


def test_sync_runs_on_pictures_and_sound(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(3)
    sound = FeatureNet(tiny(tmp_path / "s.onnx", (1, 13, 20)), "SyncNet", (1, 13, 20))
    lips = FeatureNet(tiny(tmp_path / "l.onnx", (3, 5, 224, 224)), "SyncNet", (3, 5, 224, 224))
    faces = rng.integers(0, 255, (12, 50, 50, 3), dtype=np.uint8)
    voice = rng.normal(0, 0.1, 12 * 640).astype(np.float32)
    assert set(sync(sound, lips, voice, faces)) == {"distance", "confidence", "offset"}
    with pytest.raises(VivifyError, match=r"at least 0\.3 s"):
        sync(sound, lips, voice[:640], faces)


def test_without_its_network_a_figure_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="FID needs its network as an ONNX file, but there is none at"):
        FeatureNet(tmp_path / "none.onnx", "FID", (3, 299, 299))
    (tmp_path / "no.onnx").write_bytes(b"not a network")
    with pytest.raises(VivifyError, match="expected to be FID's network in ONNX, but is not"):
        FeatureNet(tmp_path / "no.onnx", "FID", (3, 299, 299))
    with pytest.raises(VivifyError, match=r"must take \[N, 3, 299, 299\]"):
        FeatureNet(tiny(tmp_path / "other.onnx", (1, 13, 20)), "FID", (3, 299, 299))
