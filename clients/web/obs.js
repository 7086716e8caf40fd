// The avatar with a truly transparent background, for a browser source: watches /whep/SESSION, whose pictures hold the
// person on the left and the matte, as grey, on the right; WebGL puts them together. A session that is not there yet,
// or not any more, is asked for again.

import { Matte } from "./matte.js";

const AGAIN_MS = 2000;
const GATHER_LIMIT_MS = 1000;

const name = location.pathname.split("/").at(-1);
const token = new URLSearchParams(location.search).get("token");
const login = token ? { Authorization: `Bearer ${token}` } : {};
const video = document.getElementById("stream");
const matte = new Matte(document.getElementById("avatar"));

/** Watch until the connection ends. */
async function watch() {
  const { ice_servers: iceServers } = await (await fetch("/api/ice-servers", { headers: login })).json();
  const peer = new RTCPeerConnection({ iceServers });
  try {
    const stream = new MediaStream();
    for (const kind of ["audio", "video"]) peer.addTransceiver(kind, { direction: "recvonly" });
    peer.ontrack = ({ track }) => stream.addTrack(track);
    await peer.setLocalDescription();
    await gathered(peer);
    const headers = { "Content-Type": "application/sdp", ...login };
    const answer = await fetch(`/whep/${encodeURIComponent(name)}`, { method: "POST", headers, body: peer.localDescription.sdp });
    if (answer.status !== 201) return;
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    video.srcObject = stream;
    await play();
    await ended(peer);
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
    peer.onconnectionstatechange = () => ["failed", "closed", "disconnected"].includes(peer.connectionState) && resolve();
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
  matte.draw(video);
  document.body.dataset.state = "live";
  video.requestVideoFrameCallback(draw);
}

async function watchForEver() {
  for (;;) {
    await watch().catch(() => {});
    document.body.dataset.state = "waiting";
    matte.clear();
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

video.requestVideoFrameCallback(draw);
watchForEver();
