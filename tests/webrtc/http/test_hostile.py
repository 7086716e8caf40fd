"""What strangers send is read or refused in a sentence, never anything else: 1,200 generated inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whip_peers import fragment, page_offer

from engine.errors import VivifyError
from webrtc.messages import Ping, Pong, read
from webrtc.rtc.session_description import read_fragment, read_offer

pytestmark = pytest.mark.cpu

often = settings(max_examples=400, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def offer() -> str:
    return page_offer()


PIECES = st.one_of(
    st.sampled_from(["", "\r\n", "m=", "m=audio 9", "a=mid:", "a=candidate:", "a=rtpmap:", "9" * 40, "é", "\x00"]),
    st.text(max_size=20),
)
CUTS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), PIECES), min_size=1, max_size=8)


def cut(text: str, cuts: list[tuple[float, int, str]]) -> str:
    """``text`` with pieces of it replaced."""
    for where, length, piece in cuts:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + length :]
    return text


@often
@given(cuts=CUTS)
def test_broken_offers(offer: str, cuts: list[tuple[float, int, str]]) -> None:
    broken = cut(offer, cuts)
    for use in ("two-way", "publish", "watch"):
        refused_in_a_sentence(lambda text, use=use: read_offer(text, use), broken)


@often
@given(cuts=CUTS)
def test_broken_fragments(offer: str, cuts: list[tuple[float, int, str]]) -> None:
    refused_in_a_sentence(read_fragment, cut(fragment(offer), cuts))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "t", "x"]), inner),
)
TYPED = st.fixed_dictionaries({"type": st.sampled_from(["clear", "ping", "hello", "", "CLEAR"]), "t": JSON})


@often
@given(message=st.one_of(st.text(), st.binary(), JSON.map(json.dumps), TYPED.map(json.dumps)))
def test_broken_messages(message: str | bytes) -> None:
    def answered(text: str | bytes) -> None:
        command = read(text)
        if isinstance(command, Ping):
            json.loads(Pong(t=command.t).model_dump_json())

    refused_in_a_sentence(answered, message)
    refused_in_a_sentence(answered, r'{"type":"ping","t":"\ud800"}')


def refused_in_a_sentence(reader: Callable[[Any], object], text: str | bytes) -> None:
    try:
        reader(text)
    except VivifyError as error:
        told = str(error)
        assert told[0].isupper()
        assert told.endswith(".")
        assert "\n" not in told
        assert len(told) < 300
