"""Every snippet of README and docs runs as it stands there; what needs another machine is at least read."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Running, running

from docs.markdown import ROOT, Snippet, commands, snippets
from engine.paths import assets
from webrtc.access.tokens import Tokens

pytestmark = pytest.mark.net

KEY = "a key of thirty-two bytes, or more"
# A card, other machines, devices and sound servers, which tests/outputs tries where they are; SadTalker's official
# weights, in whose place tests/sadtalker has random ones; Ray, which tests/fleet starts where it is installed.
ELSEWHERE = (
    *("--device cuda", "--network", "--camera", "--microphone", "--rtmp", "--srt", "--whip"),
    *("sadtalker", "vivify fleet"),
)
SHELL = [(snippet, line) for snippet in snippets("sh") for line in commands(snippet)]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.fixture(scope="module")  # not longer: its threads would draw numbers beside hypothesis, which forbids that
def server() -> Iterator[Running]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader stands: a voice and a photo of his own."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("voice.mp3", "voice.wav"):
        _cut(assets() / "speech.wav", folder / name, 1.0)
    portrait = assets() / "avatars" / "astronaut" / "portrait.png"
    from PIL import Image

    Image.open(portrait).convert("RGB").save(folder / "me.jpg", quality=95)
    return folder


def _cut(source: Path, target: Path, seconds: float) -> None:
    import av

    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream("mp3" if target.suffix == ".mp3" else "pcm_s16le", rate=48_000)
        stream.layout = "mono"
        resampler = av.AudioResampler(format=stream.codec_context.format or "s16p", layout="mono", rate=48_000)
        for frame in given.decode(audio=0):
            if frame.time is not None and 1.0 <= frame.time < 1.0 + seconds:
                frame.pts = None
                for piece in resampler.resample(frame):
                    made.mux(stream.encode(piece))
        made.mux(stream.encode(None))


def _run(command: list[str], folder: Path, **env: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": PATH, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    return done.stdout


SIGNING = [snippet for snippet in snippets("python") if "jwt" in snippet.text]
MOUNTING = [snippet for snippet in snippets("python") if "app.mount" in snippet.text]
FILMING = [snippet for snippet in snippets("python") if "import render" in snippet.text]
LEARNED = [snippet for snippet in snippets("python") if "engine.a2v" in snippet.text]  # tests/a2v runs them
PYTHON = [snippet for snippet in snippets("python") if snippet not in SIGNING + MOUNTING + FILMING + LEARNED]


def test_python_from_the_engine() -> None:
    first = PYTHON[0]
    out = _run([sys.executable, "-W", "error", "-c", first.text], ROOT).splitlines()
    assert out[:2] == ["0 (512, 512, 3)", "640 (512, 512, 3)"], "what its comment says"
    assert len(out) == 25 - 2, "a second of sound less the look-ahead"


@pytest.mark.parametrize("snippet", SIGNING, ids=lambda s: s.name)
def test_python_that_signs_tokens(snippet: Snippet) -> None:
    pytest.importorskip("jwt", reason="PyJWT is not installed: install the extra 'tokens'")
    shown = _run([sys.executable, "-c", snippet.text], ROOT, VIVIFY_TOKEN_KEY=KEY).split()
    speaker, viewer = (Tokens((), KEY).caller(token, "") for token in shown)
    assert (speaker.rights, viewer.rights) == ({"speak"}, {"watch"})
    assert speaker.session == viewer.session


ASK_IT = """
from fastapi.testclient import TestClient

with TestClient(app) as client:
    shown = {"Authorization": "Bearer a-token-of-good-length"}
    print([client.get("/avatar/api/avatars", headers=headers).status_code for headers in ({}, shown)])
"""


@pytest.mark.parametrize("snippet", MOUNTING, ids=lambda s: s.name)
def test_python_that_mounts_a_server(snippet: Snippet) -> None:
    assert _run([sys.executable, "-c", snippet.text + ASK_IT], ROOT).strip() == "[401, 200]"


@pytest.mark.parametrize("snippet", FILMING, ids=lambda s: s.name)
def test_python_that_makes_a_film(snippet: Snippet, folder: Path) -> None:
    assert int(_run([sys.executable, "-W", "error", "-c", snippet.text], folder)) in (25, 26)
    assert (folder / "over.webm").stat().st_size > 10_000


@pytest.mark.parametrize("snippet", PYTHON[1:], ids=lambda s: s.name)
def test_python_with_a_server(snippet: Snippet, server: Running) -> None:
    out = _run([sys.executable, "-c", snippet.text.replace("http://127.0.0.1:8080", server.url)], ROOT)
    assert int(out) >= 5, "pictures of a second of sound: 25, less what a busy machine leaves out"


def test_every_shell_command_is_of_a_known_kind() -> None:
    for snippet, line in SHELL:
        assert re.match(
            r"(\S*vivify|\S*scripts/|export|\S*pip install|\S*python -m pytest|python examples/|pipx|findings/|sudo)",
            line,
        ), f"{snippet.name}: say in this test how `{line}` is tried"


VIVIFY = list(dict.fromkeys(line for _, line in SHELL if line.split()[0].endswith("vivify")))
ORDER = [
    "enroll",
    "sadtalker",
    "render",
    "evaluate",
    "talk",
    "live",
    "doctor",
    "demo",
    "token",
    "serve",
    "fleet",
]  # films need an avatar, judging needs a film


@pytest.mark.parametrize("line", sorted(VIVIFY, key=lambda line: ORDER.index(line.split()[1])))
def test_vivify_commands(line: str, folder: Path, server: Running) -> None:
    if any(word in line for word in ELSEWHERE):
        pytest.skip(f"needs what is not on this machine; its options are tried in test_docs.py: {line}")
    if "evaluate" in line:
        pytest.importorskip("torch", reason="torch is not installed")
    words = shlex.split(line.replace("http://127.0.0.1:8080", server.url))
    command = [sys.executable, "-m", "clients.cli", *words[1:]]
    if words[1] == "serve":
        _serve(command, folder)
        return
    if words[1] in ("doctor", "demo"):
        command += ["--port", str(_free_port())]
    _run(command, folder, VIVIFY_TOKEN_KEY=KEY)
    for at, word in enumerate(words):
        if word == "-o":
            assert (folder / words[at + 1]).exists(), f"{line} left nothing"


def _serve(command: list[str], folder: Path) -> None:
    """Start it and ask whether it is ready."""
    port = _free_port()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "VIVIFY_TURN_SECRET": "secret", "VIVIFY_TOKEN": "0123456789abcdef"}
    command = [*command, "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            for _ in range(300):
                assert process.poll() is None, process.stderr and process.stderr.read()
                if _ready(port):
                    return
                time.sleep(0.2)
            raise AssertionError(f"{command} was not ready within a minute")
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_installations_name_extras_that_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for snippet, line in SHELL:
        named = re.search(r"\[([\w,]+)\]", line) if "pip install" in line else None
        asked = named[1] if named else line.split()[1] if line.startswith("scripts/setup ") else ""
        for extra in filter(None, asked.split(",")):
            assert extra in extras, f"{snippet.name}: there is no extra {extra}"


def test_tests_that_are_named_exist() -> None:
    for snippet, line in SHELL:
        for path in re.findall(r"tests/[\w/.]+", line):
            assert (ROOT / path).exists(), f"{snippet.name}: there is no {path}"
