"""Training of the disentanglement: a few samples are learned by heart, a cut run goes on unharmed, stages in order."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from docs.markdown import snippets
from safetensors.torch import load_file
from torch import nn

from a2v.tiny_faces import TINY, faces
from engine.a2v.disentanglement.disentangled import STAGES, Disentangled
from engine.a2v.disentanglement.disentanglement_trainer import StageTrainer, begun, weights_of
from engine.a2v.disentanglement.disguises import disguised
from engine.a2v.disentanglement.stage_losses import pretrained_style
from engine.a2v.disentanglement.stage_plans import PAPER, PLANS, TRAINED, Plan
from engine.a2v.disentanglement.talking_samples import Batch, Piece, across, gather, of_one, save_piece
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[2]
QUICK = Plan(rows=4, steps=4, encoders=1e-3, mlps=1e-3, generator=2e-3, judge=1e-3, bank=3)


class Blurred(nn.Module):
    """Stands where a user's network does: what two sizes of the picture look like."""

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        return [pictures, nn.functional.avg_pool2d(pictures, 4)]


def fresh(stage: str, plan: Plan, work: Path, seed: int = 0) -> StageTrainer:
    torch.manual_seed(seed)
    return StageTrainer(stage, plan, Disentangled(TINY), work, {"vgg": Blurred()})


def test_every_network_is_trained_in_some_stage() -> None:
    assert {name for names in TRAINED.values() for name in names} == {n for n, _ in Disentangled(TINY).named_children()}
    assert set(TRAINED) == set(STAGES) == set(PLANS["paper"]) == set(PLANS["small"])


@pytest.mark.parametrize("stage", STAGES)
def test_gradients_reach_all_that_a_stage_trains_and_nothing_else(stage: str, tmp_path: Path) -> None:
    trainer = fresh(stage, QUICK, tmp_path)
    before = {key: value.clone() for key, value in trainer.net.state_dict().items()}
    pieces = [faces(tmp_path)]
    for _ in range(2):
        said = trainer.train_step(pieces)
    assert all(np.isfinite(list(said.values())))
    for name, network in trainer.net.named_children():
        for key, parameter in network.named_parameters():
            reached = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
            assert reached == (name in TRAINED[stage]), f"{name}.{key} in {stage}"
            assert torch.equal(before[f"{name}.{key}"], parameter) == (name not in TRAINED[stage])


def test_the_terms_are_the_supplements(tmp_path: Path) -> None:
    pieces = [faces(tmp_path)]
    assert set(fresh("lips", QUICK, tmp_path).train_step(pieces)) == {"contrastive"}
    assert set(fresh("nonlips", QUICK, tmp_path).train_step(pieces)) == {"ol", "gan", "l1", "vgg", "judge"}
    assert set(fresh("generator", QUICK, tmp_path).train_step(pieces)) == {"gan", "l1", "vgg", "judge"}


def test_eight_sounds_find_their_pictures(tmp_path: Path) -> None:
    trainer = fresh("lips", replace(QUICK, rows=8, encoders=3e-3, mlps=3e-3), tmp_path)
    piece = faces(tmp_path)
    losses = [trainer.train_step([piece])["contrastive"] for _ in range(60)]
    assert losses[-1] < 0.2 * losses[0]
    rows = list(range(8))
    with torch.no_grad():
        met = trainer.net.lips_seen(trainer.net.seen(piece.pictures(rows)))
        found = (met @ trainer.net.heard(piece.mels(rows)).T).argmax(1)
    assert found.tolist() == rows


def test_eight_pictures_are_learned_by_heart(tmp_path: Path) -> None:
    plan = replace(QUICK, rows=8, encoders=1e-2, generator=6e-2, judge=1e-4)
    trainer, piece = fresh("pretrain", plan, tmp_path), faces(tmp_path)
    losses = [trainer.train_step([piece])["vgg"] for _ in range(110)]
    assert np.mean(losses[-10:]) < 0.2 * losses[0]
    truth = piece.pictures(list(range(8)))
    with torch.no_grad():
        batch = Batch(truth, truth[[0] * 8], piece.mels(list(range(8))))
        made = trainer.net.generator(pretrained_style(trainer.net, batch, np.random.default_rng(2)))
    nearest = torch.cdist(made.flatten(1), truth.flatten(1)).argmin(1)
    assert sum(nearest == torch.arange(8)) >= 6, nearest  # each is drawn as itself, all from one reference


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    pieces = [faces(tmp_path), faces(tmp_path, frames=11, seed=1)]
    straight = fresh("nonlips", QUICK, tmp_path / "straight")
    for _ in range(4):
        straight.train_step(pieces)
    cut = fresh("nonlips", QUICK, tmp_path / "cut")
    cut.train_step(pieces)
    cut.train_step(pieces)
    cut.save()
    cut.train_step(pieces)  # lost with the process
    again = fresh("nonlips", QUICK, tmp_path / "cut", seed=1)
    assert again.step == 2
    again.train_step(pieces)
    again.train_step(pieces)
    one, other = straight.tensors(), again.tensors()
    assert one.keys() == other.keys()
    assert any(key.startswith("adam.exp_avg_sq.judge") for key in one)
    assert int(one["bank.held"]) == 12
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    trainer = fresh("nonlips", QUICK, tmp_path)
    trainer.save()
    with pytest.raises(VivifyError, match="begun with other sizes or rows"):
        fresh("nonlips", replace(QUICK, rows=5), tmp_path)


