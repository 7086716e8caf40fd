// The avatar with a truly transparent background, for a browser source: watches the address it is opened with, whose
// pictures hold the person on the left and the matte, as grey, on the right; WebGL puts them together. Where nobody speaks
// yet, or not any more, it asks again, as soon as the server says.

import { Matte } from "./matte.js";
import { ask } from "./server.js";

const AGAIN_MS = 2000;
const GATHER_LIMIT_MS = 1000;
const NOTHING = 2; // pixels: chromium shows so large a black square where a track ends before its first picture

const address = location.pathname.split("/").at(-1);
const video = document.getElementById("stream");
const matte = new Matte(document.getElementById("avatar"));

/** Watch until the connection ends, or is refused; how long to wait before the next try. */
async function watch() {
  const { ice_servers: iceServers } = await (await ask("api/ice-servers")).json();
  const peer = new RTCPeerConnection({ iceServers });
  try {
    const stream = new MediaStream();
    for (const kind of ["audio", "video"]) peer.addTransceiver(kind, { direction: "recvonly" });
    peer.ontrack = ({ track }) => stream.addTrack(track);
    await peer.setLocalDescription();
    await gathered(peer);
    const headers = { "Content-Type": "application/sdp" };
    const answer = await ask(`whep/${address}`, { method: "POST", headers, body: peer.localDescription.sdp });
    if (answer.status !== 201) return 1000 * (Number(answer.headers.get("Retry-After")) || 0) || AGAIN_MS;
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    video.srcObject = stream;
    play().catch(() => {}); // waits for the first picture, which may never come
    await ended(peer);
    return AGAIN_MS;
  } finally {
    peer.close();
  }
}

function gathered(peer) {
  return new Promise((resolve) => {
    const check = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", check);
    setTimeout(resolve, GATHER_LIMIT_MS);
    check();
  });
}

function ended(peer) {
  return new Promise((resolve) => {
    // The other side's goodbye shows in DTLS at once; in the connection's state, in chromium, ten seconds later.
    const transport = peer.getReceivers()[0].transport;
    const over = (state) => ["failed", "closed", "disconnected"].includes(state);
    const check = () => (over(peer.connectionState) || over(transport?.state)) && resolve();
    peer.addEventListener("connectionstatechange", check);
    transport?.addEventListener("statechange", check);
    check();
  });
}

/** With sound where that is allowed, as it is in OBS. */
async function play() {
  try {
    await video.play();
  } catch {
    video.muted = true;
    await video.play();
  }
}

function draw() {
  if (video.videoHeight > NOTHING) {
    matte.draw(video);
    document.body.dataset.state = "live";
  }
  video.requestVideoFrameCallback(draw);
}

async function watchForEver() {
  for (;;) {
    const pause = await watch().catch(() => AGAIN_MS);
    document.body.dataset.state = "waiting";
    matte.clear();
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

video.requestVideoFrameCallback(draw);
watchForEver();
