// The window in which somebody films themselves, or brings a film, looks at it and sends it.

import { checkPhoto } from "./photos.js";
import { PROMPTS, WHOLE_S, promptAt } from "./prompts.js";
import { Camera } from "./recording.js";
import { Told } from "./voice.js";

const COUNT = 3, COUNT_MS = 700; // before it begins
const LOOK_MS = 100;
const LEAST_S = 3, BRIEF_S = 10; // below is not sent, below is told
const FAINT = 0.3, FAINT_S = 5; // a level that is hardly a voice, and for how long before it is said
const TYPES = { mp4: "video/mp4", m4v: "video/mp4", mov: "video/quicktime", mkv: "video/x-matroska", webm: "video/webm" };
const at = (id) => document.getElementById(id);

/**
 * `microphone()` tells the chosen one's id, `send(blob, type, photo, same)` takes a film, the photo that may go with it, and
 * whether it is known that both show one person;
 * `limits`: film_bytes, film_seconds, films, photos.
 */
export class Filming {
  constructor(microphone, send) {
    this.microphone = microphone;
    this.send = send;
    this.limits = { film_bytes: 0, film_seconds: 0, films: [], photos: [] };
    this.camera = this.take = this.film = this.photo = this.doubt = null;
    at("film-open").addEventListener("click", () => this.#openCamera());
    at("film-record").addEventListener("click", () => this.#record());
    at("film-stop").addEventListener("click", () => this.#stop());
    at("film-again").addEventListener("click", () => this.#openCamera());
    at("film-send").addEventListener("click", () => this.#sendIt());
    at("film-close").addEventListener("click", () => this.close());
    at("film-file").addEventListener("change", () => this.#bring(at("film-file").files[0]));
    at("film-photo").addEventListener("change", () => this.#beside(at("film-photo").files[0] ?? null));
    at("film-photo-drop").addEventListener("click", () => this.#beside(null));
    at("filming").addEventListener("close", () => this.#letGo());
    at("filming").addEventListener("cancel", (event) => { // Escape ends a film, and does not throw it away
      if (at("filming").dataset.step !== "recording") return;
      event.preventDefault();
      this.#stop();
    });
    this.#step("intro");
  }

  /** What would be lost if the page were left now. */
  get unsent() {
    return this.take !== null || (this.film !== null && !this.film.sent);
  }

  open() {
    at("film-file").accept = [...this.limits.films, ...Object.keys(TYPES).map((name) => `.${name}`)].join();
    this.#tell(this.doubt);
    this.#step(this.film ? "review" : "intro");
    at("filming").showModal();
  }

  close() {
    at("filming").close();
  }

  /** The server has the film; it stays here as well until its face is made, in case that fails. */
  sent() {
    if (this.film) this.film.sent = true;
  }

  /** The server takes film and photo for two people's: who knows better may say so, and send them again. */
  doubted(sentence) {
    if (this.film) this.#ask(sentence);
  }

  made() {
    this.#drop();
    this.#beside(null);
    this.#step("intro");
  }

  #ask(doubt) {
    this.doubt = doubt;
    at("film-same").checked = false;
    at("film-alike").hidden = doubt === null;
  }

  #step(step) {
    at("filming").dataset.step = step;
    for (const part of at("filming").querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(step);
    }
  }

  #tell(sentence, calm = false) {
    at("film-message").textContent = sentence ?? "";
    at("film-message").classList.toggle("calm", calm);
    at("film-message").hidden = !sentence;
  }

  #failed(error) {
    this.#letGo();
    this.#step(this.film ? "review" : "intro");
    this.#tell(error instanceof Told ? error.message : `Something unexpected went wrong: ${error.message}`);
  }

  async #openCamera() {
    this.#tell(null);
    this.#drop();
    at("film-open").disabled = true;
    try {
      const camera = await Camera.open(this.microphone(), (level) => this.#level(level), () => {
        this.#failed(new Told("Camera or microphone was unplugged: plug it in and film again."));
      });
      if (!at("filming").open) return camera.close();
      this.camera = camera;
      const view = at("film-view");
      view.srcObject = camera.stream;
      view.muted = true;
      view.controls = false;
      await view.play();
      this.#step("camera");
      at("film-record").focus();
    } catch (error) {
      this.#failed(error);
    } finally {
      at("film-open").disabled = false;
    }
  }

  #level(level) {
    at("film-level").value = level;
    if (level > FAINT) this.heardAt = performance.now();
    const faint = this.take && performance.now() - Math.max(this.heardAt ?? 0, this.take.began) > 1000 * (FAINT_S + PROMPTS[0].seconds + PROMPTS[1].seconds);
    at("film-level-text").textContent = faint ? "Hardly anything is heard: speak up, or choose another microphone." : "";
  }

  async #record() {
    this.#step("counting");
    const take = this.take = { began: Infinity, stop: () => { this.take = null; this.#step("camera"); } };
    for (let left = COUNT; left > 0; left--) {
      at("film-prompt").textContent = String(left);
      await new Promise((resolve) => setTimeout(resolve, COUNT_MS));
      if (this.take !== take) return;
    }
    try {
      const { film, stop } = this.camera.record(this.limits.film_bytes);
      Object.assign(take, { stop, began: performance.now() });
      this.#step("recording");
      at("film-stop").focus();
      take.timer = setInterval(() => this.#prompt((performance.now() - take.began) / 1000), LOOK_MS);
      this.#prompt(0);
      const blob = await film;
      const seconds = (performance.now() - take.began) / 1000;
      clearInterval(take.timer);
      if (this.take !== take) return; // the window was closed
      this.take = null;
      if (seconds < LEAST_S) throw new Told(`A film of at least ${LEAST_S} s is needed, half a minute is better: film again.`);
      this.#review(blob, blob.type, seconds);
    } catch (error) {
      clearInterval(take.timer);
      this.take = null;
      this.#failed(error);
    }
  }

  #prompt(seconds) {
    const { prompt, next } = promptAt(seconds);
    if (!prompt || seconds > this.limits.film_seconds) return this.#stop();
    const [text, read] = [prompt.text, prompt.read ?? ""];
    if (at("film-prompt").textContent !== text) at("film-prompt").textContent = text; // or it would be read out again
    if (at("film-read").textContent !== read) at("film-read").textContent = read;
    at("film-next").textContent = next ? `Then: ${next.read ? "read a sentence" : next.text}` : "";
    at("film-left").textContent = `${Math.ceil(WHOLE_S - seconds)} s left`;
    at("film-done").value = seconds / WHOLE_S;
  }

  #stop() {
    this.take?.stop();
  }

  #bring(file) {
    at("film-file").value = "";
    if (!file) return;
    const type = this.limits.films.includes(file.type) ? file.type : TYPES[file.name.split(".").at(-1).toLowerCase()];
    if (!type) return this.#tell("That is no film that is taken here: choose an MP4, MOV, WebM or MKV.");
    if (!file.size) return this.#tell("The film is empty, no byte is in it: copy or export it again.");
    if (file.size > this.limits.film_bytes) {
      return this.#tell(`A film of at most ${this.limits.film_bytes >> 20} MB is taken, and this one has ${file.size >> 20}: cut or export it smaller.`);
    }
    this.#tell(null);
    this.#drop();
    this.#review(file, type, null);
  }

  #review(blob, type, seconds) {
    this.#letGo();
    this.film = { blob, type, address: URL.createObjectURL(blob), sent: false };
    at("film").textContent = "Look at your film";
    const view = at("film-view");
    view.src = this.film.address;
    view.muted = false;
    view.controls = true;
    view.onerror = () => this.#tell("This browser cannot show the film, but the server may be able to read it.");
    view.onloadedmetadata = () => {
      if (view.duration !== Infinity) return this.#judge(seconds ?? view.duration);
      view.currentTime = 1e9; // what browsers record says nothing of its length: its end is looked for
      view.ondurationchange = () => { view.ondurationchange = null; view.currentTime = 0; this.#judge(seconds ?? view.duration); };
    };
    this.#step("review");
    at("film-consent").focus();
  }

  #judge(seconds) {
    const most = this.limits.film_seconds;
    if (seconds < LEAST_S) this.#tell(`That is ${Math.round(seconds)} s, too little to learn from: film half a minute.`);
    else if (seconds < BRIEF_S) this.#tell(`That is ${Math.round(seconds)} s: it will do, but half a minute teaches more.`, true);
    if (seconds > most + 1) this.#tell(`That is ${Math.round(seconds)} s, and the first ${most} will be used.`, true);
  }

