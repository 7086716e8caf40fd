"""Publishing by WHIP to a receiver of aiortc alone: in step, redirected, declined, cut and found again."""

from __future__ import annotations

import urllib.request

import numpy as np
import pytest
from streaming_outputs import SIZE, Playing, free_port

from clients.live.output_metrics import served
from clients.outputs.output import OutputError
from clients.outputs.streams.whip_http import WhipError, named_servers, publish
from clients.outputs.streams.whip_output import Whip
from clients.trials.receiving.flashes import apart
from clients.trials.receiving.whip_receiver import WhipReceiver

MOST_APART_S = 0.040
STUN = '<stun:127.0.0.1:3478>; rel="ice-server"'
TURN = '<turn:a.example?transport=tcp>; rel="ice-server"; username="u,1"; credential="p;2"; credential-type="password"'


@pytest.mark.net
def test_it_is_published_in_step_and_again_when_it_was_cut() -> None:
    with WhipReceiver(token="secret") as receiver:
        output = Whip(f"{receiver.url}/elsewhere", "secret")
        playing = Playing(output)
        playing.play_until(lambda: output.up)
        playing.play(2.2)
        port = free_port()
        with served(port, [playing.line]), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            figures = answer.read().decode()
        assert 'vivify_output_up{output="whip"} 1.0' in figures
        assert 'vivify_output_pieces_total{kind="sound",output="whip"}' in figures
        receiver.cut()
        playing.play_until(lambda: not output.up)
        playing.play_until(lambda: output.up)
        playing.play(1.2)
        assert playing.end() < 2.5
        assert playing.longest_offer_s < 0.5
        asked = [(request.method, request.path) for request in receiver.requests]
        assert asked[:3] == [("OPTIONS", "/elsewhere"), ("POST", "/elsewhere"), ("POST", "/whip")]
        assert asked[-1][0] == "DELETE"
        assert all(r.headers["authorization"] == "Bearer secret" for r in receiver.requests)
        assert receiver.sizes == {(SIZE, SIZE)}
        shown, heard = receiver.onsets()
    apart_s = apart(shown, heard)
    assert len(apart_s) >= 2
    assert abs(float(np.median(apart_s))) <= MOST_APART_S


@pytest.mark.net
def test_what_will_never_work_ends_it_in_a_sentence() -> None:
    with WhipReceiver(token="secret", pictures="inactive") as receiver:
        for url, token, pictures, sentence in (
            (f"{receiver.url}/whip", "wrong", "taken", "wants another token"),
            (f"{receiver.url}/other", "secret", "taken", "was expected to answer 201, but answered 405"),
            (f"{receiver.url}/whip", "secret", "inactive", "declines the picture"),
            (f"{receiver.url}/whip", "secret", "rejected", "declines the picture"),
        ):
            receiver.pictures = pictures  # type: ignore[assignment]
            playing = Playing(Whip(url, token))
            playing.play_until(lambda playing=playing: bool(playing.line.error))  # type: ignore[misc]
            assert sentence in playing.line.error
            assert playing.end() < 2.5
        assert receiver.requests[-1].method == "DELETE", "what was refused at last is given back"


@pytest.mark.net
def test_a_server_that_is_not_there_is_waited_for() -> None:
    port = free_port()
    output = Whip(f"http://127.0.0.1:{port}/whip")
    playing = Playing(output)
    playing.play_until(lambda: "again in" in output.state)
    assert "Connection refused" in output.state
    with WhipReceiver(port=port):
        playing.play_until(lambda: output.up)
        assert playing.end() < 2.5


@pytest.mark.net
def test_a_token_goes_along_to_where_it_is_sent_but_not_in_circles() -> None:
    with WhipReceiver(links=(STUN, TURN)) as receiver:
        with pytest.raises(WhipError, match="from one address to the next"):
            publish(f"{receiver.url}/round", "v=0", None)
        assert len(receiver.requests) == 5


@pytest.mark.cpu
def test_ice_servers_are_read_out_of_links() -> None:
    found = named_servers([f'{STUN}, </next>; rel="next"', TURN, '<http://a>; rel="ice-server"', '<stun:b>; rel="x"'])
    assert [(s.url, s.username, s.credential) for s in found] == [
        ("stun:127.0.0.1:3478", None, None),
        ("turn:a.example?transport=tcp", "u,1", "p;2"),
    ]


@pytest.mark.cpu
def test_what_is_no_endpoint_is_refused() -> None:
    for url in ("", "whip.example", "rtmp://a/b"):
        with pytest.raises(OutputError, match="was expected to be a URL such as"):
            Whip(url)
