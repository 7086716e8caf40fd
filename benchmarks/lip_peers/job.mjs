// What every harness is given: node HARNESS PACKAGES JOB OUT. JOB lists recordings, each raw 16-bit sound at 16 and 48 kHz.
import fs from 'fs';

export const [packages, , out] = process.argv.slice(2);
const { recordings } = JSON.parse(fs.readFileSync(process.argv[3]));
export const FRAMES_PER_SECOND = 25;

/** The sound of a recording: {samples, bytes} at a rate of 16000 or 48000. */
export function sound(recording, rate) {
  const bytes = fs.readFileSync(recording[rate]);
  const samples = new Float32Array(bytes.length / 2);
  for (let k = 0; k < samples.length; k++) samples[k] = bytes.readInt16LE(2 * k) / 32768;
  return { samples, bytes };
}

/** How many frames of 40 ms a sound fills. */
export const framesOf = (samples, rate) => Math.floor((samples.length / rate) * FRAMES_PER_SECOND + 1e-6);

/** Run every recording and write {names, values: {recording: rows}, cpu_ms_per_s}: of sound, without loading. */
export async function everyRecording(names, run, rate) {
  const values = {};
  let seconds = 0;
  let used = 0;
  for (const recording of recordings) {
    const given = sound(recording, rate);
    const before = process.cpuUsage();
    values[recording.name] = await run(given);
    const { user, system } = process.cpuUsage(before);
    seconds += given.samples.length / rate;
    used += (user + system) / 1000;
  }
  fs.writeFileSync(out, JSON.stringify({ names, values, cpu_ms_per_s: used / seconds }));
  process.exit(0); // some leave timers behind
}
