"""The head inside the pipeline: rows join and leave, each moves by its own seed, and a barge-in leaves it alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from engine import avatars
from engine.config import EngineConfig
from engine.contracts import Motion
from engine.face.avatar import Avatar
from engine.paths import assets
from engine.pipeline import Pipeline, Request
from engine.training.speech.speech_recording import load_recording

pytestmark = pytest.mark.cpu


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(pipeline: Pipeline, rows: list[int], begin: int, frames: int) -> dict[int, list[Motion]]:
    """Let the rows hear frames of the bundled sentence from ``begin`` on."""
    voice = load_recording(assets() / "speech")[0]
    out: dict[int, list[Motion]] = {row: [] for row in rows}
    for k in range(begin, begin + frames):
        piece = voice[640 * k : 640 * (k + 1)]
        for drawn in pipeline.step([Request(row, piece, 0.6, True, draw=False) for row in rows]):
            if drawn.motion:
                out[drawn.row].append(drawn.motion)
    return out


def heads(motions: list[Motion]) -> np.ndarray:
    return np.stack([np.concatenate([m.rotation.ravel(), m.translation]) for m in motions])


def test_each_row_moves_by_its_own_seed_whoever_joins_or_leaves() -> None:
    pipeline = Pipeline(EngineConfig(max_sessions=3, mover="codebook"))
    avatar = Avatar.load(avatars.resolve("astronaut")[1])
    first, second = pipeline.join(avatar, 80, 5), pipeline.join(avatar, 80, 6)
    early = run(pipeline, [first, second], 0, 30)
    assert not np.allclose(heads(early[first]), heads(early[second]))
    assert np.abs(heads(early[first])[:, :9] - np.eye(3).ravel()).max() > 0.003, "the head moves"
    assert np.allclose(heads(early[first])[0, :9], np.eye(3).ravel(), atol=2e-3), "from the portrait on"
    pipeline.leave(first)
    third = pipeline.join(avatar, 80, 6)
    pipeline.forget(second)  # a barge-in: the head goes on
    late = run(pipeline, [second, third], 0, 30)
    assert np.allclose(heads(late[third]), heads(early[second]), atol=1e-5), "same seed, same sound, same head"
    step = heads(late[second])[0] - heads(early[second])[-1]
    assert np.abs(step).max() < 0.03, "no jump where the sound was dropped"
