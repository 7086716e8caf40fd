"""Eq. 1 and what the bundled bases promise."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import numpy as np
import pytest

from engine.errors import VivifyError
from engine.face import morphable_model as module
from engine.face import topology as top
from engine.face.blendshapes import INDEX, NAMES
from engine.face.morphable_model import IDENTITY, face_model, similarity

pytestmark = pytest.mark.cpu
ROOT = Path(__file__).resolve().parents[2]


def test_equation_one_is_linear_around_the_mean() -> None:
    model = face_model()
    none_id, none = np.zeros(len(model.identity), np.float32), np.zeros(len(NAMES), np.float32)
    assert np.array_equal(model.shape(none_id, none), model.neutral)
    one = none.copy()
    one[INDEX["jawOpen"]] = 0.5
    moved = model.shape(none_id, one) - model.neutral
    assert np.allclose(moved, 0.5 * model.expressions[INDEX["jawOpen"]], atol=1e-5)


def test_the_identity_basis_is_orthonormal_and_explains_its_own_faces() -> None:
    model = face_model()
    flat = model.identity.reshape(len(model.identity), -1)
    assert len(flat) == IDENTITY == 150
    assert np.allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-3)
    wanted = np.zeros(len(flat), np.float32)
    wanted[:5] = [3, -2, 1, 0.5, -1]
    face = model.shape(wanted, np.zeros(len(NAMES), np.float32))
    alpha, rest = model.fit_identity(face)
    assert np.allclose(alpha[:5], wanted[:5], rtol=0.25, atol=0.1)
    rebuilt = model.shape(alpha, np.zeros(len(NAMES), np.float32)) + rest
    assert np.allclose(rebuilt, face, atol=2e-4)


def test_the_completing_directions_are_no_camera_s_work() -> None:
    """Moving, turning and scaling the head as a whole belong to the pose."""
    model = face_model()
    x = (model.neutral - model.neutral.mean(0)).astype(np.float64)
    none = np.zeros(len(x))
    turned = [np.stack(f, 1) for f in ((-x[:, 1], x[:, 0], none), (none, -x[:, 2], x[:, 1]), (x[:, 2], none, -x[:, 0]))]
    moved = [np.broadcast_to(axis, x.shape) for axis in np.eye(3)]
    for whole in (*turned, *moved, x):
        flat = whole.reshape(-1) / np.linalg.norm(whole)
        assert np.abs(model.identity[100:].reshape(50, -1) @ flat).max() < 1e-3


@pytest.mark.parametrize(
    ("name", "vertex", "axis", "sign"),
    [
        ("jawOpen", 14, 1, 1),
        ("jawOpen", top.CHIN, 1, 1),
        ("jawLeft", top.CHIN, 0, 1),
        ("mouthSmileLeft", 291, 1, -1),
        ("mouthSmileRight", 61, 1, -1),
        ("mouthPucker", 61, 0, 1),
        ("mouthPucker", 291, 0, -1),
        ("eyeBlinkLeft", 386, 1, 1),
        ("eyeBlinkRight", 159, 1, 1),
        ("browInnerUp", 107, 1, -1),
        ("mouthUpperUpLeft", 312, 1, -1),
        ("mouthLowerDownRight", 87, 1, 1),
        ("noseSneerRight", 98, 1, -1),
    ],
)
def test_expressions_move_what_their_names_say(name: str, vertex: int, axis: int, sign: int) -> None:
    assert face_model().expressions[INDEX[name], vertex, axis] * sign > 0.1


def test_sides_mirror_each_other() -> None:
    model = face_model()
    for name in NAMES:
        if name.endswith("Left") and name not in ("jawLeft", "mouthLeft"):
            left = np.linalg.norm(model.expressions[INDEX[name]], axis=1)
            right = np.linalg.norm(model.expressions[INDEX[name[:-4] + "Right"]], axis=1)
            x = model.neutral[:, 0]
            assert (left @ x) > 0, name
            assert (right @ x) < 0, name


def test_the_model_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        face_model().neutral[0] = 0


def test_similarity_recovers_a_known_transform() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3))
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    scale, rotation, shift = similarity(points, 2.5 * points @ turn.T + [1, 2, 3])
    assert scale == pytest.approx(2.5)
    assert np.allclose(rotation, turn)
    assert np.allclose(shift, [1, 2, 3])


def test_a_missing_model_is_told_in_a_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "assets", lambda: tmp_path)
    with pytest.raises(VivifyError, match="face model was expected"):
        face_model.__wrapped__()


def test_the_bundled_model_is_what_the_script_fits_and_moves_as_ict_does(shared: Path) -> None:
    loader = SourceFileLoader("fit_blendshapes", str(ROOT / "scripts" / "fit_blendshapes"))
    spec = spec_from_loader("fit_blendshapes", loader)
    assert spec is not None
    script = module_from_spec(spec)
    sys.modules["fit_blendshapes"] = script  # dataclasses look their module up
    loader.exec_module(script)
    ict, marks = script.read_ict(shared / "face3d")
    alignment, fitted = script.fit(ict, marks, shared / "face3d" / "canonical_468")
    model = face_model()
    assert np.abs(fitted["expressions"].astype(np.float32) - model.expressions).max() < 0.01
    subspace = fitted["identity"].reshape(IDENTITY, -1).astype(np.float32) @ model.identity.reshape(IDENTITY, -1).T
    assert np.allclose(np.linalg.svd(subspace)[1], 1, atol=1e-2), "the same space of identities"
    bundled = {**fitted, "expressions": model.expressions}
    for name, (theirs, ours, r, apart) in script.compare(alignment, ict, bundled).items():
        assert r > (0.85 if name == "mouthRollLower" else 0.95), name  # a lip that rolls in hides half of its movement
        assert abs(theirs - ours) <= 0.15 * theirs, name
        assert apart < 0.05, name
