"""A real Firefox, as Debian ships it, driven over WebDriver BiDi: its own WebSocket, no driver beside it."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PREFERENCES = {  # nothing of WebRTC's is changed: names in .local for its own addresses are its default
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.blocking_policy": 0,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
START_LIMIT_S = 40


def executable() -> str | None:
    """Debian's firefox-esr, or another Firefox."""
    return next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)


class Firefox:
    """One tab. `go` and `evaluate` wait for their answers."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def begin(self) -> None:
        await self._ask("session.new", {"capabilities": {}})
        tree = await self._ask("browsingContext.getTree", {})
        self._context = tree["contexts"][0]["context"]

    async def go(self, url: str) -> None:
        await self._ask("browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"})

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited, as JSON carries it."""
        asked = {
            "expression": f"(async () => JSON.stringify(await ({expression})))()",
            "target": {"context": self._context},
            "awaitPromise": True,
            "userActivation": True,
        }
        result = await self._ask("script.evaluate", asked)
        if result["type"] != "success":
            raise AssertionError(f"{expression}: {result['exceptionDetails']['text']}")
        text = result["result"].get("value")
        return None if text is None else json.loads(text)

    async def until(self, expression: str, limit_s: float) -> float:
        """Seconds until an expression is true. Raises TimeoutError."""
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(limit_s):
            while not await self.evaluate(expression):  # noqa: ASYNC110  # another process is asked
                await asyncio.sleep(0.05)
        return asyncio.get_running_loop().time() - began

    async def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == number:
                if answer["type"] == "error":
                    raise AssertionError(f"{method}: {answer['message']}")
                result: dict[str, Any] = answer["result"]
                return result


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    """A headless Firefox with a profile of its own; both are gone at the end."""
    program = executable()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="vivify-firefox-", ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        command = [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        process = await asyncio.create_subprocess_exec(
            *command,
            "about:blank",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"HOME": profile, "PATH": "/usr/bin:/bin"},
        )
        try:
            async with asyncio.timeout(START_LIMIT_S):
                address = await _address(process)
            async with connect(f"{address}/session", max_size=1 << 24) as socket:
                tab = Firefox(socket)
                await tab.begin()
                yield tab
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Where its BiDi server listens: it says so on standard error."""
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode(errors="replace"):
        if "WebDriver BiDi listening on " in line:
            return line.rsplit(" ", 1)[1].strip()
    raise AssertionError("Firefox ended before it listened")
