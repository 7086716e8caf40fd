"""The engine's own process: commands come over its standard input (``python -m engine.process.engine_worker``).

It speaks `engine.process.wire` on its standard output. Finished pictures do not travel through the pipe: they are
written, as planar I420, into slots of a memory file shared with the parent, who notes there when a slot is free again.
"""

from __future__ import annotations

import argparse
import functools
import gc
import mmap
import os
import queue
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine import avatars
from engine.config import SLOTS_PER_SESSION, EngineConfig, checked, slot_bytes
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, ByteArray, Frame
from engine.errors import UnknownAvatar, VivifyError
from engine.face.avatar import Avatar
from engine.marking.consent import demand_consent
from engine.motion.prior.keys import Key
from engine.process.c_memory import keep_little
from engine.process.chosen_pipeline import chosen_pipeline
from engine.process.labels import Labels
from engine.process.spent_code import release_compiler
from engine.process.waiting_commands import Commands
from engine.process.wire import Wire, packed
from engine.render.renderer import Renderer
from engine.scheduler import Scheduler
from engine.session import Session
from kernels.cpu import pixel_kernels

SHARE = 64  # commands between two steps: more than all sessions send in the time of one
MOST_COMMANDS = 1024  # that wait; then the pipe does, and behind it the server
GRAIN_S = 0.001  # for which a loading thread may hold Python's lock (5 ms by itself): a step asks for it many times


