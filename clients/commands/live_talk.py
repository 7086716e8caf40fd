"""`vivify live` and `vivify out`: a face to cameras, apps and streams; of a microphone here, or of a served session."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Coroutine
from typing import Any

from rich.console import Console

from clients.live import output_metrics
from clients.live.live_face import LiveFace
from clients.live.panel import Panel
from clients.live.served_face import ServedFace
from clients.live.sound_sources import SoundSource
from clients.outputs.output import Output
from clients.outputs.output_line import OutputLine
from engine.config import EngineConfig
from engine.process.keeper import EngineKeeper
from webrtc.media.playout import Playout

ENDINGS = (signal.SIGINT, signal.SIGTERM)


async def live(
    config: EngineConfig,
    source: SoundSource,
    outputs: list[Output],
    look_ahead_ms: int,
    seed: int,
    wishes: dict[str, Any],
    say: Console,
    metrics: int | None = None,
    badge: bool = False,
) -> LiveFace:
    """Speak until the source has ended, or a signal asks for the end. Returns what was, for its figures.

    ``metrics`` is a port to tell Prometheus of the outputs; ``badge``: pictures say that they are made. Raises
    VivifyError when the engine, the source or an output cannot be had.
    """
    engine = EngineKeeper(config)
    lines = [OutputLine(output) for output in outputs]
    face = LiveFace(engine, source, lines, look_ahead_ms, wishes, badge)

    async def go() -> None:
        try:
            with say.status("starting...") as status:
                await asyncio.to_thread(engine.start, lambda text: status.update(f"{text}..."))
            panel = Panel(say, engine.default_avatar, lambda: figures(face), lines, lambda: face.delay_s)
            await _shown(panel, face.run(None, seed))
        finally:
            await asyncio.to_thread(engine.stop)

    with output_metrics.served(metrics, lines):
        await _until_stopped(go())
    return face


async def out(
    url: str, address: str, outputs: list[Output], token: str | None, say: Console, metrics: int | None = None
) -> ServedFace:
    """Give a served session to outputs until it has ended, or a signal asks for the end. Raises VivifyError."""
    face = ServedFace(url, address, [OutputLine(output) for output in outputs], token)

    def told() -> str:
        return f"{face.leaving.fps} fps, {1000 * face.delay_s:.0f} ms behind the server, {_missed(face.playout)}"

    panel = Panel(say, f"{url} {address}", told, face.lines, lambda: face.delay_s)
    with output_metrics.served(metrics, face.lines):
        await _until_stopped(_shown(panel, face.run()))
    return face


async def _shown(panel: Panel, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, with a panel beside it."""
    beside = asyncio.create_task(panel.run())
    try:
        await work
    finally:
        beside.cancel()


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Do the work; SIGINT and SIGTERM end it in order, which is no failure."""
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    for number in ENDINGS:
        loop.add_signal_handler(number, _end, loop, this)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def _end(loop: asyncio.AbstractEventLoop, live: asyncio.Task[Any]) -> None:
    """Close everything in order; a second signal does not wait for that."""
    for number in ENDINGS:
        loop.remove_signal_handler(number)
    live.cancel()


def figures(face: LiveFace) -> str:
    """One line for people."""
    delay = f"{1000 * face.delay_s:.0f} ms from the microphone"
    return f"{face.leaving.fps} fps, {delay}, {face.source.state}, {_missed(face.playout)}"


def _missed(playout: Playout) -> str:
    return f"{playout.dropped} dropped, {playout.held} held"


def report_json(face: LiveFace | ServedFace) -> str:
    """One line for machines."""
    playout = face.playout
    return json.dumps(
        {
            "seconds": round(face.leaving.seconds, 1),
            "frames": {"shown": face.leaving.shown, "dropped": playout.dropped, "held": playout.held},
            "delay_ms": round(1000 * face.delay_s),
            "outputs": {
                line.output.name: {
                    "given": {kind.__name__.lower(): n for kind, n in line.given.items()},
                    "dropped": {kind.__name__.lower(): n for kind, n in line.dropped.items()},
                    "delay_ms": round(1000 * (face.delay_s + line.output.path_s)),
                    "state": line.state,
                }
                for line in face.lines
            },
        }
    )
