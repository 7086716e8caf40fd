// @met4citizen/headaudio: its own worklet and node, over shims of the two Web Audio classes they extend. Defaults, 16 kHz,
// blocks of 128 samples, `update` every 10 ms. With PATCHED=1 its first viseme ("aa", number 0) is taken for one too.
import fs from 'fs';
import path from 'path';
import { everyRecording, framesOf, packages } from './job.mjs';

const RATE = 16000;
const home = path.join(packages, 'node_modules/@met4citizen/headaudio');
const patched = process.env.PATCHED === '1';

let Worklet;
globalThis.sampleRate = RATE;
globalThis.registerProcessor = (name, made) => { Worklet = made; };
globalThis.AudioWorkletProcessor = class {
  constructor() { this.port = { onmessage: null, postMessage: (data) => this.told(data) }; }
  told() {}
};
globalThis.AudioWorkletNode = class {
  constructor() {
    this.port = { onmessage: null, postMessage: (data) => this.asked(data) };
    this.parameters = new Map();
  }
  asked() {}
};
const model = fs.readFileSync(path.join(home, 'dist/model-en-mixed.bin'));
globalThis.fetch = async () => ({
  ok: true,
  arrayBuffer: async () => model.buffer.slice(model.byteOffset, model.byteOffset + model.length),
});
await import(path.join(home, 'modules/headworklet.mjs'));
const { HeadAudio } = await import(path.join(home, 'modules/headaudio.mjs'));
const parameters = Object.fromEntries(Worklet.parameterDescriptors.map((d) => [d.name, [d.defaultValue]]));

async function run({ samples }) {
  const node = new HeadAudio({});
  const worklet = new Worklet({ processorOptions: {}, parameterData: {} });
  worklet.told = (data) => {
    if (patched && data.event === 'viseme' && data.viseme === 0) node.visemeActive = 0;
    else node.port.onmessage({ data });
  };
  node.asked = (data) => worklet.port.onmessage({ data });
  await node.loadModel('model', false);
  const shown = Object.fromEntries(node.visemeNames.map((name) => [name, 0]));
  node.onvalue = (name, value) => { shown[name] = value; };
  const rows = [];
  const frames = framesOf(samples, RATE);
  for (let tick = 1, at = 0; rows.length < frames; tick++) {
    for (; at + 128 <= samples.length && (at + 128) / RATE <= tick * 0.01 + 1e-9; at += 128) {
      worklet.process([[samples.subarray(at, at + 128)]], [], parameters);
    }
    node.update(10);
    if (tick % 4 === 2) rows.push(node.visemeNames.map((name) => shown[name])); // 20 ms into each frame of 40
  }
  return rows;
}

await everyRecording(new HeadAudio({}).visemeNames.map((name) => name.replace('viseme_', '')), run, RATE);
