"""A WHIP server that only receives, for trials: a stranger's, of aiortc and the standard library alone."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from clients.trials.receiving.flashes import BRIGHT, LOUD, onsets
from engine.contracts import FloatArray

REJECTED = re.compile(r"m=video \d+ (.*)\r\n(?:[^m].*\r\n)*")


@dataclass
class Request:
    """What came over HTTP."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class WhipReceiver:
    """Use it as a context manager. ``links`` are named in answers; /elsewhere redirects to /whip."""

    token: str | None = None
    links: tuple[str, ...] = ()
    pictures: Literal["taken", "inactive", "rejected"] = "taken"
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    seen: list[tuple[float, bool]] = field(default_factory=list)  # arrival, whether it is bright
    heard: list[tuple[float, FloatArray]] = field(default_factory=list)  # arrival, levels
    sizes: set[tuple[int, int]] = field(default_factory=set)

    def __enter__(self) -> WhipReceiver:
        self._loop = asyncio.new_event_loop()
        self._pcs: dict[str, RTCPeerConnection] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [
            threading.Thread(target=self._loop.run_forever, daemon=True),
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Lose every connection, as a server that is killed does."""
        for name in list(self._pcs):
            self.end(name)

    def answer(self, offer: str) -> tuple[str, str]:
        """A new connection's name, and the answer."""
        return asyncio.run_coroutine_threadsafe(self._answer(offer), self._loop).result(20)

    def end(self, name: str) -> bool:
        pc = self._pcs.pop(name, None)
        if pc is None:
            return False
        asyncio.run_coroutine_threadsafe(pc.close(), self._loop).result(10)
        return True

    def onsets(self) -> tuple[FloatArray, FloatArray]:
        """Monotonic times at which flashes and beeps began."""
        shown = onsets(np.array([t for t, _ in self.seen]), np.array([b for _, b in self.seen], bool))
        if not self.heard:
            return shown, np.zeros(0)
        # A piece arrives when its last sample has been captured: all of them equally late.
        times = np.concatenate([at + np.arange(len(level)) / 48_000 for at, level in self.heard])
        return shown, onsets(times, np.concatenate([level > LOUD for _, level in self.heard]))

    async def _answer(self, offer: str) -> tuple[str, str]:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        name = f"stream{len(self.requests)}"
        self._pcs[name] = pc
        pc.on("track", lambda track: self._tasks.append(self._loop.create_task(self._take(track))))
        await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if self.pictures == "inactive":
            for transceiver in pc.getTransceivers():
                if transceiver.kind == "video":
                    transceiver.direction = "inactive"
        await pc.setLocalDescription(await pc.createAnswer())
        sdp = pc.localDescription.sdp
        return name, sdp if self.pictures != "rejected" else REJECTED.sub(r"m=video 0 \1\r\na=inactive\r\n", sdp)

    async def _take(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                now = time.monotonic()
                if isinstance(frame, VideoFrame):
                    self.sizes.add((frame.width, frame.height))
                    luma = frame.to_ndarray(format="yuv420p")[: frame.height]
                    self.seen.append((now, bool(luma.mean() > BRIGHT)))
                elif isinstance(frame, AudioFrame):
                    levels = np.abs(frame.to_ndarray().reshape(-1, frame.layout.nb_channels)[:, 0]) / 32768
                    self.heard.append((now, levels.astype(np.float32)))
        except MediaStreamError:
            pass


async def _cancel_others() -> None:
    """End what connections that never came about still wait for."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _handler(receiver: WhipReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self._note()
            self._say(204)

        def do_POST(self) -> None:
            self._note()
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if receiver.token and self.headers.get("Authorization") != f"Bearer {receiver.token}":
                self._say(401)
            elif self.path == "/elsewhere":
                self._say(307, {"Location": "/whip"})
            elif self.path == "/round":
                self._say(308, {"Location": "/round"})
            elif self.path != "/whip":
                self._say(405)
            else:
                name, sdp = receiver.answer(body)
                self._say(201, {"Location": f"/resource/{name}", "Content-Type": "application/sdp"}, sdp)

        def do_DELETE(self) -> None:
            self._note()
            self._say(200 if receiver.end(self.path.rpartition("/")[2]) else 404)

        def log_message(self, *_: Any) -> None:
            pass

        def _note(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Request(self.command, self.path, headers))

        def _say(self, status: int, headers: dict[str, str] | None = None, body: str = "") -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            for link in receiver.links:
                self.send_header("Link", link)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

    return Handler
