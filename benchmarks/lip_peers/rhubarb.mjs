// rhubarb-lip-sync-wasm: whole files, without the words. It sees what comes later, which none of the others does.
import path from 'path';
import { FRAMES_PER_SECOND, everyRecording, framesOf, packages } from './job.mjs';

const SHAPES = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'X'];
const { Rhubarb } = await import(path.join(packages, 'node_modules/rhubarb-lip-sync-wasm/dist/index.js'));
await Rhubarb.getModule();

async function run({ samples, bytes }) {
  const { mouthCues } = await Rhubarb.getLipSync(Buffer.from(bytes));
  return Array.from({ length: framesOf(samples, 16000) }, (_, frame) => {
    const now = (frame + 0.5) / FRAMES_PER_SECOND;
    const cue = mouthCues.find(({ start, end }) => start <= now && now < end);
    return SHAPES.map((shape) => Number(shape === (cue?.value ?? 'X')));
  });
}

await everyRecording(SHAPES, run, 16000);
