"""The prior's trainer learns, goes on where it was stopped, and shows the network its three tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.a2v.prior_network import PAPER, VALUES, PriorConfig, PriorNetwork
from engine.motion.prior.nonlip import NONLIP, PLACE
from engine.training.beyond_lips.nonlip_data import Movements, liveliness, mirrored
from engine.training.beyond_lips.prior_rows import draw_rows
from engine.training.beyond_lips.prior_trainer import PriorPlan, PriorTrainer, losses, usual_values

pytestmark = pytest.mark.cpu

SMALL = PriorConfig(dim=32, layers=2, heads=2, forward=64, frames=2, past=6, window=4, most=16)


@pytest.fixture(scope="module")
def sources() -> list[tuple[Movements, float]]:
    """Heads and brows that go with the first band of the sound."""
    rng = np.random.default_rng(0)
    sound = rng.normal(-1, 0.3, (400, 33)).astype(np.float32)
    sound[:, 0] = np.sin(np.arange(400) / 5)
    values = 0.05 * sound[:, :1] * np.linspace(0.5, 1, len(NONLIP)) + 0.05
    one = Movements(
        sound, values.astype(np.float32), np.zeros((1, 2), np.float32), np.ones(1, np.float32), np.array([0, 400])
    )
    return [(one, 1.0)]


def test_it_learns_and_goes_on(sources: list[tuple[Movements, float]], tmp_path: Path) -> None:
    plan = PriorPlan(steps=60, rows=8, rate=6e-3)
    trainer = PriorTrainer(SMALL, plan, sources, tmp_path)
    trainer.advance()
    first = trainer.smooth["values"]
    while trainer.step < 50:
        trainer.advance()
    trainer.keep()
    again = PriorTrainer(SMALL, plan, sources, tmp_path)
    assert again.step == 50
    trained = again.train(lambda text: None)
    assert int(trained.trained) == 60
    rows = draw_rows(np.random.default_rng(9), sources, 32, SMALL, again.usual)
    assert float(losses(again.model, rows)["values"].detach()) < 0.7 * first


def test_rows_are_of_three_kinds(sources: list[tuple[Movements, float]]) -> None:
    rows = draw_rows(np.random.default_rng(1), sources, 64, SMALL, usual_values(sources))
    causal = rows.causal > 0
    streaming = ~causal & (rows.level[:, : SMALL.past].sum(1) == 0)
    assert 0 < int(causal.sum()) < int(streaming.sum())
    assert (rows.level[streaming][:, SMALL.past :].diff(dim=1) > 0).all(), "noise grows with distance"
    assert (rows.counts[streaming][:, : SMALL.past] == 0).all(), "what is given is not asked for"
    now = SMALL.past * SMALL.frames
    assert (rows.heard[streaming].flatten(1)[:, now + 4 :] == 0).all(), "the future is not heard"
    for name in ("values", "given", "clean", "counts"):
        assert tuple(getattr(rows, name).shape) == (64, SMALL.past + SMALL.window, SMALL.frames * VALUES)


def test_every_weight_is_reached(sources: list[tuple[Movements, float]]) -> None:
    torch.manual_seed(0)
    model = PriorNetwork(SMALL)
    rows = draw_rows(np.random.default_rng(1), sources, 24, SMALL, usual_values(sources))
    torch.stack(list(losses(model, rows).values())).sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert still == ["style.weight"], "styles of the one stream are zero; all else learns"


def test_the_papers_sizes() -> None:
    with torch.device("meta"):
        model = PriorNetwork(PAPER)
    assert len(model.layers) == 6
    assert model.position.shape == (128, 512)
    assert model.layers[0].expand.out_features == 1024
    assert PAPER.past + PAPER.window == 128


def test_mirrors_and_liveliness() -> None:
    values = np.random.default_rng(2).uniform(0, 0.2, (50, len(NONLIP))).astype(np.float32)
    other = mirrored(values)
    np.testing.assert_array_equal(mirrored(other), values)
    np.testing.assert_array_equal(other[:, PLACE["browDownLeft"]], values[:, PLACE["browDownRight"]])
    np.testing.assert_array_equal(other[:, PLACE["yaw"]], -values[:, PLACE["yaw"]])
    assert (liveliness(2 * values) > liveliness(values)).all()