def i420(picture: ByteArray, memory: ByteArray) -> ByteArray:
    """RGB [H, W, 3] -> planar I420 [H * 3 // 2, W]; RGBA -> [H * 3 // 2, 2 W]: the colours, and the matte as grey.

    Written to the beginning of ``memory`` [n]; what comes as planes already is copied there.
    """
    if picture.ndim == 2:
        flat = memory[: picture.size]
        flat[:] = picture.ravel()
        return flat.reshape(picture.shape)
    if picture.shape[2] == 4:
        picture = np.concatenate([picture[..., :3], np.repeat(picture[..., 3:], 3, axis=2)], axis=1)
    height, width = picture.shape[:2]
    planes = memory[: height * width * 3 // 2].reshape(height * 3 // 2, width)
    pixel_kernels.bytes_to_i420(np.ascontiguousarray(picture), planes)
    return planes


class Worker:
    """Applies commands and ticks the scheduler; everything runs on the main thread but the reading of the pipe."""

    def __init__(self, config: EngineConfig, wire: Wire, memory: mmap.mmap) -> None:
        self._config = config
        self._wire = wire
        self._memory = np.frombuffer(memory, np.uint8)
        # [slots, bytes]; the last byte of a slot: holds a picture that is not fetched yet
        self._slots = self._memory.reshape(SLOTS_PER_SESSION * config.max_sessions, -1)
        self._commands = Commands(MOST_COMMANDS)
        self._table = avatars.installed()
        name, folder = avatars.resolve(config.avatar)
        self._table[name] = folder
        self._default = name
        self._listed = list(self._table)
        self._loaded: dict[str, Avatar] = {}
        self._sessions: dict[int, Session] = {}
        self._loader = ThreadPoolExecutor(1, "loader")
        self._loading: dict[
            int, tuple[dict[str, Any], Future[tuple[Avatar | None, Renderer | None]]]
        ] = {}  # sessions to be opened
        self._running = True
        self._labels = Labels(config)

    def run(self) -> None:
        """Warm up, then serve until the pipe closes."""
        self._progress("loading the motion network")
        pipeline, warm_up = chosen_pipeline(self._config)
        self._scheduler = Scheduler(pipeline)
        self._progress(f"loading the avatar '{self._default}'")
        avatar = self._avatar(self._default)
        self._pipeline = pipeline
        self._progress("warming up the kernels")
        renderer = pipeline.renderer(avatar)
        renderer.warm_up()
        warm_up(avatar)
        self._rehearse(avatar, renderer)
        gc.collect()
        gc.freeze()  # what is here stays: collections look only at what sessions make
        sys.setswitchinterval(GRAIN_S)
        release_compiler()
        self._wire.send({"event": "ready", "avatars": self._listed, "default": self._default})
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        while self._running:
            self._apply(wait=True)
            while self._running and self._scheduler.tick():
                self._emit()
                self._apply(wait=False)

    def _rehearse(self, avatar: Avatar, renderer: Renderer) -> None:
        """Draw some frames of silence, so that no live frame pays for a first call: the third is the last that does."""
        session = self._scheduler.open(avatar, live=False, renderer=renderer)
        session.push_audio(AudioChunk(0, np.zeros(10 * SAMPLES_PER_FRAME, np.float32)))
        while self._scheduler.tick():
            for frame in session.frames():
                self._labels.rehearse(i420(frame.picture, self._memory))
        self._scheduler.close(session)

    def _read(self) -> None:
        """On a thread of its own. However it ends, the process does: one that hears nothing is of no use to anybody."""
        try:
            while (message := self._wire.receive()) is not None:
                self._commands.put(*message, wait=True)
        finally:
            self._commands.close()

    def _apply(self, wait: bool) -> None:
        """Carry out commands that have come, in order, a share at a time: pictures are drawn between two of them.

        With ``wait``, at least one.
        """
        for _ in range(SHARE):
            try:
                message = self._commands.take(wait)
            except queue.Empty:
                return
            if message is None:  # the pipe has closed
                self._running = False
                return
            self._command(*message)
            wait = False

    def _command(self, head: dict[str, Any], payload: bytes) -> None:
        name, number = head["do"], head.get("session", -1)
        if name == "ping":
            self._wire.send({"event": "pong"})
        elif name == "add avatar":
            self._table[head["name"]] = Path(head["folder"])
        elif name == "remove avatar":
            self._table.pop(head["name"], None)
            self._loader.submit(self._loaded.pop, head["name"], None)  # behind one that is being read just now
        elif name == "open":
            self._load(number, head)
        elif name == "loaded":
            self._open(number)
        elif name == "close" and self._loading.pop(number, None):
            return  # nobody waits for it any more
        elif (session := self._sessions.get(number)) is None:
            return  # a command that crossed the session's end on the way
        elif name == "audio":
            self._push(number, session, AudioChunk(head["position"], np.frombuffer(payload, np.float32)), head["now"])
        elif name == "clear":
            self._scheduler.clear(session, head["now"], head["times"])
        elif name == "controls":
            self._scheduler.set_controls(session, head["controls"])
        elif name == "key":
            self._pin(session, head)
        elif name == "look_ahead":
            self._scheduler.set_look_ahead(session, head["look_ahead_ms"])
        elif name == "close":
            self._close(number)

    def _load(self, number: int, head: dict[str, Any]) -> None:
        """Make ready what a new session needs, on a thread: the steps of the others go on meanwhile."""

        def load() -> tuple[Avatar | None, Renderer | None]:
            if head.get("moves_only"):
                return None, None
            avatar = self._avatar(head["avatar"] or self._default)
            return avatar, self._pipeline.renderer(avatar)

        future = self._loader.submit(load)
        self._loading[number] = head, future
        future.add_done_callback(lambda _: self._commands.put({"do": "loaded", "session": number}, wait=True))

    def _open(self, number: int) -> None:
        if number not in self._loading:
            return
        head, future = self._loading.pop(number)
        try:
            avatar, renderer = future.result()
            if avatar is not None:
                self._find(head["avatar"] or self._default)  # it may have been deleted while it was read
            self._sessions[number] = self._scheduler.open(
                avatar, head["look_ahead_ms"], head["seed"], matte=head["matte"], renderer=renderer
            )
            here = functools.partial(self._pipeline.mark, self._sessions[number].row)
            self._labels.begin(number, head["mark"], avatar if head.get("badge") else None, head["matte"], here)
            if head["head"]:
                self._scheduler.hold_head(self._sessions[number], tuple(head["head"]))
            self._wire.send({"event": "opened", "session": number})
        except VivifyError as error:
            refusal = {"event": "refused", "session": number, "kind": type(error).__name__, "error": str(error)}
            self._wire.send(refusal)

    def _close(self, number: int) -> None:
        self._scheduler.close(self._sessions.pop(number))
        self._labels.end(number)

    def _push(self, number: int, session: Session, chunk: AudioChunk, now: float) -> None:
        try:
            session.push_audio(chunk, now)
        except VivifyError as error:
            self._close(number)
            self._wire.send({"event": "lost", "session": number, "error": str(error)})

    def _pin(self, session: Session, head: dict[str, Any]) -> None:
        """What does not fit is dropped: whoever asked was told what can be asked."""
        values = {int(place): value for place, value in head["values"].items()}
        with suppress(VivifyError):
            self._scheduler.set_key(session, Key(head["frame"], head["frames"], values))

    def _avatar(self, name: str) -> Avatar:
        folder = self._find(name)
        if name not in self._loaded:
            avatar = Avatar.load(folder)
            if self._config.consent:
                demand_consent(avatar)
            self._loaded[name] = avatar
        return self._loaded[name]

    def _find(self, name: str) -> Path:
        if (folder := self._table.get(name)) is None:
            raise UnknownAvatar(f"There is no avatar named '{name}' here; there are: {', '.join(self._listed)}.")
        return folder

    def _emit(self) -> None:
        for number, session in self._sessions.items():
            for frame in session.frames():
                self._send(number, session, frame)

    def _send(self, number: int, session: Session, frame: Frame) -> None:
        slot, width = 0, 0
        ledger = asdict(frame.ledger)
        if not session.moves_only:
            slot = int(self._slots[:, -1].argmin())
            if self._slots[slot, -1]:
                session.dropped += 1
                return
            began = time.perf_counter()
            self._slots[slot, -1] = 1
            planes = i420(frame.picture, self._slots[slot])
            self._labels.lay(number, planes)
            ledger["render_ms"] += 1000 * (time.perf_counter() - began)
            width = planes.shape[1]
        ledger["done"] = time.monotonic()
        head = {
            "event": "frame",
            "session": number,
            "slot": slot,
            "width": width,  # 0: no picture, and no slot
            "position": frame.position,
            "epoch": frame.epoch,
            "speaking": frame.speaking,
            "head": frame.head,
            "learned": frame.learned,
            "dropped": session.dropped,
            "ledger": ledger,
        }
        assert frame.motion is not None
        self._wire.send(head, packed(frame.motion))

    def _progress(self, text: str) -> None:
        self._wire.send({"event": "progress", "text": text})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--avatar", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--max-sessions", type=int, required=True)
    parser.add_argument("--quality", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--mover", required=True)
    parser.add_argument("--lips", required=True)
    parser.add_argument("--mark", choices=["on", "off"], required=True)
    parser.add_argument("--method", default="geometry")
    parser.add_argument("--weights")
    parser.add_argument("--photo")
    parser.add_argument("--compile")
    parser.add_argument("--require-consent", action="store_true")
    parser.add_argument("--memory", type=int, required=True, help="file descriptor of the shared picture memory")
    args = parser.parse_args()
    keep_little()
    wire = Wire(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # whatever prints by mistake must not break the messages
    try:
        quality, mark = checked(args.quality), args.mark == "on"
        moved = {"mover": args.mover, "lips": args.lips, "consent": args.require_consent}
        drawn = {"method": args.method, "weights": args.weights, "photo": args.photo, "compiler": args.compile}
        config = EngineConfig(args.avatar, args.size, args.max_sessions, quality, args.device, mark, **moved, **drawn)
        memory = mmap.mmap(args.memory, SLOTS_PER_SESSION * config.max_sessions * slot_bytes(config.size))
        Worker(config, wire, memory).run()
    except VivifyError as error:
        wire.send({"event": "fatal", "kind": type(error).__name__, "error": str(error)})
        sys.exit(1)
    except BrokenPipeError:
        pass  # the parent is gone, and so is the reason to live


if __name__ == "__main__":
    main()
