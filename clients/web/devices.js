// Which microphone and which loudspeaker; browsers tell their names once a microphone was allowed.

/** Keeps two selects filled: `microphone`, and `speaker` where the browser can choose one for `video`. */
export class Devices {
  constructor(microphone, speaker, video) {
    this.selects = { audioinput: microphone, audiooutput: speaker };
    this.canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype;
    speaker.addEventListener("change", () => video.setSinkId(speaker.value).catch(() => {}));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.list());
    this.list();
  }

  /** The chosen microphone's id, or undefined for the browser's own choice. */
  get microphone() {
    return this.selects.audioinput.value || undefined;
  }

  async list() {
    const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    for (const [kind, select] of Object.entries(this.selects)) {
      const found = all.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default");
      const before = select.value;
      select.replaceChildren(
        new Option("The browser's choice", ""),
        ...found.map((device, i) => new Option(device.label || `Device ${i + 1}`, device.deviceId)),
      );
      if (found.some((device) => device.deviceId === before)) select.value = before;
      select.parentElement.hidden = found.length < 2 || (kind === "audiooutput" && !this.canChooseSpeaker);
    }
  }
}
