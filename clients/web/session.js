// One connection to the server: the offer over HTTP, voice and face over WebRTC, figures over the data channel.
// The messages are specified in webrtc/protocol.md.

import { read, request } from "./server.js";
import { Told } from "./voice.js";

const PING_EVERY_MS = 2000;
const CONNECT_LIMIT_MS = 15000;
const GATHER_LIMIT_MS = 1000;
const PATIENCE_MS = 5000; // a connection that is interrupted, or a server that is silent, for longer counts as lost

export class Session extends EventTarget {
  /** `voice` is what `openMicrophone` or `openSample` gave; `video` shows the face; `iceServers` are the server's. */
  constructor(voice, video, iceServers = []) {
    super();
    if (!globalThis.RTCPeerConnection) {
      throw new Told("This browser has no WebRTC: use a current Chrome, Edge, Firefox or Safari.");
    }
    this.peer = new RTCPeerConnection({ iceServers });
    this.name = null;
    this.stats = null;
    this.hello = null;
    this.ended = false;
    this.incoming = new MediaStream();
    video.srcObject = this.incoming;
    this.peer.addTrack(voice.track);
    this.peer.addTransceiver("video", { direction: "recvonly" });
    this.peer.ontrack = ({ track }) => this.incoming.addTrack(track);
    this.peer.onconnectionstatechange = () => this.#stateChanged();
    this.control = this.peer.createDataChannel("control");
    this.control.onmessage = ({ data }) => this.#message(JSON.parse(data));
  }

  /** Negotiate; resolves when connected. */
  async open(avatar, lookAhead) {
    await this.peer.setLocalDescription();
    await this.#gathered();
    const { sdp, type } = this.peer.localDescription;
    const answer = await read("api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sdp, type, avatar, look_ahead_ms: lookAhead }),
    });
    this.name = answer.session;
    if (this.ended) return this.#leave();
    await this.peer.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
    await this.#connected();
    this.heard = performance.now();
    this.pinging = setInterval(() => this.#ping(), PING_EVERY_MS);
  }

  send(message) {
    if (this.control.readyState === "open") this.control.send(JSON.stringify(message));
  }

  /** End it from this side; no `lost` event follows. */
  close() {
    this.ended = true;
    clearInterval(this.pinging);
    clearTimeout(this.patience);
    this.#leave();
    this.peer.close();
  }

  #ping() {
    const now = performance.now();
    const asleep = now - (this.pinged ?? now) > 2 * PING_EVERY_MS; // a laptop was shut: hear it out first
    this.pinged = now;
    if (asleep) this.heard = now;
    if (now - this.heard > PATIENCE_MS) this.#lost("The server fell silent: it may have stopped; try again.");
    else this.send({ type: "ping", t: now });
  }

  #leave() {
    if (this.name) request(`api/session/${this.name}`, { method: "DELETE", keepalive: true }).catch(() => {});
    this.name = null;
  }

  #message(message) {
    this.heard = performance.now();
    if (message.type === "hello") this.hello = message;
    if (message.type === "bye") this.#lost(message.reason, message.come_back_s == null, message.come_back_s);
    if (message.type === "stats") {
      this.stats = message;
      this.dispatchEvent(new Event("stats"));
    }
  }

  #stateChanged() {
    const state = this.peer.connectionState;
    clearTimeout(this.patience);
    if (state === "failed" || state === "closed") this.#lost();
    if (state === "disconnected") this.patience = setTimeout(() => this.#lost(), PATIENCE_MS);
    this.dispatchEvent(new Event("state"));
  }

  /** `final`: the server ended it, and asking again would be rude; `comeBack`: it named the seconds until then. */
  #lost(reason, final = false, comeBack = null) {
    if (this.ended) return;
    this.close();
    const sentence = reason || "The connection was lost: check the network, then start again.";
    this.dispatchEvent(new CustomEvent("lost", { detail: { sentence, final, comeBack } }));
  }

  #gathered() {
    return new Promise((resolve) => {
      const check = () => this.peer.iceGatheringState === "complete" && resolve();
      this.peer.addEventListener("icegatheringstatechange", check);
      setTimeout(resolve, GATHER_LIMIT_MS);
      check();
    });
  }

  #connected() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Told("The server answered, but no connection came about: UDP may be blocked between here and there."));
      }, CONNECT_LIMIT_MS);
      const check = () => {
        if (this.peer.connectionState === "connected") resolve();
        if (this.ended) reject(new Told("The connection failed: check the network, then start again."));
        if (this.peer.connectionState === "connected" || this.ended) clearTimeout(timer);
      };
      this.addEventListener("state", check);
      this.addEventListener("lost", check);
      check();
    });
  }
}
