"""`vivify serve`: the service, and on request its proof: a real client that talks to it before anyone else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from clients.commands.talk import print_card, talk
from engine.config import EngineConfig
from engine.errors import VivifyError
from engine.paths import assets
from webrtc.access.tokens import sign
from webrtc.server import serve as run
from webrtc.server_config import ServerConfig

LEAST_FPS = 20.0  # a proof with fewer pictures a second has failed


async def serve(
    host: str,
    port: int,
    engine: EngineConfig,
    token: str | None,
    prove: Path | None,
    once: bool,
    say: Console,
    **settings: Any,
) -> bool:
    """Serve until interrupted; with ``prove``, record the sample speech into that file first. With ``once``, end then.

    ``settings`` are more of `ServerConfig`'s.

    Returns False when the proof ran but its figures are too poor. Raises VivifyError when the service cannot start
    or the proof cannot be had.
    """
    proven = True

    async def after_start(url: str) -> bool:
        nonlocal proven
        status.stop()
        if prove is not None:
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
        await run(config, lambda text: status.update(f"{text}..."), after_start)
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
