"""SadTalker's stages learn eight samples by heart, survive a kill, and leave no parameter without a gradient."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.numpy import save_file
from safetensors.torch import load_file

from engine.errors import VivifyError
from engine.sadtalker.voice.pose_vae import PoseShape
from engine.training.films.film_tracks import Track
from engine.training.sadtalker import expression_clips, head_clips
from engine.training.sadtalker.coefficient_space import arkit_space, official_space
from engine.training.sadtalker.exp_losses import ExpWeights, exp_losses, eye_ratio
from engine.training.sadtalker.exp_stage import ExpPlan, ExpStage
from engine.training.sadtalker.expression_clips import ExpressionClips, taught_lips
from engine.training.sadtalker.head_clips import HeadClips
from engine.training.sadtalker.heard_streams import listened
from engine.training.sadtalker.official_films import official_expressions, official_films, official_heads
from engine.training.sadtalker.pose_stage import PosePlan, PoseStage
from engine.training.sadtalker.stage_trainer import StageTrainer, reached

pytestmark = pytest.mark.cpu

SPACE = arkit_space()
QUIET = Console(quiet=True)
SHAPE = PoseShape(frames=8, styles=2, latent=4, hidden=16, width=2, channels=(2, 3, 4, 5), own_variance=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def sounds(frames: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    level = np.repeat(rng.uniform(0, 0.3, (count, frames)), 640, axis=1)
    return list((level * rng.normal(0, 1, (count, 640 * frames))).astype(np.float32))


def expressions() -> ExpressionClips:
    phones = [("AA", 0.0, 0.12), ("P", 0.12, 0.24), ("IY", 0.24, 0.4)]
    heard = listened(sounds(8, 4))
    lips = np.tile(taught_lips(phones, 8), (4, 1)).astype(np.float16)
    faces = np.random.default_rng(1).uniform(0, 0.3, (6, 52)).astype(np.float16)
    return ExpressionClips(heard, lips, np.ones(32, bool), faces, np.array([[0, 3], [3, 6], [0, 0], [0, 0]]))


def heads() -> HeadClips:
    rng = np.random.default_rng(2)
    poses = np.cumsum(rng.normal(0, 0.15, (4 * 20, 6)), 0).astype(np.float32)
    return HeadClips(listened(sounds(20, 4)), poses, np.array([0, 1, 0, 1]))


def exp_stage(folder: Path, steps: int = 6, rate: float = 1e-3) -> ExpStage:
    plan = ExpPlan(steps=steps, rate=rate, rows=8, frames=1, every=2)
    return ExpStage(plan, SPACE, [expressions()], folder, width=2)


def pose_stage(folder: Path, steps: int = 6, rate: float = 1e-3, kl: float = 1.0, gan: float = 0.7) -> PoseStage:
    plan = PosePlan(steps=steps, rate=rate, rows=8, every=2, kl=kl, gan=gan)
    return PoseStage(plan, [heads()], folder, SHAPE, judge_width=4)


STAGES: dict[str, Callable[[Path], StageTrainer]] = {"exp": exp_stage, "pose": pose_stage}


def same_batch(monkeypatch: pytest.MonkeyPatch, module: str, draw: Callable[..., object]) -> None:
    """Whatever the step, the same eight samples."""
    monkeypatch.setattr(
        f"engine.training.sadtalker.{module}.draw", lambda _, *given: draw(np.random.default_rng(0), *given)
    )


def test_expnet_learns_eight_samples_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same_batch(monkeypatch, "exp_stage", expression_clips.draw)
    stage = exp_stage(tmp_path, rate=2e-2)
    told = [stage.train_step() for _ in range(40)]
    assert told[-1]["distill"] < 0.4 * told[0]["distill"]
    assert told[-1]["eye"] < 0.7 * told[0]["eye"]


def test_posevae_learns_eight_samples_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same_batch(monkeypatch, "pose_stage", head_clips.draw)
    stage = pose_stage(tmp_path, rate=2e-2, kl=1e-3, gan=0.0)
    told = [stage.train_step()["mse"] for _ in range(50)]
    assert told[-1] < 0.45 * told[0]


@pytest.mark.parametrize("name", STAGES)
def test_every_parameter_is_reached(name: str, tmp_path: Path) -> None:
    stage = STAGES[name](tmp_path)
    for _ in range(2):
        stage.train_step()
    for side in stage.sides:
        assert not reached(side.module)


@pytest.mark.parametrize("name", STAGES)
def test_a_killed_run_goes_on_bit_equal(name: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    STAGES[name](whole).run(QUIET)

    def die() -> None:
        stage = STAGES[name](killed)
        for _ in range(3):
            stage.train_step()
            if stage.step % 2 == 0:
                stage.save()
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    again = STAGES[name](killed)
    assert again.step == 2
    again.run(QUIET)
    first, second = (load_file(folder / f"{name}.safetensors") for folder in (whole, killed))
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_another_stage_s_folder_is_refused(tmp_path: Path) -> None:
    exp_stage(tmp_path).save()
    (tmp_path / "exp.safetensors").rename(tmp_path / "pose.safetensors")
    with pytest.raises(VivifyError, match="expected to be a checkpoint of the pose stage"):
        pose_stage(tmp_path)


def test_eyes_of_a_known_shape_have_the_ratio_of_the_paper() -> None:
    points = torch.zeros(68, 2)
    for first, x in ((36, 0.0), (42, 50.0)):
        for k, (dx, y) in enumerate([(0, 0), (3, -2), (7, -2), (10, 0), (7, 2), (3, 2)]):
            points[first + k] = torch.tensor([x + dx, y])
    assert eye_ratio(points) == pytest.approx(0.8)  # each eye is 10 wide and 4 high; both heights count


def test_a_blink_asks_for_shut_eyes_and_lips_are_pulled_to_the_sound() -> None:
    batch = expression_clips.draw(np.random.default_rng(3), [expressions()], SPACE, 4)
    perfect = batch.target.clone()
    terms = exp_losses(perfect, batch, SPACE, ExpWeights())
    assert terms["distill"] == 0
    shut = batch.__class__(**{**vars(batch), "blink": torch.ones_like(batch.blink)})
    perfect[..., list(SPACE.lids)] = 1.0
    open_lids = perfect.clone()
    open_lids[..., list(SPACE.lids)] = 0.0
    met, missed = (exp_losses(said, shut, SPACE, ExpWeights())["eye"] for said in (perfect, open_lids))
    assert met < 0.5 * missed


def test_the_official_space_has_landmarks_only_where_somebody_gives_them(tmp_path: Path) -> None:
    assert official_space().landmarks is None
    odd = tmp_path / "odd.safetensors"
    odd.write_bytes(b"nothing")
    with pytest.raises(VivifyError, match="expected to hold rest"):
        official_space(odd)


def test_two_processes_average_what_they_learn(tmp_path: Path) -> None:
    import torch.distributed as ddp

    def learn(rank: int) -> None:
        torch.set_num_threads(1)
        ddp.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", world_size=2, rank=rank)
        stage = exp_stage(tmp_path)
        for _ in range(2):
            stage.train_step()
        torch.save(stage.net.state_dict(), tmp_path / f"{rank}.pt")
        ddp.destroy_process_group()

    found = multiprocessing.get_context("fork")
    workers = [found.Process(target=learn, args=(rank,)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    alone = exp_stage(tmp_path / "alone")
    (tmp_path / "alone").mkdir(exist_ok=True)
    for _ in range(2):
        alone.train_step()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0)
    assert any(not torch.equal(value, one[name]) for name, value in alone.net.state_dict().items())


def film(name: str, frames: int) -> Track:
    """A tracked shot of nobody."""
    still = {"pose": (frames, 6), "start": (6,), "aperture": (frames,), "width": (frames,), "alpha": (1,)}
    rest = {key: np.zeros(size, np.float32) for key, size in still.items()}
    face = {"blendshapes": np.zeros((frames, 52), np.float32), "lip_offsets": np.zeros((frames, 40, 3), np.float32)}
    return Track(name, "somebody", samples=sounds(frames, 1)[0], refused=(), **rest, **face)


def test_films_in_the_official_coefficients_train_both(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    given = {"expression": rng.normal(0, 1, (20, 64)), "lips": rng.normal(0, 1, (20, 64)), "pose": np.zeros((20, 6))}
    save_file({key: value.astype(np.float32) for key, value in given.items()}, tmp_path / "a_0.safetensors")
    films = official_films([film("a_0", 20), film("b_0", 20)], tmp_path)
    assert [one.track.name for one in films] == ["a_0"]
    space, clips = official_space(), official_expressions(films)
    np.testing.assert_allclose(clips.lips, given["lips"], atol=2e-3)
    plan = ExpPlan(steps=1, rate=1e-3, rows=2, frames=2)
    told = ExpStage(plan, space, [clips], tmp_path, width=2).train_step()
    assert set(told) == {"distill"}, "there is no face to take landmarks of"
    poses = official_heads(films, {"somebody": 1})
    PoseStage(PosePlan(steps=1, rate=1e-3, rows=2), [poses], tmp_path, SHAPE, judge_width=4).train_step()


def test_odd_official_coefficients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="there are none of any"):
        official_films([film("a_0", 20)], tmp_path)
    save_file({"expression": np.zeros((19, 64), np.float32)}, tmp_path / "a_0.safetensors")
    with pytest.raises(VivifyError, match="expected to hold expression"):
        official_films([film("a_0", 20)], tmp_path)
