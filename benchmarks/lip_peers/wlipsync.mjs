// wlipsync: its own processor, WebAssembly and node, over shims of the Web Audio classes, with the profile of its example.
// 48 kHz, as browsers have it, blocks of 128 samples; its own smoothing. "open" is what the example's avatar is given.
import fs from 'fs';
import path from 'path';
import { FRAMES_PER_SECOND, everyRecording, framesOf, packages } from './job.mjs';

const RATE = 48000;
const home = path.join(packages, 'node_modules/wlipsync/dist');
const profile = JSON.parse(fs.readFileSync(path.join(packages, 'wlipsync_profile.json'), 'utf8'));
const phonemes = [...new Set(profile.mfccs.map((mfcc) => mfcc.name))]; // some stand there more than once

globalThis.AudioWorkletNode = class {
  constructor(context, name, options) {
    this.options = options;
    this.port = { onmessage: null };
    this.parameters = new Map();
  }
};
const { WLipSyncAudioNode } = await import(path.join(home, 'wlipsync.js'));
const wasm = new WebAssembly.Module(fs.readFileSync(path.join(home, 'wlipsync.wasm')));
// Its clock is a global of the worklet's scope; each run has one of its own.
const code = fs.readFileSync(path.join(home, 'audio-processor.js'), 'utf8').replaceAll('currentTime', 'theClock.now');

async function run({ samples }) {
  const node = new WLipSyncAudioNode({}, profile, wasm);
  const clock = { now: 0 };
  const Base = class {
    constructor() { this.port = { postMessage: (data) => node.port.onmessage({ data }) }; }
  };
  let Processor;
  new Function('AudioWorkletProcessor', 'registerProcessor', 'sampleRate', 'theClock', code)(
    Base, (name, made) => { Processor = made; }, RATE, clock);
  const processor = new Processor(node.options);
  for (let tries = 0; processor.inputBufferIndex === -1; tries++) {
    if (tries > 500) throw new Error('wlipsync did not begin');
    await new Promise((done) => setTimeout(done, 1));
  }
  const rows = [];
  const frames = framesOf(samples, RATE);
  for (let frame = 0, at = 0; frame < frames; frame++) {
    const now = (frame + 0.5) / FRAMES_PER_SECOND;
    for (; at + 128 <= samples.length && (at + 128) / RATE <= now + 1e-9; at += 128) {
      clock.now = at / RATE;
      processor.process([[samples.subarray(at, at + 128)]], [], { blockSize: [512] });
    }
    rows.push(phonemes.map((name) => node.volume * (node.weights[name] ?? 0)));
  }
  return rows;
}

await everyRecording(phonemes, run, RATE);
