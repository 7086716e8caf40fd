"""`vivify serve`: the service, and on request its proof: a real client that talks to it before anyone else does.

What only some options need is imported where it is needed: the engine's start waits for nothing else.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from engine.config import EngineConfig
from engine.cores import usable_cores
from engine.errors import VivifyError
from engine.paths import assets
from webrtc.access.tokens import sign
from webrtc.server import serve as run
from webrtc.server_config import ServerConfig

if TYPE_CHECKING:
    from clients.commands.ray_serving import FleetWishes


@dataclass(frozen=True, slots=True)
class Places:
    """How many nodes there are (0: one server, without a door), and whether each measures how many sessions it takes.

    ``first_port``: nodes listen beside the door, from this port on; None: nobody but the door reaches them.
    """

    nodes: int = 0
    measured: bool = False
    first_port: int | None = None


def places(nodes: str | None, max_sessions: str | None, node_port: int | None) -> tuple[Places, int]:
    """What ``--nodes``, ``--max-sessions`` and ``--node-port`` say, and sessions of each. Raises VivifyError."""
    paired = max(1, usable_cores() // CORES_EACH)
    count = paired if nodes == "auto" else _number("--nodes", nodes, MOST_NODES) if nodes else 0
    if node_port is not None and not count:
        raise VivifyError("--node-port is for nodes behind a door: give --nodes, too.")
    measured = max_sessions == "auto" or (max_sessions is None and count > 0)
    most = 2 if measured or max_sessions is None else _number("--max-sessions", max_sessions, 64)
    return Places(min(count, MOST_NODES), measured, node_port), most


def _number(option: str, text: str, most: int) -> int:
    if text.isdecimal() and len(text) < 6 and 1 <= int(text) <= most:
        return int(text)
    raise VivifyError(f"{option} was expected to be 'auto' or a number from 1 to {most}, but '{text}' was given.")


ALONE = Places()
MOST_NODES = 64
CORES_EACH = 2  # of a node: drawing and sending share them, and it carries more than two nodes of one core each
LEAST_FPS = 20.0  # a proof with fewer pictures a second has failed


async def serve(
    host: str,
    port: int,
    engine: EngineConfig,
    token: str | None,
    prove: Path | None,
    once: bool,
    say: Console,
    where: Places = ALONE,
    fleet: FleetWishes | None = None,
    **settings: Any,
) -> bool:
    """Serve until interrupted; with ``prove``, record the sample speech into that file first. With ``once``, end then.

    ``fleet``: on Ray. ``settings`` are more of `ServerConfig`'s.

    Returns False when the proof ran but its figures are too poor. Raises VivifyError when the service cannot start,
    the proof cannot be had, or ``once`` comes without one.
    """
    if once and prove is None:
        raise VivifyError("--once ends after the proof, but none was asked for: add --prove OUT.mp4, or leave it out.")
    proven = True

    async def after_start(url: str) -> bool:
        nonlocal proven
        status.stop()
        if prove is not None:
            from clients.commands.talk import print_card, talk

            with say.status("proving itself...") as progress:
                report = await talk(
                    url,
                    assets() / "speech.wav",
                    prove,
                    token=_own_token(config),
                    on_progress=lambda text: progress.update(text),
                )
            print_card(report, say)
            proven = report.fps >= LEAST_FPS
            if not proven:
                say.print(
                    f"[red]vivify:[/] at least {LEAST_FPS:.0f} pictures a second were expected, but {report.fps:.1f} "
                    "came: close other programs, or try --size 256."
                )
            if once:
                return False
        say.print(f"Vivify is ready: [bold]{url}[/]   (Ctrl-C ends it)")
        return True

    with say.status("starting the engine...") as status:
        config = ServerConfig(host, port, token, engine=engine, **settings)

        def show(text: str) -> None:
            status.update(f"{text}...")

        if fleet is not None:
            from clients.commands.ray_serving import serve_on_ray

            await serve_on_ray(config, fleet, where.measured, where.first_port, show, after_start)
        elif where.nodes:
            from webrtc.fleet.door_server import serve_nodes

            await serve_nodes(config, where.nodes, where.measured, where.first_port, show, after_start)
        else:
            if where.measured:
                from webrtc.fleet.capacity import measure

                show("measuring how many sessions fit")
                found = await asyncio.to_thread(measure, engine)
                say.print(f"Measured: {found}.", highlight=False)
                config = replace(config, engine=replace(engine, max_sessions=found.slots))
            await run(config, show, after_start)
    return proven


def _own_token(config: ServerConfig) -> str | None:
    """A token that may speak, for the server's own client. Raises VivifyError where none of them may."""
    if not config.guarded:
        return None
    if config.token_key is not None:
        return sign(config.token_key, ("speak",), subject="proof")
    may = [token.secret for token in config.tokens if "speak" in token.rights]
    if not may:
        raise VivifyError("A proof needs a token with the right to speak, but none of the given ones has it.")
    return may[0]
