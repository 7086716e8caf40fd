// Camera and microphone as a film, with a level to look at while it is taken.

import { Told } from "./voice.js";

const KINDS = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/mp4"];
const BITS = { videoBitsPerSecond: 5_000_000, audioBitsPerSecond: 128_000 };
const PIECE_MS = 1000; // in which the recorder gives out what it has
const QUIETEST_DB = -60; // the empty meter
const LOOK_MS = 80;
const FAILURES = {
  NotAllowedError: "Camera or microphone is blocked: allow both in the browser's address bar, or bring a film.",
  NotFoundError: "A camera and a microphone are needed, and one was not found: plug it in, or bring a film.",
  NotReadableError: "Camera or microphone is in use by another program: close that program, or bring a film.",
  OverconstrainedError: "The chosen microphone is gone: choose another.",
};

/** An open camera and microphone; `level(share)` hears how loud it is, 0 to 1, `lost()` that a device went. */
export class Camera {
  static async open(microphone, level, lost) {
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.MediaRecorder) {
      throw new Told("The browser films only on https pages and on localhost: open this page that way, or bring a film.");
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, facingMode: "user" },
        // What cancels echo and noise also takes from the voice, which is to be learned as it is.
        audio: { echoCancellation: false, noiseSuppression: false, channelCount: 1, ...(microphone && { deviceId: { exact: microphone } }) },
      });
      return new Camera(stream, level, lost);
    } catch (error) {
      throw new Told(FAILURES[error.name] ?? `The camera cannot be opened (${error.name}).`);
    }
  }

  constructor(stream, level, lost) {
    this.stream = stream;
    this.context = new AudioContext();
    this.context.resume().catch(() => {}); // closed before it began
    const ear = new AnalyserNode(this.context, { fftSize: 2048 });
    new MediaStreamAudioSourceNode(this.context, { mediaStream: stream }).connect(ear);
    const heard = new Float32Array(ear.fftSize);
    this.timer = setInterval(() => {
      ear.getFloatTimeDomainData(heard);
      const power = heard.reduce((sum, value) => sum + value * value, 0) / heard.length;
      level(Math.min(Math.max(1 - (10 * Math.log10(power + 1e-12)) / QUIETEST_DB, 0), 1));
    }, LOOK_MS);
    for (const track of stream.getTracks()) track.addEventListener("ended", lost);
  }

  close() {
    clearInterval(this.timer);
    this.context.close();
    for (const track of this.stream.getTracks()) track.stop();
  }

  /** Begin a film of at most `mostBytes`. `stop()` ends it; `film` is a promise of its blob. */
  record(mostBytes) {
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    const recorder = new MediaRecorder(this.stream, { mimeType, ...BITS });
    const pieces = [];
    let bytes = 0;
    const stop = () => recorder.state !== "inactive" && recorder.stop();
    recorder.addEventListener("dataavailable", ({ data }) => {
      pieces.push(data);
      bytes += data.size;
      if (bytes > mostBytes - 2 * BITS.videoBitsPerSecond / 8) stop();
    });
    const film = new Promise((resolve, reject) => {
      recorder.addEventListener("stop", () => resolve(new Blob(pieces, { type: recorder.mimeType.split(";")[0] })));
      recorder.addEventListener("error", () => reject(new Told("The browser could not record: try again, or bring a film.")));
    });
    recorder.start(PIECE_MS);
    return { film, stop };
  }
}
