// The honest panel: the server's own figures joined with what this browser measures.

const PACKET_MS = 20; // a packet leaves when its 20 ms are spoken

/** Reads a peer connection's statistics and tells what changed since the last time. */
export class Receiver {
  constructor(peer) {
    this.peer = peer;
    this.last = null;
    this.pace = []; // {timestamp, framesDecoded} of the last two seconds
  }

  /** {fps, buffer_ms, decode_ms, rtt_ms, sync_ms, width}; a figure that is not known is null. */
  async read() {
    let video, audio, pair;
    for (const report of (await this.peer.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.kind === "video") video = report;
      if (report.type === "inbound-rtp" && report.kind === "audio") audio = report;
      if (report.type === "candidate-pair" && report.nominated && report.state === "succeeded") pair = report;
    }
    if (!video) return null;
    const before = this.last ?? {};
    this.last = video;
    const since = (name) => (video[name] ?? 0) - (before[name] ?? 0);
    const each = (name, count) => (since(count) > 0 ? (1000 * since(name)) / since(count) : null);
    this.pace.push({ at: video.timestamp, frames: video.framesDecoded ?? 0 });
    this.pace = this.pace.filter(({ at }) => at > video.timestamp - 2200);
    const [first, newest] = [this.pace[0], this.pace.at(-1)];
    return {
      fps: newest.at > first.at ? (1000 * (newest.frames - first.frames)) / (newest.at - first.at) : null,
      buffer_ms: each("jitterBufferDelay", "jitterBufferEmittedCount"),
      decode_ms: each("totalDecodeTime", "framesDecoded"),
      rtt_ms: pair?.currentRoundTripTime != null ? 1000 * pair.currentRoundTripTime : null,
      sync_ms: syncOf(audio, video),
      width: video.frameWidth ?? null,
    };
  }
}

/** How much later the picture is than its sound, by the sender's clock; null before both are known. */
function syncOf(audio, video) {
  const [sound, picture] = [audio?.estimatedPlayoutTimestamp, video.estimatedPlayoutTimestamp];
  return sound && picture ? sound - picture : null;
}

/** The parts of the way from the voice to the picture, in order: [{name, ms, kind}], as far as they are known. */
export function partsOf(stats, receiver) {
  const delay = stats.delay_ms.voice ?? stats.delay_ms.structural + stats.delay_ms.margin;
  const parts = [
    { name: "packet, network", ms: PACKET_MS + (receiver?.rtt_ms ?? 0), kind: "network" },
    { name: "look-ahead, frame", ms: stats.delay_ms.structural, kind: "structure" },
    { name: "compute, reserve", ms: Math.max(0, delay - stats.delay_ms.structural), kind: "reserve" },
  ];
  if (receiver?.buffer_ms != null) {
    parts.push({ name: "this browser", ms: receiver.buffer_ms + (receiver.decode_ms ?? 0), kind: "browser" });
  }
  return parts;
}

const round = (ms) => (ms == null ? "–" : String(Math.round(ms) + 0).replace("-", "−"));
const signed = (ms) => (ms > 0.5 ? `+${round(ms)}` : round(ms));
const STAGES = { features: "Sound features", motion: "Facial motion", render: "Picture", encode: "Encoding", total: "Engine in all" };

/** Writes figures into the page. */
export class Panel {
  constructor(root) {
    this.root = root;
    this.at = (id) => root.querySelector(`#${id}`);
  }

  show(stats, receiver) {
    const parts = partsOf(stats, receiver);
    const total = parts.reduce((sum, part) => sum + part.ms, 0);
    this.at("f-total").textContent = round(total);
    this.at("f-fps").textContent = round(receiver?.fps ?? stats.fps);
    this.at("f-sync").textContent = signed(receiver?.sync_ms ?? stats.av_offset_ms.p50 ?? null);
    this.#bar(parts, total);
    this.#stages(stats.stages_ms, receiver);
    const frames = stats.frames;
    this.at("f-fine").textContent =
      `${frames.shown} pictures sent, ${frames.dropped} dropped, ${frames.held} held. ` +
      `Voice lost on the way: ${stats.voice_ms.lost} ms. Voice to picture is an estimate: the server's measured delay, ` +
      "the network's round trip and this browser's buffer, added up.";
  }

  #bar(parts, total) {
    const bar = this.at("bar");
    const key = this.at("key");
    if (bar.childElementCount !== parts.length) {
      bar.replaceChildren(...parts.map(({ kind }) => element("span", { className: kind })));
      key.replaceChildren(...parts.map(({ kind }) => {
        const item = element("li");
        item.append(element("i", { className: kind }), element("span"), element("b"));
        return item;
      }));
    }
    parts.forEach((part, i) => {
      bar.children[i].style.flexGrow = String(Math.max(part.ms, 1));
      key.children[i].children[1].textContent = part.name;
      key.children[i].children[2].textContent = `${round(part.ms)} ms`;
    });
    bar.setAttribute("aria-label", `Of ${round(total)} ms: ${parts.map((p) => `${p.name} ${round(p.ms)}`).join(", ")}`);
  }

  #stages(stages, receiver) {
    const rows = Object.entries(STAGES).map(([name, label]) => [label, stages[name]?.p50, stages[name]?.p95]);
    if (receiver?.decode_ms != null) rows.push(["Decoding (here)", receiver.decode_ms, null]);
    this.at("stages").replaceChildren(...rows.map(([label, p50, p95]) => {
      const row = element("tr");
      row.append(element("th", { scope: "row", textContent: label }));
      for (const ms of [p50, p95]) row.append(element("td", { textContent: ms == null ? "–" : `${ms.toFixed(1)} ms` }));
      return row;
    }));
  }
}

function element(tag, fields = {}) {
  return Object.assign(document.createElement(tag), fields);
}
