"""What Prometheus reads after a real session, and what the logs say about it."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from prometheus_client.parser import text_string_to_metric_families
from serving import Running, running
from whip_peers import Watcher, ask, ask_async, negotiate

from clients.microphone import Microphone
from engine.errors import VivifyError
from webrtc.logs import JsonForm, Sparing, TextForm
from webrtc.media.voice_line import VOICE_RATE
from webrtc.metrics import ICE_FAILURES, OPENINGS, STAGES, VOICE
from webrtc.rtc.ice_servers import no_servers
from webrtc.server_config import ServerConfig

pytestmark = pytest.mark.net

Series = dict[tuple[str, ...], float]


def scrape(server: Running) -> Series:
    """Every sample by its name and the values of its labels."""
    reply = ask("GET", f"{server.url}/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(reply.body.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.fixture
def logged() -> io.StringIO:
    stream = io.StringIO()
    logger, handler = logging.getLogger("vivify"), logging.StreamHandler(stream)
    handler.setFormatter(JsonForm())
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(before)


async def test_a_session_is_counted_and_logged(logged: io.StringIO) -> None:
    with running(max_sessions=1) as server:
        before = scrape(server)
        assert before["vivify_engine_up",] == 1
        assert before["vivify_sessions",] == 0
        microphone = Microphone(np.zeros(VOICE_RATE, np.float32), 0.0)
        publisher, watcher = RTCPeerConnection(no_servers()), Watcher()
        publisher.addTransceiver(microphone, direction="sendonly")
        opened = await negotiate(publisher, server.url, "/whip/astronaut")
        session = opened.headers["location"].rsplit("/", 1)[1]
        await negotiate(watcher.pc, server.url, f"/whep/{session}")
        assert (await ask_async("POST", f"{server.url}/whep/x", b"", {"Content-Type": "application/sdp"})).status == 409
        microphone.start()
        await watcher.seen(25)
        ready = await ask_async("GET", f"{server.url}/readyz")
        assert ready.status == 503
        assert json.loads(ready.body) == {"ready": False, "reason": "All places are taken.", "free": 0}
        during = scrape(server)
        assert (during["vivify_sessions",], during["vivify_viewers",]) == (1, 1)
        assert session not in ask("GET", f"{server.url}/metrics").body.decode(), "no series per session"
        shown = server.service.sessions[session].stats()["frames"]["shown"]
        await ask_async("DELETE", server.url + opened.headers["location"])
        await watcher.close()
        await publisher.close()
        after = scrape(server)
        assert (await ask_async("GET", f"{server.url}/readyz")).status == 200
    assert (after["vivify_sessions",], after["vivify_viewers",]) == (0, 0)
    assert {w: after["vivify_openings_total", w] for w in OPENINGS} == {
        "page": 0,
        "whip": 1,
        "whep": 1,
        "socket": 0,
        "refused": 1,
    }
    assert after["vivify_frames_total", "shown"] >= shown >= 25, "an ended session still counts"
    for stage in STAGES:
        count, total = after["vivify_stage_seconds_count", stage], after["vivify_stage_seconds_sum", stage]
        assert count >= 20, stage
        assert 0 <= total / count < 1, stage
    assert after["vivify_stage_seconds_sum", "total"] >= after["vivify_stage_seconds_sum", "render"]
    assert after["vivify_av_offset_seconds_count",] >= 20
    assert after["vivify_voice_seconds_total", "received"] > 0.2
    assert {name[1] for name in after if name[0] == "vivify_voice_seconds_total"} == set(VOICE)
    assert after["vivify_frames_learned_total",] <= after["vivify_frames_total", "shown"] + 25
    assert len(after) == len(before), "the number of series must not grow with use"
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert any(line["text"].startswith("opened") for line in lines)
    assert any(line["text"] == "closed: The session was ended." for line in lines)
    refusals = [line for line in lines if line["text"].startswith("refused")]
    assert [(line["session"], line["text"].split(":")[0]) for line in refusals] == [("x", "refused /whep/x with 409")]
    assert {line["session"] for line in lines if line not in refusals} == {session}
    assert {how: after["vivify_ice_failures_total", how] for how in ICE_FAILURES} == dict.fromkeys(ICE_FAILURES, 0)
    assert after["vivify_event_loop_lag_seconds_count",] >= 10


def test_a_flood_of_refusals_is_no_flood_of_lines() -> None:
    sparing = Sparing(per_second=5)
    said = [left_out for k in range(1000) if (left_out := sparing.may(k / 1000)) is not None]
    assert len(said) == 5
    assert sum(said) + len(said) > 800, "what was left out is told"


def test_the_dashboard_asks_for_series_that_exist(server: Running) -> None:
    board = json.loads((Path(__file__).parents[2] / "docs" / "grafana" / "vivify.json").read_text())
    asked = {
        name for panel in board["panels"] for t in panel["targets"] for name in re.findall(r"vivify_\w+", t["expr"])
    }
    assert asked <= {name[0] for name in scrape(server)}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) >= 10


def test_logs_are_told_apart_by_session() -> None:
    record = logging.makeLogRecord({"msg": "opened %s", "args": ("now",), "levelname": "INFO", "session": "abc"})
    assert TextForm().format(record).endswith(" INFO session abc: opened now")
    assert json.loads(JsonForm().format(record))["session"] == "abc"
    with pytest.raises(VivifyError, match="text or json"):
        ServerConfig(logs="xml")


def test_figures_want_the_token() -> None:
    with running(token="a-token-of-good-length") as server:
        assert ask("GET", f"{server.url}/metrics").status == 401
        assert ask("GET", f"{server.url}/readyz").status == 200
