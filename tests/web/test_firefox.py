"""A real Firefox with its defaults: names in .local for its addresses, and an end of candidates."""

from __future__ import annotations

import pytest
from serving import Running
from web.firefox import executable, firefox

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(executable() is None, reason="no Firefox here: install Debian's package 'firefox-esr'"),
]

LIVE = "document.body.dataset.state === 'live'"
PACE = "Number(document.getElementById('f-fps').textContent)"
DECODED = "peer.getStats().then((all) => [...all.values()].find((s) => s.type === 'inbound-rtp' && s.kind === 'video')"
FRAMES = f"{DECODED}?.framesDecoded ?? 0)"
WATCH = """
(async () => {{
  const peer = new RTCPeerConnection();
  window.peer = peer;
  for (const kind of ["audio", "video"]) peer.addTransceiver(kind, {{ direction: "recvonly" }});
  const video = document.createElement("video"); // without one to show them, Firefox decodes no pictures
  video.muted = true; video.autoplay = true; video.srcObject = new MediaStream();
  peer.ontrack = ({{ track }}) => video.srcObject.addTrack(track);
  document.body.append(video);
  await peer.setLocalDescription();
  await new Promise((done) => {{
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
    setTimeout(done, 1500);
  }});
  const headers = {{ "Content-Type": "application/sdp" }};
  const answer = await fetch("/whep/{session}", {{ method: "POST", headers, body: peer.localDescription.sdp }});
  await peer.setRemoteDescription({{ type: "answer", sdp: await answer.text() }});
  return answer.status;
}})()
"""


async def test_firefox_talks_and_another_one_watches(server: Running) -> None:
    async with firefox() as tab, firefox() as watcher:
        await tab.go(server.url)
        await tab.until("!document.getElementById('start').disabled", 20)
        await tab.evaluate("(document.querySelector('input[value=sample]').click(), 1)")
        await tab.evaluate("(document.getElementById('start').click(), 1)")
        assert await tab.until(LIVE, 15) < 5, "connected, though its addresses are names in .local"
        await tab.until(f"{PACE} >= 10", 15)  # 25 on a machine that is not busy with other tests
        (name,) = server.service.sessions
        await watcher.go(server.url)
        assert await watcher.evaluate(WATCH.format(session=name)) == 201
        await watcher.until(f"(await {FRAMES}) >= 40", 20)
        await tab.evaluate("(document.getElementById('start').click(), 1)")
        await tab.until("document.body.dataset.state !== 'live'", 10)
