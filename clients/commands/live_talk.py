"""`vivify live`: a microphone in, a face out to cameras, apps and streams, without a browser."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

from rich.console import Console

from clients.live.live_face import LiveFace
from clients.live.panel import Panel
from clients.live.sound_sources import SoundSource
from clients.outputs.output import Output
from clients.outputs.output_line import OutputLine
from engine.config import EngineConfig
from engine.process.keeper import EngineKeeper

ENDINGS = (signal.SIGINT, signal.SIGTERM)


async def live(
    config: EngineConfig,
    source: SoundSource,
    outputs: list[Output],
    look_ahead_ms: int,
    seed: int,
    wishes: dict[str, Any],
    say: Console,
) -> LiveFace:
    """Speak until the source has ended, or a signal asks for the end. Returns what was, for its figures.

    Raises VivifyError when the engine, the source or an output cannot be had.
    """
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    for number in ENDINGS:
        loop.add_signal_handler(number, _end, loop, this)
    engine = EngineKeeper(config)
    lines = [OutputLine(output) for output in outputs]
    face = LiveFace(engine, source, lines, look_ahead_ms, wishes)
    try:
        with say.status("starting...") as status:
            await asyncio.to_thread(engine.start, lambda text: status.update(f"{text}..."))
        panel = loop.create_task(Panel(say, engine.default_avatar, lambda: figures(face), lines).run())
        try:
            await face.run(None, seed)
        finally:
            panel.cancel()
    except asyncio.CancelledError:
        pass  # asked for: the end of a live face is no failure
    finally:
        await asyncio.to_thread(engine.stop)
    return face


def _end(loop: asyncio.AbstractEventLoop, live: asyncio.Task[Any]) -> None:
    """Close everything in order; a second signal does not wait for that."""
    for number in ENDINGS:
        loop.remove_signal_handler(number)
    live.cancel()


def figures(face: LiveFace) -> str:
    """One line for people."""
    delay = f"{1000 * face.delay_s:.0f} ms from the microphone"
    missed = f"{face.playout.dropped} dropped, {face.playout.held} held"
    return f"{face.leaving.fps} fps, {delay}, {face.source.state}, {missed}"


def report_json(face: LiveFace) -> str:
    """One line for machines."""
    playout = face.playout
    return json.dumps(
        {
            "seconds": round(playout.line.read / 48_000, 1),
            "frames": {"shown": playout.shown, "dropped": playout.dropped, "held": playout.held},
            "delay_ms": round(1000 * face.delay_s),
            "outputs": {
                line.output.name: {
                    "given": {kind.__name__.lower(): n for kind, n in line.given.items()},
                    "dropped": {kind.__name__.lower(): n for kind, n in line.dropped.items()},
                    "state": line.state,
                }
                for line in face.lines
            },
        }
    )
