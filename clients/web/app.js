// The page: what the buttons do, and what is said when something fails.

import { Devices } from "./devices.js";
import { Panel, Receiver } from "./figures.js";
import { Filming } from "./filming.js";
import { OwnFaces } from "./own_faces.js";
import { checkPhoto, offered, typeOf } from "./photos.js";
import { read, request, show, unshow } from "./server.js";
import { Session } from "./session.js";
import { Told, openMicrophone, openSample } from "./voice.js";
import { wishesOf } from "./wishes.js";

const at = (id) => document.getElementById(id);
const video = at("face");
const panel = new Panel(document);
const STATES = { idle: "Ready", connecting: "Connecting", live: "Live", lost: "Disconnected", down: "No server", shut: "Not let in" };

let server = { avatars: [], films: [], photos: [], default: null, look_aheads_ms: [0, 40, 80, 120], default_look_ahead_ms: 80 };
let session = null;
let voice = null;
const ONLY_BEFORE = "input:not([type=range]), .devices select"; // what a running session does not take
const AGAIN_MS = [500, 2000, 4000, 8000]; // pauses before each attempt to get a lost connection back
const RESTART_MS = [2000, 3000, 4000, 6000, 8000, 10000, 10000, 10000]; // the same, for a server that starts anew
const devices = new Devices(at("microphone"), at("speaker"), video);
const own = new OwnFaces(showMaking);
const filming = new Filming(() => devices.microphone, (film, type, ...beside) => bring(film, type, FILM_AGREED, ...beside));

function setState(state) {
  document.body.dataset.state = state;
  at("state-text").textContent = STATES[state];
  const busy = state === "connecting" || state === "live";
  at("start").textContent = busy ? (state === "live" ? "Stop" : "Cancel") : "Start";
  at("start").classList.toggle("stop", busy);
  at("veil").hidden = state !== "connecting";
  at("hear").hidden = at("mute").hidden = state !== "live";
  for (const field of at("controls").querySelectorAll(ONLY_BEFORE)) field.disabled = busy;
  at("forget").disabled = busy;
  at("film").disabled = at("photo").disabled = busy || own.busy; // one after the other
  if (state !== "live") {
    at("figures").hidden = true;
    at("unblock").hidden = true;
    at("stage").classList.remove("speaking", "playing");
  }
}

function tell(sentence) {
  at("message").textContent = sentence ?? "";
  at("message").hidden = !sentence;
  if (sentence) at("message").scrollIntoView({ block: "nearest" });
}

const busyNow = () => ["live", "connecting"].includes(document.body.dataset.state);
const chosenVoice = () => at("controls").elements.voice.value;
const chosenFace = () => at("faces").querySelector("input:checked")?.value ?? server.default;
const chosenLookAhead = () => server.look_aheads_ms[Number(at("look-ahead").value)];

async function start() {
  tell(null);
  setState("connecting");
  const attempt = {};
  start.attempt = attempt;
  const cancelled = () => start.attempt !== attempt;
  try {
    at("veil-text").textContent = chosenVoice() === "microphone" ? "Waiting for the microphone" : "Connecting";
    const opened = await (chosenVoice() === "microphone" ? openMicrophone(devices.microphone, at("raw").checked) : openSample(request));
    if (cancelled()) return opened.close();
    voice = opened;
    devices.list();
    voice.track.addEventListener("ended", () => fail("The microphone was unplugged: plug it in and start again."));
    hear(chosenVoice() === "sample");
    mute(false);
    at("veil-text").textContent = "Connecting";
    await connect(cancelled);
    if (cancelled()) return;
    voice.begin?.();
    await play();
  } catch (error) {
    if (cancelled()) return;
    fail(error instanceof Told ? error.message : `Something unexpected went wrong: ${error.message}`);
    if (!(error instanceof Told)) console.error(error);
  }
}

/** Pauses before each attempt to come back to a server that stopped; not all pages in the same instant. */
const pausesFrom = (seconds) => [1000 * seconds * (1 + Math.random() / 2), ...RESTART_MS];

/** A session for the voice that is open. */
async function connect(cancelled) {
  const { ice_servers: iceServers } = await read("api/ice-servers");
  if (cancelled()) return;
  session = new Session(voice, video, iceServers);
  const current = session;
  session.addEventListener("stats", showFigures);
  await session.open(chosenFace(), chosenLookAhead());
  if (cancelled()) return current.close();
  session.addEventListener("lost", ({ detail }) => {
    if (detail.final) fail(detail.sentence);
    else reconnect(detail.sentence, detail.comeBack === null ? AGAIN_MS : pausesFrom(detail.comeBack));
  });
  session.receiver = new Receiver(session.peer);
  setState("live");
  wish();
}

