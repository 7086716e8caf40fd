"""Vivify below a prefix of somebody else's address: mounted in another application, or behind a proxy, both real."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from serving import engine

from engine.config import EngineConfig
from webrtc.http.app import create_app
from webrtc.server_config import ServerConfig
from webrtc.service import Service
from webrtc.upkeep.listening import listen, loop_factory, url_of


@contextmanager
def mounted(path: str, **settings: Any) -> Iterator[str]:
    """In a FastAPI application that has a route of its own; its URL is the application's."""
    config = ServerConfig(port=0, **settings, engine=EngineConfig(max_sessions=4))
    service = Service(engine(), config)
    parent = FastAPI()
    parent.add_api_route("/api/avatars", lambda: "the parent's own")
    parent.mount(path, create_app(service))
    with listen("127.0.0.1", 0) as sock:
        server = uvicorn.Server(uvicorn.Config(parent, log_level="warning", lifespan="off", ws="websockets-sansio"))

        async def serve() -> None:
            await server.serve([sock])
            await service.close_all()

        def run() -> None:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(serve())

        thread = threading.Thread(target=run, name="parent")
        thread.start()
        try:
            yield url_of(sock)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@contextmanager
def proxied(upstream: str, strips: str = "", **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A proxy before ``upstream``: its URL, and the request lines that have come, filled as they come.

    It takes the prefix ``strips`` off, and refuses paths without it; it sets ``headers``, as nginx's proxy_set_header.
    One request a connection, which from then on is passed through as it is: sockets, too.
    """
    host, port = upstream.removeprefix("http://").split(":")
    lines: list[str] = []
    replaced = {name.replace("_", "-").lower(): value for name, value in headers.items()}

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client that has gone, or the test's end
        finally:
            writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lines.append(head[0])
        method, path, version = head[0].split(" ")
        if not path.startswith(strips + "/"):
            writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        sent = [line for line in head[1:-2] if line.split(":")[0].lower() not in {*replaced, "connection"}]
        upgrade = any(line.lower().startswith("upgrade:") for line in sent)
        sent += [f"{name}: {value}" for name, value in replaced.items()]
        sent += ["Connection: Upgrade" if upgrade else "Connection: close"]
        there, back = await asyncio.open_connection(host, int(port))
        request = "\r\n".join([f"{method} {path.removeprefix(strips)} {version}", *sent, "", ""])
        back.write(request.encode("latin-1"))
        try:
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        finally:
            back.close()

    ready, stop = threading.Event(), threading.Event()

    async def main(sock: Any) -> None:
        server = await asyncio.start_server(serve, sock=sock)
        ready.set()
        await asyncio.to_thread(stop.wait)
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # what was closed is let go of

    sock = listen("127.0.0.1", 0)
    url = url_of(sock)
    thread = threading.Thread(target=lambda: asyncio.run(main(sock)), name="proxy")
    thread.start()
    try:
        assert ready.wait(10)
        yield url, lines
    finally:
        stop.set()
        thread.join(10)
