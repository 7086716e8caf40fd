"""Messages survive the pipe in order; a broken or hostile one ends the reading instead of hanging it."""

from __future__ import annotations

import io
import os
import struct
import threading

import pytest

from engine.process.wire import MAX_HEADER, Wire

pytestmark = pytest.mark.cpu


def pair() -> tuple[Wire, Wire]:
    a_in, b_out = os.pipe()
    b_in, a_out = os.pipe()
    return (
        Wire(os.fdopen(a_in, "rb"), os.fdopen(a_out, "wb")),
        Wire(os.fdopen(b_in, "rb"), os.fdopen(b_out, "wb")),
    )


def test_messages_arrive_whole_and_in_order_from_many_threads() -> None:
    left, right = pair()
    threads = [
        threading.Thread(target=lambda t=t: [left.send({"t": t, "i": i}, bytes([t]) * i) for i in range(50)])
        for t in range(4)
    ]
    for thread in threads:
        thread.start()
    seen: dict[int, int] = {}
    for _ in range(200):
        message = right.receive()
        assert message is not None
        head, payload = message
        assert payload == bytes([head["t"]]) * head["i"]
        assert seen.get(head["t"], -1) == head["i"] - 1
        seen[head["t"]] = head["i"]
    for thread in threads:
        thread.join()
    left.close()
    assert right.receive() is None
    right.close()


def test_a_message_cut_short_reads_as_the_end() -> None:
    whole = io.BytesIO()
    Wire(io.BytesIO(), whole).send({"a": 1}, b"12345")
    cut = io.BytesIO(whole.getvalue()[:-1])
    assert Wire(cut, io.BytesIO()).receive() is None


def test_a_message_beyond_the_limits_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="at most"):
        Wire(io.BytesIO(struct.pack("<II", MAX_HEADER + 1, 0)), io.BytesIO()).receive()