def test_plans_decay_and_freeze_as_written() -> None:
    plan = PAPER["nonlips"]
    assert (plan.steps, plan.rows, plan.bank, plan.bank * plan.rows) == (40_000, 16, 32, 512)
    assert (plan.rate("mlp_ol", 0), plan.rate("generator", 0), plan.rate("judge", 0)) == (1e-5, 2e-5, 3.5e-6)
    assert plan.rate("generator", 80_000) == 1e-5
    assert PAPER["generator"].rate("generator", 40_000) == 1e-5  # 40,000 steps had gone before
    assert PAPER["generator"].length(1600) == 500  # five epochs of 16 rows
    assert PAPER["lips"].rate("audio", 200_000) == pytest.approx(0.93e-5)


def test_a_sound_lies_in_the_middle_of_its_picture(tmp_path: Path) -> None:
    samples = np.zeros(640 * 8, np.float32)
    samples[640 * 3 + 320] = 1.0
    piece = save_piece(tmp_path / "click.safetensors", np.zeros((8, 3, 4, 4), np.uint8), samples)
    loud = piece.mels([0, 2, 3, 4, 7]).mean(2)
    assert loud.shape == (5, 20)
    assert loud.argmax(1)[1:4].tolist() == [14, 10, 6]  # four hops a frame; the hop that holds sample 1600 is the tenth
    assert float(loud[0].max() - loud[0].min()) == 0 == float(loud[4].max() - loud[4].min())


def test_batches_say_who_and_when(tmp_path: Path) -> None:
    pieces = [faces(tmp_path), faces(tmp_path, seed=1)]
    batch = across(pieces, 16, np.random.default_rng(0))
    assert torch.equal(batch.pictures[:, 2].mean((1, 2)), batch.references[:, 2].mean((1, 2)))  # the same person
    assert not any(torch.equal(a, b) for a, b in zip(batch.pictures, batch.references, strict=True))
    alone = of_one(pieces, 48, np.random.default_rng(0))
    assert len(alone.pictures) == 8
    assert len({p.numpy().tobytes() for p in alone.pictures}) == 8
    hidden = disguised(batch.pictures, np.random.default_rng(3))
    assert hidden.shape == batch.pictures.shape
    assert 0.02 < float((hidden - batch.pictures).abs().mean()) < 0.3


def test_a_film_becomes_samples_once(shared: Path, tmp_path: Path) -> None:
    (piece,) = gather(shared / "video" / "grid" / "lbax4n.mpg", "ann", tmp_path, 32)
    assert piece.frames >= 70
    pictures = piece.pictures([0, 40])
    assert pictures.shape == (2, 3, 32, 32)
    skin, corner = pictures[:, :, 14:18, 14:18].mean((2, 3)), pictures[:, :, :2, :2].mean((2, 3))
    assert bool((skin[:, 0] > skin[:, 2] + 0.05).all())  # a face is redder than it is blue; GRID's wall is blue
    assert bool((corner[:, 0] < skin[:, 0]).all())
    assert gather(Path("gone.mpg"), "ann", tmp_path, 32) == [piece]


def script() -> ModuleType:
    loader = SourceFileLoader("train_a2v", str(ROOT / "scripts" / "train_a2v"))
    spec = spec_from_loader("train_a2v", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_script_goes_from_stage_to_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "samples-96"
    folder.mkdir()
    made: Piece = faces(folder, side=96)
    (folder / "ann.json").write_text(json.dumps({made.path.name: made.frames}))
    options = script().options()

    def run(stage: str, *more: str) -> None:
        given = options.parse_args([stage, "--films", "ann.mpg", "--work", str(tmp_path), "--device", "cpu", *more])
        given.run(given)

    with pytest.raises(VivifyError, match="run scripts/train_a2v pretrain first"):
        run("lips")
    for stage in STAGES:
        run(stage, "--steps", "1", "--rows", "2")
        if stage == "lips":
            with pytest.raises(VivifyError, match=r"trained as far as the stage 'nonlips', but has come to 'lips'"):
                run("features")
    assert "no --vgg: L_vgg is left out" in capsys.readouterr().err
    run("features")
    features = load_file(str(tmp_path / "features" / made.path.name))
    assert {name: tuple(value.shape) for name, value in features.items()} == {
        "nonlips": (8, 12),
        "lips": (8, 52),
        "heard": (8, 64),
    }
    assert not Disentangled.load(weights_of(tmp_path, "generator")).training
    (told,) = [snippet.text for snippet in snippets("python") if "disentanglement" in snippet.text]
    told = told.replace("out/a2v", str(tmp_path)).replace("ann_0", made.path.stem)
    exec(compile(told, "docs/a2v.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "(2, 3, 96, 96)"
    with pytest.raises(VivifyError, match="run scripts/train_a2v generator"):
        Disentangled.load(weights_of(tmp_path, "nonlips"))
    with pytest.raises(VivifyError, match="has others: name another folder"):
        begun(tmp_path, "lips", TINY, 0)
