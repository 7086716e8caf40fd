"""What one asker may do: so much a minute, so much at a time, whatever others do."""

from __future__ import annotations

import pytest
from serving import running
from websockets.sync.client import connect
from whip_peers import ask

from engine.errors import VivifyError
from webrtc.http import rate_limit as limits
from webrtc.http.rate_limit import Rate
from webrtc.server_config import ServerConfig

ONE, OTHER = "a-token-of-good-length", "another-token-of-good-length"


@pytest.mark.cpu
def test_so_many_at_once_then_as_they_come_back() -> None:
    rate = Rate(6)
    assert [rate.wait("a", 0.0) for _ in range(6)] == [0.0] * 6
    assert rate.wait("a", 0.0) == pytest.approx(10)
    assert rate.wait("b", 0.0) == 0.0, "others are not held up"
    assert rate.wait("a", 5.0) == pytest.approx(5)
    assert rate.wait("a", 10.1) == 0.0
    assert rate.wait("a", 10.2) > 0
    assert [rate.wait("a", 1000.0) for _ in range(7)].count(0.0) == 6, "a long pause saves up no more than a minute's"


@pytest.mark.cpu
def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KNOWN", 3)
    rate = Rate(1)
    for name in "abcd":
        rate.wait(name, 0.0)
    assert rate.wait("a", 0.0) == 0.0, "forgotten"
    assert rate.wait("d", 0.0) > 0


@pytest.mark.cpu
def test_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(VivifyError, match="1 at least"):
        ServerConfig(openings_per_minute=0)
    with pytest.raises(VivifyError, match="at least 16"):
        ServerConfig(token=f"{ONE},short")


@pytest.mark.net
def test_each_token_has_its_own_limits() -> None:
    def url(token: str) -> str:
        return f"ws{server.url.removeprefix('http')}/api/voice?token={token}"

    def status(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        return ask("POST", f"{server.url}/whep/none", b"v=0", headers).status

    settings = {"token": f"{ONE}, {OTHER}", "openings_per_minute": 6, "sessions_per_token": 1}
    with running(max_sessions=3, **settings) as server, connect(url(ONE)) as first, connect(url(OTHER)):
        assert first.recv()
        with pytest.raises(Exception, match="429"):
            connect(url(ONE))
        assert [status(ONE) for _ in range(5)] == [409, 409, 409, 409, 429]
        assert status(OTHER) == 409
        assert status("a-token-that-is-not-known") == 401
        headers = {"Authorization": f"Bearer {ONE}"}
        assert ask("GET", f"{server.url}/api/avatars", None, headers).status == 200, "reading is not opening"
        reply = ask("POST", f"{server.url}/whep/none", b"", headers)
        assert 0 < int(reply.headers["retry-after"]) <= 10
