// Where the voice comes from: the microphone, or the bundled speech played as if it were one.

/** An error whose message is meant for the person at the screen. */
export class Told extends Error {}

const MICROPHONE_FAILURES = {
  NotAllowedError: "The microphone is blocked: allow it in the browser's address bar, or choose the sample voice.",
  NotFoundError: "No microphone was found: plug one in, or choose the sample voice.",
  OverconstrainedError: "The chosen microphone is gone: choose another.",
  NotReadableError: "The microphone is in use by another program: close that program, or choose the sample voice.",
};

/** What is made of a microphone's sound: `raw` leaves it as it is, for music; browsers hush what does not sound like talk. */
const processing = (raw) => ({ echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw });

/** A voice: `track` goes to the server, `close` lets go of everything. */
export async function openMicrophone(deviceId, raw = false) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Told("The browser gives a microphone only to https pages and to localhost: open this page that way.");
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { ...processing(raw), channelCount: 1, ...(deviceId && { deviceId: { exact: deviceId } }) },
    });
    const [track] = stream.getAudioTracks();
    return { track, close: () => track.stop() };
  } catch (error) {
    throw new Told(MICROPHONE_FAILURES[error.name] ?? `The microphone cannot be opened (${error.name}).`);
  }
}

const PAUSE_S = 1.5; // between two readings of the sample

/** The bundled speech, over and over; `begin` starts it. */
export async function openSample(request) {
  const response = await request("api/sample");
  if (!response.ok) throw new Told("The sample voice is missing on the server: choose the microphone.");
  const context = new AudioContext({ sampleRate: 48000 });
  const speech = await context.decodeAudioData(await response.arrayBuffer());
  const output = context.createMediaStreamDestination();
  let timer = 0;
  const read = () => {
    const source = new AudioBufferSourceNode(context, { buffer: speech });
    source.connect(output);
    source.onended = () => { timer = setTimeout(read, 1000 * PAUSE_S); };
    source.start();
  };
  const close = () => {
    clearTimeout(timer);
    if (context.state !== "closed") context.close();
  };
  const begin = () => { context.resume(); read(); };
  return { track: output.stream.getAudioTracks()[0], begin, close };
}
