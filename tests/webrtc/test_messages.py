"""The golden messages of `webrtc/examples.json` against the code that makes and reads them, here and in the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest

from engine.errors import VivifyError
from webrtc import messages
from webrtc.messages import LONGEST_MESSAGE, SERVER, Stage, VoiceTimes, read
from webrtc.metrics import FRAMES, STAGES, VOICE

pytestmark = pytest.mark.cpu

FOLDER = Path(messages.__file__).parent
EXAMPLES: dict[str, Any] = json.loads((FOLDER / "examples.json").read_text())
PAGE = FOLDER.parent / "clients" / "web"
SCRIPT = Path(__file__).with_name("messages.mjs")


@pytest.mark.parametrize("name", EXAMPLES["server"])
def test_the_server_makes_what_the_example_shows(name: str) -> None:
    example = EXAMPLES["server"][name]
    message = SERVER.validate_python(example, strict=True)
    assert json.loads(message.model_dump_json()) == example
    assert set(type(message).model_fields) == set(example)


def test_there_is_an_example_of_every_message() -> None:
    known = {model.model_fields["type"].default for model in messages.Told.__subclasses__() if _has_type(model)}
    assert {example["type"] for example in EXAMPLES["server"].values()} == known
    assert set(EXAMPLES["client"]) == {"clear", "ping", "set", "flush", "resume", "motions"}
    assert get_args(Stage) == STAGES
    assert tuple(messages.Frames.model_fields) == FRAMES
    assert tuple(VoiceTimes.model_fields) == VOICE


def _has_type(model: type) -> bool:
    return "type" in model.model_fields


@pytest.mark.parametrize("name", EXAMPLES["client"])
def test_the_server_reads_what_a_client_says(name: str) -> None:
    example = EXAMPLES["client"][name]
    assert read(json.dumps(example)).model_dump(exclude_unset=True) == example
    assert read(json.dumps({**example, "of tomorrow": 1})).type == name, "unknown fields are ignored"


@pytest.mark.parametrize("junk", [*map(json.dumps, EXAMPLES["refused"]), "", "{", "[" * 4000, "é" * 5000, b"\x00"])
def test_the_server_refuses_what_is_no_message(junk: str | bytes) -> None:
    with pytest.raises(VivifyError, match=r"^(A control message was expected to be|The \w+ of a \w+ message is) .*\.$"):
        read(junk)


def test_the_field_that_does_not_fit_is_named() -> None:
    with pytest.raises(VivifyError, match="The look_ahead_ms of a set message is not as it should be"):
        read('{"type": "set", "look_ahead_ms": 40.5}')


def test_the_longest_message_is_read() -> None:
    text = '{"type":"ping","t":"%s"}'
    text %= "x" * (LONGEST_MESSAGE - len(text) + 2)
    assert len(text) == LONGEST_MESSAGE
    assert read(text).type == "ping"


def test_the_protocol_shows_messages_that_exist() -> None:
    text = (FOLDER / "protocol.md").read_text()
    channel = text[text.index("## The `control` channel") :]
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", channel, re.DOTALL)]
    shown += [json.loads(inline) for inline in re.findall(r"`(\{\"type\".*?\})`", text)]
    types = set()
    for message in shown:
        types.add(message["type"])
        if message["type"] in EXAMPLES["client"]:
            read(json.dumps(message))
        else:
            SERVER.validate_python(message)
    assert {"hello", "mapping", "stats", "cleared", "played", "settings", "error", "bye", *EXAMPLES["client"]} <= types


def test_the_page_reads_and_says_the_same() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here: install Debian's package 'nodejs' to test the page's side of the protocol")
    done = subprocess.run(
        [node, str(SCRIPT), str(PAGE), str(FOLDER / "examples.json")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "the page and the examples agree"
