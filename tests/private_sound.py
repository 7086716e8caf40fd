"""Sound servers of a test's own, used by this process for as long as a block lasts; skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from clients.trials import sound_servers
from engine.errors import VivifyError


@contextmanager
def pulseaudio(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with _used(sound_servers.pulseaudio, monkeypatch):
        yield


@contextmanager
def pipewire(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with _used(sound_servers.pipewire, monkeypatch):
        yield


@contextmanager
def _used(
    server: Callable[[], AbstractContextManager[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            environment = stack.enter_context(server())
        except VivifyError as error:
            pytest.skip(str(error))
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            yield
