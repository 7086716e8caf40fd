"""`vivify serve` and `vivify talk` where there is nothing to talk to, or no port to listen on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from command import vivify

from engine.paths import assets

pytestmark = pytest.mark.net


def test_a_port_in_use_is_said_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert vivify(monkeypatch, "serve", "--port", port) == 1
    assert f"Port {port} on 127.0.0.1 is already in use" in capsys.readouterr().err.replace("\n", "")


def test_a_server_that_is_not_there_gets_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:  # bound but not listening: nobody else can answer there
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert vivify(monkeypatch, "talk", url, assets() / "speech.wav", "-o", tmp_path / "out.mp4") == 1
    told = capsys.readouterr().err.replace("\n", "")
    assert url in told
    assert "Traceback" not in told
