// The server this page came from: below which path it is, and the token that it wants.
//
// The token stands behind the page's hash (#token=...), which no browser sends anywhere, and goes out in a header alone:
// addresses end up in logs and histories. So pictures are fetched, too, and shown as blobs.

import { Told } from "./voice.js";

const root = new URL(".", import.meta.url);

const written = new URLSearchParams(location.search).get("token");
if (written) { // as it used to be written: out of the address, before anything else is asked for
  history.replaceState(null, "", `${location.pathname}#${new URLSearchParams({ token: written })}`);
}

/** Read each time: a page around this one may renew it. */
const token = () => new URLSearchParams(location.hash.slice(1)).get("token");

/** The address of a path such as "api/avatars", wherever the server is mounted. */
export const addressOf = (path) => new URL(path, root);

/** fetch with the page's token. */
export function ask(path, options = {}) {
  const shown = token();
  const headers = { ...options.headers, ...(shown && { Authorization: `Bearer ${shown}` }) };
  return fetch(addressOf(path), { ...options, headers });
}

/** The same; says in words when nobody answers. */
export async function request(path, options) {
  try {
    return await ask(path, options);
  } catch {
    throw new Told("The server does not answer: is it still running?");
  }
}

/** JSON of a path; a refusal is told in the server's own words, with its `status`. */
export async function read(path, options) {
  const response = await request(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw refusal(response.status, body);
  return body;
}

const refusal = (status, body) => Object.assign(new Told(body.error ?? `The server refused (${status}).`), { status });

/** Send a file; `told` hears which share of it has gone, `signal` breaks it off. The answer's JSON, and its Location. */
export function upload(path, file, type, told, signal) {
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest(); // fetch does not tell how far it is
    asked.open("POST", addressOf(path));
    asked.setRequestHeader("Content-Type", type);
    if (token()) asked.setRequestHeader("Authorization", `Bearer ${token()}`);
    asked.responseType = "json";
    asked.upload.addEventListener("progress", ({ loaded, total }) => told(total ? loaded / total : 0));
    asked.addEventListener("error", () => reject(new Told("The server does not answer: is it still running?")));
    asked.addEventListener("abort", () => reject(signal.reason));
    asked.addEventListener("load", () => {
      const body = asked.response ?? {};
      if (asked.status >= 300) reject(refusal(asked.status, body));
      else resolve({ body, location: asked.getResponseHeader("Location") });
    });
    signal.addEventListener("abort", () => asked.abort());
    asked.send(file);
  });
}

const pictures = new Map(); // path -> a promise of its blob's address

/** Show the picture of a path in an image. One that cannot be had leaves its words. */
export async function show(image, path) {
  image.dataset.path = path;
  if (!pictures.has(path)) pictures.set(path, fetched(path));
  const address = await pictures.get(path);
  if (image.dataset.path !== path) return; // another one was wished meanwhile
  if (address) image.src = address;
  else pictures.delete(path);
}

/** Keep no pictures of paths that begin so. */
export async function unshow(begin) {
  for (const path of [...pictures.keys()].filter((path) => path.startsWith(begin))) {
    const address = await pictures.get(path);
    pictures.delete(path);
    if (address) URL.revokeObjectURL(address);
  }
}

async function fetched(path) {
  const response = await ask(path).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : null;
}
