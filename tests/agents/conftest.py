"""What tests of agents share: speech, and how far lips stand apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from av import VideoFrame
from serving import engine

from clients.trials.sentence import sentence
from engine.enrolment.landmarks import FaceMesh
from engine.face.measures import aperture
from engine.process.keeper import EngineKeeper

Gap = Callable[[npt.NDArray[np.uint8]], float]


@pytest.fixture(scope="session")
def keeper() -> EngineKeeper:
    """The one engine of a test run."""
    return engine()


@pytest.fixture(scope="session")
def speech() -> npt.NDArray[np.int16]:
    """The bundled sentence at 24 kHz, its pauses taken out: a gap in it is an error of somebody's."""
    pcm = sentence(24_000)
    pieces = pcm[: len(pcm) // 240 * 240].reshape(-1, 240)
    return np.ascontiguousarray(pieces[np.abs(pieces).max(1) > 1000].reshape(-1))


@pytest.fixture(scope="session")
def gap() -> Iterator[Gap]:
    """How far the lips of a picture [I420] stand apart, in outer-eye-corner distances."""
    with FaceMesh(faces=1) as tracker:

        def measure(planes: npt.NDArray[np.uint8]) -> float:
            rgb = VideoFrame.from_ndarray(planes, format="yuv420p").to_ndarray(format="rgb24")
            return float(aperture(tracker.find(rgb)[0]))

        yield measure
