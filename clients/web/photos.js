// Which photos may be sent, said before they are.

import { Told } from "./voice.js";

const MOST = 12 << 20; // bytes

/** A photo's media type; browsers do not know all of them. */
export const typeOf = (photo) => photo.type || (/\.hei[cf]$/i.test(photo.name) ? "image/heic" : "application/octet-stream");

/** What a file input is to offer, of the server's `kinds` such as image/jpeg. */
export const offered = (kinds) => [...kinds, ...(kinds.includes("image/heic") ? [".heic", ".heif"] : [])].join();

/** Throws Told for what the server, which takes `kinds`, would not read. */
export function checkPhoto(photo, kinds) {
  if (!kinds.includes(typeOf(photo))) {
    const names = kinds.map((kind) => kind.split("/")[1].toUpperCase());
    throw new Told(`That is no photo that is taken here: choose a ${names.slice(0, -1).join(", ")} or ${names.at(-1)}.`);
  }
  if (!photo.size) throw new Told("The photo is empty, no byte is in it: copy or export it again.");
  if (photo.size > MOST) throw new Told(`A photo of at most ${MOST >> 20} MB is taken, and this one has ${Math.ceil(photo.size / (1 << 20))}: export it smaller.`);
}