/** The connection went without anybody's wish: get another one, with the same voice. */
async function reconnect(sentence, pauses) {
  const attempt = start.attempt;
  const cancelled = () => start.attempt !== attempt;
  setState("connecting");
  at("veil-text").textContent = "Reconnecting";
  for (const pause of pauses) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (cancelled()) return;
    try {
      await connect(cancelled);
      if (!cancelled()) await play();
      return;
    } catch {
      session?.close();
    }
  }
  if (!cancelled()) fail(sentence, true);
}

function stop() {
  start.attempt = null;
  session?.close();
  voice?.close();
  session = voice = null;
  video.srcObject = null;
}

function fail(sentence, wasLive = document.body.dataset.state === "live") {
  stop();
  setState(wasLive ? "lost" : "idle");
  tell(sentence);
}

async function play() {
  try {
    await video.play();
    at("unblock").hidden = true;
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // playing was interrupted by a stop
    at("unblock").hidden = false;
  }
}

function hear(on) {
  video.muted = !on;
  at("hear").setAttribute("aria-pressed", String(on));
  at("hear-text").textContent = on ? "Mute the avatar's voice" : "Hear the avatar's voice";
  at("hear").title = at("hear-text").textContent;
}

function mute(on) {
  if (voice) voice.track.enabled = !on;
  at("mute").setAttribute("aria-pressed", String(!on));
  at("mute-text").textContent = on ? "Speak again" : "Mute your voice";
  at("mute").title = at("mute-text").textContent;
}

/** Tell a running session what the sliders and selects say. */
function wish() {
  session?.send({ type: "set", look_ahead_ms: chosenLookAhead(), controls: wishesOf(at("controls").elements) });
}

async function showFigures() {
  const current = session;
  const receiver = await current?.receiver?.read(); // figures may come when it has ended
  if (current !== session || !current?.stats) return;
  at("figures").hidden = false;
  at("stage").classList.toggle("speaking", current.stats.speaking);
  panel.show(current.stats, receiver);
}

const pictureOf = (name, what = "portrait") => `api/avatars/${encodeURIComponent(name)}/${what}`;

/** What people read of an avatar's name: "lady_by_lake" is "Lady by lake". */
function wordsOf(name) {
  const words = name.startsWith("own-") ? "yours" : name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function showFace() {
  show(at("portrait"), pictureOf(chosenFace()));
  at("portrait").hidden = false;
  at("face-name").textContent = wordsOf(chosenFace());
  at("forget").hidden = !own.names.includes(chosenFace());
  showLearned(own.told(chosenFace()));
}

/** What was used of a film or photo that the visitor brought, in a picture and in words. */
function showLearned(told) {
  at("learned").hidden = !told;
  if (!told) return;
  at("learned-of").textContent = told.film ? "What the film taught" : "What the photo showed";
  at("learned-list").replaceChildren(...told.notes.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  showSheet();
}

/** Fetched only for those who look at it. */
function showSheet() {
  if (at("learned").open && !at("learned").hidden) show(at("learned-sheet"), pictureOf(chosenFace(), "preview"));
}

function listFaces() {
  at("face-list").replaceChildren(...server.avatars.map((name) => {
    const label = Object.assign(document.createElement("label"), { title: wordsOf(name) });
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "face", value: name });
    radio.checked = name === server.default;
    const picture = Object.assign(new Image(56, 56), { alt: wordsOf(name) });
    label.append(radio, picture);
    show(picture, pictureOf(name));
    return label;
  }));
  at("faces").hidden = server.avatars.length < 2 && !server.portraits;
  at("bring").hidden = at("agreed").hidden = !server.portraits;
  at("film").hidden = !server.films.length;
  filming.limits = server;
  at("photo").accept = at("film-photo").accept = offered(server.photos);
}

const AGREED = "By who brought the portrait, on the page: it shows themselves, or the person agreed.";

/** Whether its bringer said that the person agrees; else they are asked to. */
function agreed() {
  tell(at("consent").checked ? null : "Tick the box below the faces first: a portrait is moved only if its person agrees.");
  if (!at("consent").checked) at("consent").focus();
  return at("consent").checked;
}

const FILM_AGREED = "By who brought the film, on the page: it shows themselves, or the person agreed.";

