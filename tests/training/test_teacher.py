"""The teacher: what mouths do for phone times."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from engine.face.blendshapes import INDEX, NAMES
from engine.face.morphable_model import face_model
from engine.motion.facial.articulators import (
    CLOSE,
    FUNNEL,
    JAW,
    LOWER_DOWN,
    PUCKER,
    STRETCH,
    aperture,
    blendshape_aperture,
    spread_matrix,
    to_blendshapes,
    width,
)
from engine.motion.facial.phones import BILABIAL, PHONES, SILENCE, VOWELS, normalise
from engine.paths import assets
from engine.training.lips.teacher import LEAD, articulators, lip_opening, phone_indices

pytestmark = pytest.mark.cpu


def around(phone: str, length: float = 0.12) -> list[tuple[str, float, float]]:
    """Silence, the phone at 1 s, silence."""
    return [("pau", 0, 1), (phone, 1, 1 + length), ("pau", 1 + length, 2.5)]


def test_forty_phones_and_the_names_others_give_them() -> None:
    assert len(PHONES) == len(set(PHONES)) == 40
    assert PHONES[0] == SILENCE
    names = {"ah0": "AH", "AA1": "AA", "pau": "SIL", "": "SIL", "ax": "AH", "ŋ": "NG", "tʃ": "CH", "p": "P", "dʒ": "JH"}
    assert {name: normalise(name) for name in names} == names
    assert normalise("???") == "AH"


def test_silence_is_closed_and_still() -> None:
    said = articulators([("pau", 0.0, 4.0)], 100)
    assert said.shape == (100, 9)
    assert not said.any()


@pytest.mark.parametrize("phone", BILABIAL)
@pytest.mark.parametrize("start", [1.0, 1.01, 1.02, 1.03])
def test_the_shortest_closure_is_never_lost_between_frames(phone: str, start: float) -> None:
    phones = [("pau", 0, 0.8), ("aa", 0.8, start), (phone, start, start + 0.04), ("aa", start + 0.04, 1.4)]
    opening = lip_opening([*phones, ("pau", 1.4, 2.0)], 50)
    middle = round((start + 0.02 - LEAD) * 25 - 0.5)
    assert opening[middle - 1 : middle + 2].min() < 0.1 * opening.max()
    assert opening[middle - 4] > 0.5 * opening.max()


def test_phones_look_like_themselves() -> None:
    peak = {phone: articulators(around(phone), 60).max(0) for phone in (*VOWELS, "W", "M", "S")}
    assert peak["AA"][JAW] > 0.6 > peak["IH"][JAW]
    assert peak["UW"][PUCKER] > 0.5
    assert peak["AO"][FUNNEL] > 0.3
    assert peak["IY"][STRETCH] > 0.4
    assert peak["M"][CLOSE] > 0.9 > 0.1 > peak["AA"][CLOSE]


def test_the_mouth_leads_its_sound_a_little() -> None:
    opening = lip_opening(around("AA", 0.2), 60)
    first = int(np.argmax(opening > 0.1 * opening.max()))
    assert 0.96 <= (first + 0.5) / 25 <= 1.04


def test_labels_lie_where_the_phones_are() -> None:
    labels = phone_indices(around("M"), 60)
    assert PHONES[labels[25]] == PHONES[labels[26]] == "M"
    assert {PHONES[k] for k in labels} == {"SIL", "M"}


def test_opening_of_the_bundled_sentence() -> None:
    notes = json.loads((assets() / "speech.json").read_text())
    frames = round(notes["seconds"] * 25)
    opening = lip_opening([tuple(phone) for phone in notes["phones"]], frames)
    p95 = np.percentile(opening, 95)
    assert opening[:23].max() < 0.01 * p95
    assert opening[-21:].max() < 0.01 * p95
    assert 0.4 < p95 < 1.2
    assert 0.2 < (opening[25:-25] > 0.4 * p95).mean() < 0.8


def test_blendshapes_of_articulators() -> None:
    y = torch.zeros(4, 9)
    y[1, JAW] = y[2, JAW] = y[3, JAW] = 0.8
    y[1:, LOWER_DOWN] = 0.4
    y[2, CLOSE], y[3, CLOSE] = 1.0, 0.5
    shapes = to_blendshapes(y, spread_matrix())
    assert shapes.shape == (4, len(NAMES))
    assert not shapes[0].any(), "rest is the portrait's own face"
    jaw, close, lower = (shapes[:, INDEX[n]] for n in ("jawOpen", "mouthClose", "mouthLowerDownLeft"))
    assert 0.3 < jaw[1] <= 0.5, "speech opens the jaw less than half"
    assert close.tolist() == pytest.approx([0, 0, jaw[2].item(), 0.5 * jaw[3].item()])
    assert lower.tolist() == pytest.approx([0, 0.4, 0, 0.2])


def test_aperture_can_be_read_back_from_blendshapes() -> None:
    torch.manual_seed(0)
    y = torch.rand(200, 9)
    assert torch.allclose(blendshape_aperture(to_blendshapes(y, spread_matrix())), aperture(y), atol=1e-5)


def test_the_mesh_opens_and_widens_as_the_articulators_say() -> None:
    phones = [(p, s, e) for p, s, e in json.loads((assets() / "speech.json").read_text())["phones"]]
    said = torch.from_numpy(articulators(phones, 250))
    model = face_model()
    shapes = to_blendshapes(said, spread_matrix()).numpy()
    at = {v: model.neutral[v] + shapes @ model.expressions[:, v] for v in (13, 14, 61, 291)}  # lips' middles, corners
    opened = np.clip((at[14] - at[13])[:, 1] - (model.neutral[14] - model.neutral[13])[1], 0, None)
    wide = np.linalg.norm((at[61] - at[291])[:, :2], axis=1)
    assert np.corrcoef(opened, aperture(said).numpy())[0, 1] > 0.95
    assert np.corrcoef(wide, width(said).numpy())[0, 1] > 0.9
