"""Chromium's own WebRTC publishes by WHIP and watches by WHEP: nothing of ours on the client's side but fetch."""

from __future__ import annotations

from typing import Any

import pytest
from serving import Running

pytestmark = pytest.mark.browser

LEAST_PICTURES = 30
# A WHIP and WHEP client as RFC 9725 describes it: the offer goes at once, candidates follow in one PATCH.
CLIENT = """
window.connect = async (pc, url) => {
  const candidates = [];
  const gathered = new Promise((done) => {
    pc.onicecandidate = ({ candidate }) => (candidate ? candidates.push(candidate) : done());
  });
  await pc.setLocalDescription();
  const sdp = pc.localDescription.sdp;
  const opened = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: sdp });
  if (opened.status !== 201) throw new Error(await opened.text());
  await pc.setRemoteDescription({ type: "answer", sdp: await opened.text() });
  await gathered;
  const line = (name) => sdp.match(new RegExp(`a=${name}:.*`))[0];
  const first = candidates.filter((c) => c.sdpMLineIndex === 0).map((c) => `a=${c.candidate}`);
  const fragment = [line("ice-ufrag"), line("ice-pwd"), "m=audio 9 RTP/AVP 0", line("mid"), ...first,
    "a=end-of-candidates", ""].join("\\r\\n");
  const resource = new URL(opened.headers.get("location"), location.href);
  const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": opened.headers.get("etag") };
  const patched = await fetch(resource, { method: "PATCH", headers, body: fragment });
  if (patched.status !== 204) throw new Error(await patched.text());
  return resource.href;
};
window.restart = async () => {
  const { pc, url } = window.watching;
  pc.onicecandidate = null;
  await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
  const line = (sdp, name) => sdp.match(new RegExp(`a=${name}:.*`))[0];
  const body = ["ice-ufrag", "ice-pwd"].map((name) => line(pc.localDescription.sdp, name)).join("\\r\\n") + "\\r\\n";
  const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" };
  const reply = await fetch(url, { method: "PATCH", headers, body });
  if (reply.status !== 200) throw new Error(await reply.text());
  const fragment = await reply.text();
  const candidates = fragment.match(/a=candidate:.*\\r\\n/g).join("");
  const sdp = pc.remoteDescription.sdp
    .replace(/a=candidate:.*\\r\\n|a=end-of-candidates\\r\\n/g, "")
    .replace(/a=ice-ufrag:.*\\r\\n/g, line(fragment, "ice-ufrag") + "\\r\\n")
    .replace(/a=ice-pwd:.*\\r\\n/g, `${line(fragment, "ice-pwd")}\\r\\n${candidates}`);
  await pc.setRemoteDescription({ type: "answer", sdp });
  return line(fragment, "ice-ufrag").split(":")[1];
};
window.path = async () => {
  const report = await window.watching.pc.getStats();
  const { selectedCandidatePairId } = [...report.values()].find((one) => one.type === "transport");
  return report.get(report.get(selectedCandidatePairId).remoteCandidateId).usernameFragment;
};
window.publish = async (url) => {
  const pc = new RTCPeerConnection();
  const [track] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getTracks();
  pc.addTransceiver(track, { direction: "sendonly" });
  return connect(pc, url);
};
window.watch = async (url) => {
  const pc = new RTCPeerConnection();
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = new MediaStream();
  for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
  pc.ontrack = ({ track }) => video.srcObject.addTrack(track);
  window.seen = [];
  const look = (now, { width, height }) => {
    window.seen.push([width, height]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const resource = await connect(pc, url);
  window.watching = { pc, url: resource };
  video.play();
  return resource;
};
"""


@pytest.fixture
def page(browser: Any, server: Running) -> Any:
    space = browser.new_context(bypass_csp=True)  # the client is another page's
    page = space.new_page()
    page.add_init_script(CLIENT)
    page.goto(server.url)
    yield page
    space.close()


def test_chromium_publishes_and_watches(page: Any, server: Running) -> None:
    """And restarts ICE in the midst of it (RFC 9725, section 4.3.3); its candidates are found as its checks come."""
    session = page.evaluate("(url) => publish(url)", f"{server.url}/whip/astronaut")
    name = session.rsplit("/", 1)[1]
    viewer = page.evaluate("(url) => watch(url)", f"{server.url}/whep/{name}")
    page.wait_for_function(f"window.seen.length >= {LEAST_PICTURES}", timeout=20_000)
    assert [512, 512] in page.evaluate("window.seen")
    stats = server.service.sessions[name].stats()
    assert stats["voice_ms"]["received"] > 500, "the microphone must have been heard"
    restarted = page.evaluate("restart()")
    page.wait_for_function("async (ufrag) => (await path()) === ufrag", arg=restarted, timeout=20_000)
    page.wait_for_function(f"window.seen.length >= {page.evaluate('seen.length') + LEAST_PICTURES}", timeout=20_000)
    for resource, goes_on in ((viewer, True), (session, False)):
        assert page.evaluate("(url) => fetch(url, { method: 'DELETE' }).then((r) => r.status)", resource) == 200
        assert (name in server.service.sessions) == goes_on
