// Faces that the visitor brings: sent, followed while the server makes them, stopped, deleted; found again after a reload.

import { read, request, upload } from "./server.js";
import { Told } from "./voice.js";

const LOOK_MS = 700; // between two questions of how far it is
const PATIENCE = 20; // questions that may go unanswered before it is given up
const GONE = "The server was started anew, and what it was making is lost: send it once more.";
const kept = (name) => JSON.parse(sessionStorage.getItem(`vivify.${name}`) ?? "null");

function keep(name, value) {
  if (value === null) sessionStorage.removeItem(`vivify.${name}`);
  else sessionStorage.setItem(`vivify.${name}`, JSON.stringify(value));
}

/** Only this tab knows the names, and they are all the right to the faces that there is. */
export class OwnFaces {
  /** `show(text, share)` is told how far it is; with null, that nothing is being made any more. */
  constructor(show) {
    this.show = show;
    this.stopping = null; // of what is being sent or made
  }

  get names() {
    return this.#faces.map(({ name }) => name);
  }

  /** What was told when a face was made: { film, notes }; null for one that is not the visitor's. */
  told(name) {
    return this.#faces.find((face) => face.name === name) ?? null;
  }

  get #faces() {
    return kept("own") ?? [];
  }

  /** Whether something is being sent or made. */
  get busy() {
    return this.stopping !== null;
  }

  /** What would be lost if the page were left now. */
  get sending() {
    return this.busy && kept("enrolment") === null;
  }

  /**
   * Send a photo or film and wait for its face: { avatar, warnings, film }; null when it was stopped. Throws Told.
   * `photo` may go with a film, and becomes the portrait; `same`: it is known that both show one person.
   */
  async bring(file, type, consent, sent = () => {}, photo = null, same = false) {
    const film = type.startsWith("video/");
    const what = photo ? "Sending photo and film" : film ? "Sending the film" : "Sending the portrait";
    return this.#making(async (signal) => {
      this.show(what, 0);
      const path = `api/avatars?${new URLSearchParams({ consent, ...(photo && { photo_bytes: photo.size }), ...(same && { same_person: true }) })}`;
      const body = photo ? new Blob([photo, file]) : file;
      const { location } = await upload(path, body, type, (share) => this.show(what, share), signal);
      keep("enrolment", { name: location.split("/").at(-1), film });
      sent();
      return this.#follow(signal);
    });
  }

  /** Go on with what the page was waiting for before it was loaded again; null where there was nothing. */
  async resume() {
    return kept("enrolment") && this.#making((signal) => this.#follow(signal));
  }

  /** Stop what is being sent or made; nothing of it is left. */
  stop() {
    const enrolment = kept("enrolment");
    keep("enrolment", null);
    this.stopping?.abort(new DOMException("Stopped by who asked for it.", "AbortError"));
    if (enrolment) request(`api/enrolments/${enrolment.name}`, { method: "DELETE" }).catch(() => {});
  }

  /** Delete a face, on the server as well. Throws Told. */
  async delete(avatar) {
    const answer = await request(`api/avatars/${encodeURIComponent(avatar)}`, { method: "DELETE" });
    if (!answer.ok && answer.status !== 404) throw new Told("The face could not be deleted: try again.");
    keep("own", this.#faces.filter(({ name }) => name !== avatar));
  }

  /** Those of the kept faces that the server still has. */
  async there() {
    const answers = await Promise.all(this.names.map((name) => request(`api/avatars/${encodeURIComponent(name)}/portrait`)));
    keep("own", this.#faces.filter((_, i) => answers[i].status !== 404));
    return this.names;
  }

  async #making(work) {
    const stopping = this.stopping = new AbortController();
    try {
      return await work(stopping.signal);
    } catch (error) {
      if (stopping.signal.aborted) return null;
      throw error;
    } finally {
      this.stopping = null;
      this.show(null, 0);
    }
  }

  async #follow(signal) {
    const { name, film } = kept("enrolment");
    let missed = 0;
    for (;;) {
      const job = await read(`api/enrolments/${name}`).catch((error) => {
        if (error.status === 404) throw this.#ended(new Told(GONE));
        if (error.status || ++missed > PATIENCE) throw error;
        return null;
      });
      signal.throwIfAborted();
      if (job) missed = 0;
      if (job?.state === "refused") throw this.#ended(Object.assign(new Told(job.error), { overrule: job.overrule }));
      if (job?.state === "done") {
        keep("own", [...this.#faces, { name: job.avatar, film, notes: job.warnings }]);
        this.#ended();
        return { avatar: job.avatar, warnings: job.warnings, film };
      }
      if (job) this.show(`${job.progress[0].toUpperCase()}${job.progress.slice(1)}`, job.share);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      signal.throwIfAborted();
    }
  }

  #ended(error) {
    keep("enrolment", null);
    return error;
  }
}