/** A photograph or a film becomes an avatar on the server; it is then the chosen face. */
async function bring(file, type, consent, ...beside) {
  const made = await follow(() => own.bring(file, type, consent, () => filming.sent(), ...beside));
  if (made?.film) filming.made();
}

/** Wait for a face that is being made, also one from before the page was loaded again: the same, or null. */
async function follow(making) {
  tell(null);
  at("photo").disabled = at("film").disabled = true;
  try {
    const made = await making();
    if (made) showMade(made);
    return made;
  } catch (error) {
    tell(error instanceof Told ? error.message : "It could not be sent: try again.");
    if (!(error instanceof Told)) console.error(error);
    if (error.overrule === "same_person") filming.doubted(error.message);
    return null;
  } finally {
    setState(document.body.dataset.state);
  }
}

function showMade({ avatar, warnings }) {
  server.avatars.push(avatar);
  server.default = busyNow() ? chosenFace() : avatar; // a running session keeps its face
  listFaces();
  at("learned").open = warnings.length > 0;
  showFace();
}

function showMaking(text, share) {
  at("making").hidden = text === null;
  at("making-done").value = share;
  if (text !== null && at("making-text").textContent !== text) at("making-text").textContent = text; // or it is read again
}

/** Delete the chosen face, on the server as well. */
async function forget() {
  const avatar = chosenFace();
  try {
    await own.delete(avatar);
    unshow(pictureOf(avatar, ""));
    server.avatars = server.avatars.filter((name) => name !== avatar);
    server.default = server.avatars[0];
    listFaces();
    showFace();
    at("faces").querySelector("input:checked")?.focus();
  } catch (error) {
    tell(error.message);
  }
}

function showPercent(slider) {
  at(`${slider}-value`).textContent = `${at(slider).value.replace("-", "\u2212")} %`;
}

function showLookAhead() {
  at("look-ahead-value").textContent = `${chosenLookAhead()} ms`;
  at("look-ahead").setAttribute("aria-valuetext", `${chosenLookAhead()} milliseconds`);
}

async function load() {
  try {
    server = await read("api/avatars");
    const kept = server.portraits ? await own.there() : [];
    server.avatars.push(...kept);
    server.default = kept.at(-1) ?? server.default;
    at("look-ahead").max = String(server.look_aheads_ms.length - 1);
    at("look-ahead").value = String(server.look_aheads_ms.indexOf(server.default_look_ahead_ms));
    for (const knob of document.querySelectorAll(".prior")) knob.hidden = server.mover !== "prior";
    listFaces();
    showFace();
    showLookAhead();
    setState("idle");
    at("start").disabled = false;
    follow(() => own.resume());
    if (!globalThis.RTCPeerConnection) throw new Told("This browser has no WebRTC: use a current Chrome, Edge, Firefox or Safari.");
  } catch (error) {
    setState(error.status ? "shut" : "down");
    at("start").disabled = true;
    tell(error instanceof Told ? error.message : "The page could not be set up: reload it.");
  }
}

at("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  if (busyNow()) {
    stop();
    setState("idle");
  } else {
    start();
  }
});
at("look-ahead").addEventListener("input", showLookAhead);
for (const slider of ["expressiveness", "brows", "style"]) at(slider).addEventListener("input", () => showPercent(slider));
for (const wished of ["look-ahead", "expressiveness", "brows", "mood", "gaze", "style", "guidance"]) at(wished).addEventListener("change", wish);
at("guidance").addEventListener("input", () => { at("guidance-value").textContent = (at("guidance").value / 10).toFixed(1); });
at("photo").addEventListener("click", (event) => agreed() || event.preventDefault());
at("photo").addEventListener("change", () => {
  const [photo] = at("photo").files;
  at("photo").value = ""; // the same one may be chosen again
  if (!photo || !agreed()) return;
  try {
    checkPhoto(photo, server.photos);
    bring(photo, typeOf(photo), AGREED);
  } catch (error) {
    tell(error.message);
  }
});
at("film").addEventListener("click", () => {
  tell(null);
  filming.open();
});
at("learned").addEventListener("toggle", showSheet);
at("making-stop").addEventListener("click", () => own.stop());
at("forget").addEventListener("click", forget);
at("mute").addEventListener("click", () => mute(voice?.track.enabled));
at("faces").addEventListener("change", showFace);
at("hear").addEventListener("click", () => hear(video.muted));
at("unblock").addEventListener("click", play);
video.addEventListener("playing", () => at("stage").classList.add("playing"));
addEventListener("beforeunload", (event) => { if (filming.unsent || own.sending) event.preventDefault(); });
addEventListener("pagehide", stop);
load();
