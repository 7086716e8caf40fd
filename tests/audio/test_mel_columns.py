"""The streaming mel columns are SadTalker's of the whole recording, row by row, at every look-ahead."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.audio.mel_columns import KNOWN, MelColumns, held
from engine.sadtalker.voice.mel_windows import mel_windows

pytestmark = pytest.mark.cpu

FRAMES = 24


def voice(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (np.repeat(rng.uniform(0, 0.4, FRAMES), 640) * rng.normal(0, 1, 640 * FRAMES)).clip(-1, 1).astype(np.float32)


@pytest.mark.parametrize("ahead", range(4))
def test_a_stream_hears_what_a_recording_holds(ahead: int) -> None:
    """Beyond the recording's end a stream hears silence, so its last frames are left out."""
    whole = mel_windows(torch.from_numpy(voice(1))).numpy()
    stream, rows = MelColumns(2), np.array([True, False])
    for k in range(FRAMES - 3):
        samples = np.zeros((2, 640), np.float32)
        samples[0] = voice(1)[640 * k : 640 * (k + 1)]
        windows = stream.step(samples, np.full(2, ahead), rows)
        if k >= ahead + 2:
            wanted = held(whole[k - ahead][None], np.array([KNOWN[ahead]]))[0]
            np.testing.assert_allclose(windows[0], wanted, atol=2e-4)


def test_no_column_is_taken_for_known_that_hears_the_future() -> None:
    """With 80 ms of look-ahead whatever comes after the newest frame changes nothing."""
    first, second = voice(1), voice(2)
    second[: 640 * 12] = first[: 640 * 12]
    said = []
    for samples in (first, second):
        stream = MelColumns(1)
        for k in range(12):
            said.append(stream.step(samples[None, 640 * k : 640 * (k + 1)], np.array([2]), np.array([True])).copy())
    np.testing.assert_array_equal(said[11], said[23])


def test_rows_are_apart_and_forget_alone() -> None:
    together, alone = MelColumns(2), MelColumns(1)
    for k in range(12):
        piece = [voice(s)[640 * k : 640 * (k + 1)] for s in (3, 4)]
        if k == 6:
            together.begin(np.array([True, False]))
        both = together.step(np.stack(piece), np.array([1, 3]), np.array([True, True]))
        single = alone.step(piece[1][None], np.array([3]), np.array([True]))
        np.testing.assert_allclose(both[1], single[0], atol=1e-6)


def test_what_is_no_number_is_silence() -> None:
    stream = MelColumns(1)
    said = stream.step(np.full((1, 640), np.nan, np.float32), np.array([0]), np.array([True]))
    assert (said == -4.0).all()
