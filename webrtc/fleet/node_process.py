"""A node: one server with its engine, in a process of its own (``python -m webrtc.fleet.node_process``).

One line of JSON on standard input tells it what to serve; on standard output, in lines of JSON, it tells its keeper how
far it is. Where its keeper has gone, its input ends, and it stops as by a signal.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlsplit

from engine.config import EngineConfig
from engine.errors import VivifyError
from webrtc.server import serve
from webrtc.server_config import IceServer, ServerConfig
from webrtc.upkeep.listening import loop_factory


def written(config: ServerConfig, cores: list[int] | None, measures: bool) -> bytes:
    """The line that starts a node. ``cores``: those it is pinned to; ``measures``: it counts its own places."""
    return json.dumps({"config": asdict(config), "cores": cores, "measures": measures}).encode() + b"\n"


def read(line: str) -> tuple[ServerConfig, list[int] | None, bool]:
    """What `written` wrote."""
    told = json.loads(line)
    fields: dict[str, Any] = told["config"]
    fields["engine"] = EngineConfig(**fields["engine"])
    fields["ice_servers"] = tuple(IceServer(**one) for one in fields["ice_servers"])
    for name in ("origins", "proxies"):
        fields[name] = tuple(fields[name])
    return ServerConfig(**fields), told["cores"], told["measures"]


def _tell(**said: Any) -> None:
    print(json.dumps(said), flush=True)


async def _run(config: ServerConfig, measures: bool) -> None:
    if measures:
        from webrtc.fleet.capacity import measure

        _tell(progress="measuring how many sessions fit")
        found = await asyncio.to_thread(measure, config.engine)
        _tell(measured=str(found))
        config = replace(config, engine=replace(config.engine, max_sessions=found.slots))

    async def ready(url: str) -> bool:
        _tell(ready={"port": urlsplit(url).port, "slots": config.engine.max_sessions})
        return True

    await serve(config, lambda text: _tell(progress=text), ready)


def _leave_with_keeper() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    config, cores, measures = read(sys.stdin.readline())
    if cores is not None:
        os.sched_setaffinity(0, cores)  # before any library counts them; the engine inherits it
    threading.Thread(target=_leave_with_keeper, daemon=True).start()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run(config, measures))
    except VivifyError as error:
        _tell(error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
