"""What waits for the engine: bounded, in order, and merged where one word says as much as many."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.process.waiting_commands import Commands

pytestmark = pytest.mark.cpu


def all_of(commands: Commands) -> list[dict[str, Any]]:
    out = []
    while len(commands):
        message = commands.take(wait=False)
        assert message is not None
        out.append(message[0])
    return out


def test_of_many_wishes_the_newest_waits_and_of_many_interruptions_one() -> None:
    commands = Commands(8)
    for n in range(1000):
        commands.put({"do": "controls", "session": 1, "controls": n})
        commands.put({"do": "look_ahead", "session": 1, "look_ahead_ms": n})
        commands.put({"do": "clear", "session": 1, "times": 1, "now": n})
        commands.put({"do": "clear", "session": 2, "times": 1, "now": n})
        commands.put({"do": "ping"})
    waiting = all_of(commands)
    assert [(m["do"], m.get("session")) for m in waiting] == [
        ("controls", 1),
        ("look_ahead", 1),
        ("ping", None),
        ("clear", 1),
        ("clear", 2),
    ]
    assert waiting[0]["controls"] == 999
    assert (waiting[3]["times"], waiting[3]["now"]) == (1000, 999), "a thousand epochs, in one"


def test_an_interruption_stands_behind_all_that_was_said_before_it() -> None:
    commands = Commands(8)
    for what in ("audio", "clear", "audio", "clear", "audio"):
        commands.put({"do": what, "session": 1, "times": 1})
    assert [m["do"] for m in all_of(commands)] == ["audio", "audio", "clear", "audio"]


def test_what_waits_is_bounded_and_who_may_wait_does() -> None:
    commands = Commands(3)
    assert [commands.put({"do": "audio", "session": 1}) for _ in range(4)] == [True, True, True, False]
    waiting = threading.Thread(target=commands.put, args=({"do": "free"},), kwargs={"wait": True})
    waiting.start()
    assert commands.take() is not None
    waiting.join(5)
    assert [m["do"] for m in all_of(commands)] == ["audio", "audio", "free"]
    with pytest.raises(queue.Empty):
        commands.take(wait=False)
    commands.put({"do": "free"})
    commands.close()
    assert commands.take() == ({"do": "free"}, b"")
    assert commands.take() is None


SAID = st.tuples(st.sampled_from(["audio", "clear", "controls"]), st.integers(1, 2))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(said=st.lists(SAID, max_size=40), taken=st.lists(st.booleans(), max_size=40))
def test_nothing_but_what_is_merged_is_lost(said: list[tuple[str, int]], taken: list[bool]) -> None:
    """However puts and takes alternate: all sound in order, every interruption counted, the last wish last."""
    commands, came = Commands(1000), []
    for n, (what, session) in enumerate(said):
        commands.put({"do": what, "session": session, "n": n, "times": 1})
        if n < len(taken) and taken[n]:
            message = commands.take(wait=False)
            assert message is not None
            came.append(message[0])
    came += all_of(commands)
    for one in (1, 2):
        sound = [n for n, said_of in enumerate(said) if said_of == ("audio", one)]
        assert [m["n"] for m in came if (m["do"], m["session"]) == ("audio", one)] == sound
        cleared = sum(m["times"] for m in came if (m["do"], m["session"]) == ("clear", one))
        assert cleared == said.count(("clear", one))
        wishes = [n for n, said_of in enumerate(said) if said_of == ("controls", one)]
        assert [m["n"] for m in came if (m["do"], m["session"]) == ("controls", one)][-1:] == wishes[-1:]
