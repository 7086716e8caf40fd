"""A real server, and a real chromium that hears a file as its microphone."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import Running, engine, running

from engine.audio.sound_files import read_speech
from engine.paths import assets

QUIET_S, SPEECH_S = 2.0, 3.5
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
)


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    with running() as server:
        yield server
    engine().stop()


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake microphone hears, over and over: silence, then speech. 48 kHz, as chromium wants it."""
    speech = read_speech(assets() / "speech.wav", 48_000)
    begin = int(np.flatnonzero(np.abs(speech) > 0.05)[0])
    heard = np.concatenate([np.zeros(int(QUIET_S * 48_000)), speech[begin : begin + int(SPEECH_S * 48_000)]])
    path = tmp_path_factory.mktemp("microphone") / "heard.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.round(32767 * heard).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def launched() -> Callable[..., AbstractContextManager[Any]]:
    """Starts a chromium that hears a file, with further switches."""
    return launch


@contextmanager
def launch(microphone: Path, *more: str) -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright drives the browser: install the extra 'test'"
    )
    path = next(filter(None, map(shutil.which, CHROMIUM)))
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=[*FLAGS, *fake, *more])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser(microphone: Path) -> Iterator[Any]:
    with launch(microphone) as browser:
        yield browser