  #sendIt() {
    if (!at("film-consent").checked) {
      this.#tell("Tick the box first: a face is moved only if its person agrees.");
      return at("film-consent").focus();
    }
    const { blob, type } = this.film;
    this.film.sent = false;
    this.close();
    this.send(blob, type, this.photo, at("film-same").checked);
  }

  /** A photo that becomes the portrait, or none. */
  #beside(photo) {
    at("film-photo").value = "";
    this.#tell(null);
    this.#ask(null);
    try {
      if (photo) checkPhoto(photo, this.limits.photos);
    } catch (error) {
      return this.#tell(error.message);
    }
    const view = at("film-photo-view");
    if (this.photo) URL.revokeObjectURL(view.src);
    this.photo = photo;
    view.hidden = at("film-photo-drop").hidden = !photo;
    if (photo) view.src = URL.createObjectURL(photo);
    else view.removeAttribute("src");
    at("film-photo-text").textContent = photo ? "Another photo" : "Add a photo";
  }

  /** Of camera and microphone, and of what is being taken. */
  #letGo() {
    const take = this.take;
    this.take = null;
    take?.stop();
    this.camera?.close();
    this.camera = null;
    const view = at("film-view");
    view.pause();
    view.srcObject = null;
  }

  #drop() {
    this.#letGo();
    if (this.film) URL.revokeObjectURL(this.film.address);
    this.film = null;
    this.#ask(null);
    at("film").textContent = "Film yourself";
    const view = at("film-view");
    view.onerror = view.onloadedmetadata = view.ondurationchange = null;
    view.removeAttribute("src");
    view.load();
  }
}
