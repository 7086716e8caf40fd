// The page's side of the protocol against the golden messages: node messages.mjs PAGE_FOLDER EXAMPLES_JSON
// Only the browser around the page's own modules is played here: a peer connection, fetch, the clock.

import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [page, examplesPath] = process.argv.slice(2);
const examples = JSON.parse(readFileSync(examplesPath, "utf8"));

class PeerConnection extends EventTarget {
  iceGatheringState = "complete";
  connectionState = "connected";
  localDescription = { type: "offer", sdp: "v=0" };
  addTrack() {}
  addTransceiver() {}
  createDataChannel(label) {
    assert.equal(label, "control");
    return (this.channel = { readyState: "open", sent: [], send: (text) => this.channel.sent.push(text) });
  }
  async setLocalDescription() {}
  async setRemoteDescription() {}
  close() {}
}

const ticks = [];
Object.assign(globalThis, {
  location: { search: "", hash: "" },
  RTCPeerConnection: PeerConnection,
  MediaStream: class { addTrack() {} },
  setInterval: (work) => ticks.push(work),
  fetch: async () => new Response(JSON.stringify({ type: "answer", sdp: "v=0", session: "NAME" }), { status: 201 }),
});

// The page has no package.json that calls its scripts modules; a folder with one does.
const folder = mkdtempSync(join(tmpdir(), "page-"));
for (const name of readdirSync(page).filter((n) => n.endsWith(".js"))) copyFileSync(join(page, name), join(folder, name));
writeFileSync(join(folder, "package.json"), '{"type": "module"}');
const load = (name) => import(pathToFileURL(join(folder, name)));

try {
  const { Session } = await load("session.js");
  const { partsOf } = await load("figures.js");

  const session = new Session({ track: {} }, {});
  const lost = [];
  let told = 0;
  session.addEventListener("lost", ({ detail }) => lost.push(detail.sentence));
  session.addEventListener("stats", () => (told += 1));
  await session.open("astronaut", 80);
  const hear = (message) => session.control.onmessage({ data: JSON.stringify(message) });

  for (const [name, message] of Object.entries(examples.server)) {
    if (message.type === "bye") continue;
    hear(message);
    assert.equal(lost.length, 0, `${name} must not end the session`);
    if (message.type === "hello") assert.deepEqual(session.hello, message);
    if (message.type === "stats") {
      assert.deepEqual(session.stats, message);
      const delay = message.delay_ms.voice ?? message.delay_ms.structural + message.delay_ms.margin;
      const total = partsOf(message, null).reduce((sum, part) => sum + part.ms, 0);
      assert.ok(Math.abs(total - delay - 20) < 1e-6, `${name}: the parts must add up, but make ${total}`);
    }
  }
  assert.equal(told, Object.values(examples.server).filter(({ type }) => type === "stats").length);

  assert.equal(ticks.length, 1, "a session that is open must give signs of life");
  ticks[0]();
  const [ping] = session.control.sent.map((text) => JSON.parse(text));
  assert.equal(ping.type, examples.client.ping.type);
  assert.deepEqual(Object.keys(ping).sort(), Object.keys(examples.client.ping).sort());
  assert.equal(typeof ping.t, typeof examples.client.ping.t);

  hear(examples.server.bye);
  assert.deepEqual(lost, [examples.server.bye.reason]);

  const goodbyes = [];
  for (const name of ["bye", "bye for now"]) {
    const other = new Session({ track: {} }, {});
    other.addEventListener("lost", ({ detail }) => goodbyes.push([detail.final, detail.comeBack]));
    other.control.onmessage({ data: JSON.stringify(examples.server[name]) });
  }
  assert.deepEqual(goodbyes, [[true, null], [false, examples.server["bye for now"].come_back_s]]);
  console.log("the page and the examples agree");
} finally {
  rmSync(folder, { recursive: true });
}
