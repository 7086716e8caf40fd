"""A picture network of one's own: one that helps is kept, one that harms is not; it paints without torch."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.contracts import ByteArray, Motion
from engine.enrolment.footage.film_enrolment import Taught
from engine.enrolment.footage.film_lessons import Filmed
from engine.enrolment.footage.remembering import seen_on
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import FILE, FilmMemory, Manner
from engine.face.kept.own_network import OwnNetwork
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from engine.programs.program import Weights
from engine.quality import Painters
from engine.render.learned.eyesight import Eyesight
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.own_programs import OwnPrograms, seen_by_generator
from engine.render.learned.picture_generator import SHOWN, Generator
from engine.render.learned.picture_weights import load_learned
from engine.render.remembered.recall import raw_features
from engine.render.renderer import Renderer, still
from engine.tuning import own_picture
from engine.tuning.film_frames import GAP, Frames, parts
from engine.tuning.generator_tuning import Plan, tune
from engine.tuning.lip_squares import Squares
from engine.tuning.verdict import Figures, Verdict, figures

pytestmark = pytest.mark.cpu

SHARED = assets() / own_picture.SHARED
COUNT = 120


def moved(k: int) -> Motion:
    beta = np.zeros(52, np.float32)
    beta[INDEX["jawOpen"]] = 0.15 + 0.15 * np.sin(0.4 * k)
    return Motion(0, beta, rotation_matrix(0.05 * np.sin(0.3 * k), 0, 0), np.zeros(3, np.float32))


def filmed(picture: ByteArray, by: int, seed: int) -> ByteArray:
    """The picture in another light, with a camera's grain."""
    grain = np.random.default_rng(seed).normal(0, 4, picture.shape)
    return np.clip(picture + grain + [-by // 2, 0, by], 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def plain(astronaut: Avatar) -> Renderer:
    return Renderer(astronaut, 256)


@pytest.fixture(scope="module")
def frames(plain: Renderer) -> Frames:
    """A film that is bluer than geometry paints it, of which looks were told nothing."""
    motions = [moved(k) for k in range(COUNT)]
    truth, landmarks, raw = [], [], []
    for motion in motions:
        posed = plain.pose(motion)
        face = np.zeros((478, 3), np.float32)
        face[: top.VERTICES] = posed.vertices[: top.VERTICES]
        landmarks.append(face)
        truth.append(filmed(plain.render(motion), 30, len(truth)))
        raw.append(raw_features("mouth", plain.avatar, posed.face, motion.blendshapes, motion.rotation))
    drawn = [
        seen_on("mouth", plain.render(motion).astype(np.float32), face)
        for motion, face in zip(motions, landmarks, strict=True)
    ]
    painted = np.array(drawn, np.float16)
    none = np.zeros_like(painted)
    return Frames(motions, np.array(truth), np.array(landmarks), np.array(raw, np.float32), none, painted)


@pytest.fixture(scope="module")
def network(astronaut: Avatar, frames: Frames) -> tuple[OwnNetwork, Verdict]:
    plan = Plan(rows=2, steps=30, every=10, warm=3, ema=0.5)
    own, verdict = own_picture.tuned_on(astronaut, FilmMemory({}, Manner()), frames, lambda step: False, plan)
    assert own
    assert verdict
    return own, verdict


def test_a_network_that_helps_is_kept_and_is_small(network: tuple[OwnNetwork, Verdict]) -> None:
    own, verdict = network
    assert verdict.against() == []
    assert verdict.tuned.mouth < 0.8 * verdict.without.mouth
    assert "mouth -" in verdict.told()
    assert sum(value.nbytes for value in own.tensors.values()) < 500_000


def test_a_network_that_harms_is_refused(
    astronaut: Avatar, plain: Renderer, frames: Frames, network: tuple[OwnNetwork, Verdict]
) -> None:
    """What it learned from was lit in blue, what decides is not."""
    last = frames.part(parts(COUNT)[2])
    truth = np.array([filmed(plain.render(motion), -30, k) for k, motion in enumerate(last.motions)])
    verdict = own_picture.judged(astronaut, Weights(SHARED), network[0], replace(last, truth=truth))
    assert any(reason.startswith("error around the mouth +") for reason in verdict.against())


def test_blur_and_flicker_are_refused_though_the_error_falls() -> None:
    before = Figures(10.0, 5.0, 8.0, 2.0)
    film = Figures(0.0, 0.0, 8.5, 0.0)

    def against(**other: float) -> str:
        return "; ".join(Verdict(before, replace(before, mouth=8.0, **other), film).against())

    assert against() == ""
    assert against(sharpness=7.5) == "sharpness -6.2 %"
    assert against(flicker=2.1) == "flicker +5.0 %"
    assert against(face=5.1) == "error of the face +2.0 %"
    assert "of the -3 % asked for" in "".join(Verdict(before, replace(before, mouth=9.9), film).against())
    soft = replace(film, sharpness=7.0)
    assert Verdict(before, replace(before, mouth=8.0, sharpness=7.2), soft).against() == [], "the film itself is softer"


def test_figures_see_blur_and_shaking(frames: Frames) -> None:
    few = frames.part(np.arange(12))
    exact = figures(few.truth, few)
    assert (exact.mouth, exact.face, exact.flicker) == (0, 0, 0)
    shaken = few.truth.astype(int)
    shaken[::2] += 6
    assert figures(np.clip(shaken, 0, 255).astype(np.uint8), few).flicker > 3
    soft = (few.truth.astype(int) + np.roll(few.truth, 1, 2) + np.roll(few.truth, 2, 2)) // 3
    assert figures(soft.astype(np.uint8), few).sharpness < 0.8 * exact.sharpness


def test_what_teaches_knows_nothing_of_what_decides() -> None:
    teach, choose, decide = parts(600)
    for one, other in ((teach, choose), (teach, decide), (choose, decide)):
        assert np.abs(one[:, None] - other).min() > GAP
    assert len(teach) > 330
    assert len(decide) > 100


def test_pictures_are_those_that_torch_tuned(plain: Renderer, network: tuple[OwnNetwork, Verdict]) -> None:
    own = OwnPrograms(Weights(SHARED), network[0])
    mine = load_learned(SHARED).generator
    mine.load_state_dict(
        {n.removeprefix("generator."): torch.from_numpy(v).float() for n, v in network[0].tensors.items()}, strict=False
    )
    eye = Eyesight(plain)
    known = own.know(eye.portrait, eye.texture, eye.lips)
    view = eye.see(moved(2), plain.render(moved(2)))
    given = {name: torch.from_numpy(value) for name, value in seen_by_generator(view, known).items()}
    with torch.inference_mode():
        wanted = mine(given["warped"] * given["light"], given["square"], given["occlusion"], given["followed"])
    residual, added = own.change(view, 0.5, known)
    assert not residual.any()
    np.testing.assert_allclose(added, (0.5 * SHOWN * wanted / given["light"])[0].numpy(), atol=1e-4, rtol=0)
    assert np.abs(added).max() > 0.01
    assert not added[:, 0].any(), "at the square's border nothing is changed"


@pytest.fixture
def avatar(astronaut: Avatar, frames: Frames, network: tuple[OwnNetwork, Verdict]) -> Avatar:
    known = own_picture.with_looks_of(astronaut, FilmMemory({}, Manner()), frames, 0.2)
    assert known.film
    return replace(known, film=replace(known.film, network=network[0]))


def test_it_is_kept_in_the_folder_and_used_where_networks_are_wanted(avatar: Avatar, tmp_path: Path) -> None:
    avatar.save(tmp_path)
    assert (tmp_path / FILE).stat().st_size < 2_000_000
    again = Avatar.load(tmp_path)
    for quality in ("learned", "auto"):
        renderer = Painters(quality, 256, SHARED).renderer(again)
        assert isinstance(renderer, LearnedRenderer)
        painted = renderer.render(moved(1))
        assert not np.array_equal(painted, Renderer(again, 256).render(moved(1)))
        rest = replace(still(), blendshapes=renderer.own_expression)
        assert np.array_equal(renderer.render(rest), Renderer(again, 256).render(rest)), "the portrait stays exact"
    assert type(Painters("geometry", 256, SHARED).renderer(again)) is Renderer
    assert again.film
    alone = replace(again, film=replace(again.film, network=None))
    assert type(Painters("learned", 256, SHARED).renderer(alone)) is Renderer, "looks know better than shared weights"


def test_it_is_left_out_beside_other_shared_weights(avatar: Avatar, caplog: pytest.LogCaptureFixture) -> None:
    assert avatar.film
    assert avatar.film.network
    other = replace(avatar.film.network, fits=np.zeros(32, np.uint8))
    painters = Painters("learned", 256, SHARED)
    assert type(painters.renderer(replace(avatar, film=replace(avatar.film, network=other)))) is Renderer
    assert "enrol the film again with --tune" in caplog.text
    wrong = replace(avatar.film.network, tensors={"generator.leave.bias": np.zeros(5, np.float16)})
    with pytest.raises(VivifyError, match=r"generator\.leave\.bias \[5\]"):
        OwnPrograms(Weights(SHARED), wrong)


@pytest.mark.parametrize(
    "network",
    [
        OwnNetwork({}, np.zeros(32, np.uint8)),
        OwnNetwork({"a": np.zeros(3, np.float32)}, np.zeros(32, np.uint8)),
        OwnNetwork({"a": np.full(3, np.nan, np.float16)}, np.zeros(32, np.uint8)),
        OwnNetwork({"a": np.zeros(3, np.float16)}, np.zeros(8, np.uint8)),
        OwnNetwork({"a": np.zeros(1_000_001, np.float16)}, np.zeros(32, np.uint8)),
        OwnNetwork({str(k): np.zeros(1, np.float16) for k in range(65)}, np.zeros(32, np.uint8)),
    ],
    ids=["empty", "floats", "no number", "short digest", "large", "many"],
)
def test_a_file_of_strangers_is_looked_at(network: OwnNetwork, tmp_path: Path) -> None:
    FilmMemory({}, Manner(), network=network).save(tmp_path)
    with pytest.raises(VivifyError, match="damaged"):
        FilmMemory.load(tmp_path)


def squares(count: int, tint: int) -> Squares:
    """Squares whose truth is lighter by ``tint``; at random, and the same every time."""
    rng = np.random.default_rng(count)
    painted = rng.integers(60, 120, (count, 3, 128, 128), np.uint8)
    around = np.full((count, 1, 32, 32), 0.5, np.float16)
    followed = np.zeros((count, 24, 32, 32), np.float16)
    light = np.ones((1, 3, 1, 1), np.float32)
    return Squares(painted, painted, around, followed, np.ones(count, np.float32), painted + np.uint8(tint), light)


def tiny() -> Generator:
    torch.manual_seed(1)
    return Generator(width=4).eval()


def test_tuning_is_the_same_every_time_and_ends_when_time_is_up() -> None:
    plan = Plan(rows=1, steps=10, every=5, warm=1, ema=0.1)
    one, other = (tune(tiny(), squares(4, 12), squares(2, 12), lambda step: False, plan) for _ in range(2))
    assert one
    assert other
    assert one.after < one.before == pytest.approx(12, abs=0.1)
    assert all(np.array_equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
    assert not any(name.startswith("generator.look") for name in one.tensors)
    asked: list[int] = []

    def over(step: int) -> bool:
        asked.append(step)
        return step == 5

    ended = tune(tiny(), squares(4, 12), squares(2, 12), over, plan)
    assert asked == [0, 1, 2, 3, 4, 5]
    assert ended
    assert ended.steps == 5


def test_interrupted_by_hand_it_keeps_what_was_reached_if_that_is_better() -> None:
    def by_hand(step: int) -> bool:
        if step == 7:
            raise KeyboardInterrupt
        return False

    plan = Plan(rows=1, steps=20, every=5, warm=1, ema=0.1)
    kept = tune(tiny(), squares(4, 12), squares(2, 12), by_hand, plan)
    assert kept
    assert kept.steps == 5
    assert tune(tiny(), squares(4, 12), squares(2, 0), lambda step: False, plan) is None, (
        "what chooses is exact already"
    )


def taught(renderer: Renderer, memory: FilmMemory) -> Taught:
    nothing: Any = None
    return Taught(Filmed(Path("film.mp4"), nothing, 0, renderer, [], []), memory)


def test_bounds_are_told_in_sentences(
    plain: Renderer, avatar: Avatar, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in (0.0, -1.0, 1e4, float("nan")):
        with pytest.raises(VivifyError, match="up to 240 minutes"):
            own_picture.check(minutes)
    own_picture.check(5)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(VivifyError, match=r"pip install 'vivify\[tune\]'"):
        own_picture.check(5)
    _, (word,) = own_picture.tuned(1, taught(plain, FilmMemory({}, Manner())), lambda what, share: None)
    assert word == "Left out: a picture network of one's own (the film shows too little of the mouth)."
    monkeypatch.setattr(own_picture, "frames_of", lambda *given: frames)
    assert avatar.film
    _, (word,) = own_picture.tuned(1, taught(plain, avatar.film), lambda what, share: None)
    assert "120 frames show the mouth, at least 200 are needed" in word


@pytest.mark.parametrize("helps", [True, False])
def test_a_verdict_becomes_words(
    helps: bool, plain: Renderer, avatar: Avatar, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, film = Figures(10.0, 5.0, 8.0, 2.0), Figures(0.0, 0.0, 9.0, 0.0)
    assert avatar.film
    network = avatar.film.network
    verdict = Verdict(before, replace(before, mouth=9.0 if helps else 10.5), film)
    monkeypatch.setattr(own_picture, "FEWEST", 100)
    monkeypatch.setattr(own_picture, "frames_of", lambda *given: frames)
    monkeypatch.setattr(own_picture, "tuned_on", lambda *given: (network, verdict))
    shares: list[float] = []
    memory = replace(avatar.film, network=None)
    found, (word,) = own_picture.tuned(1, taught(plain, memory), lambda what, share: shares.append(share))
    assert (found.network is network) == helps
    assert word.startswith("Tuned on the film" if helps else "Left out")
    assert ("mouth -10.0 %" if helps else "error around the mouth +5.0 %") in word
