"""A microphone that other programs can choose: modules of PulseAudio's, or of PipeWire's under the same names.

A sink that is heard nowhere, and a source that carries what is played into it; browsers hide the sink's own monitor.
Modules belong to the server and outlive who loaded them. So a small watcher, which sees the end of us however it comes,
unloads them; what even that leaves is told by the process written on it, and is unloaded at the next start.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.outputs.call.pulse_player import SoundServerGone
from clients.outputs.output import OutputError

CLIENT = "vivify"
MARK = re.compile(r"vivify\.process='?(\d+):(\d+)")
SINK = re.compile(r"sink_name='?([\w.-]+)")
WATCH = 'read -r line; for module in "$@"; do pactl unload-module "$module"; done'
MISSING = "--microphone needs pulsectl, which is not here: pip install 'vivify[call]'."
NO_SERVER = "--microphone needs PulseAudio or PipeWire (pipewire-pulse) running: 'vivify doctor' names the cure."


@dataclass(frozen=True, slots=True)
class Left:
    """A module whose maker has ended."""

    index: int
    argument: str


class VirtualMicrophone:
    """The sink to play into, and the source that others choose; both are gone after `close`."""

    def __init__(self, label: str) -> None:
        """``label`` is what programs show. Raises OutputError."""
        self.source = re.sub(r"\W+", "_", label).strip("_").lower() or CLIENT
        self.sink = f"{self.source}_voice"
        self._modules: list[int] = []
        self._watcher: subprocess.Popen[bytes] | None = None
        with connected() as server:
            remove(server, left_over(server))
            if self.source in {source.name for source in server.source_list()}:
                raise OutputError(f"A microphone named '{label}' is there already: give --microphone another name.")
            try:
                self._load(server, label)
            except OutputError:
                remove(server, [Left(module, "") for module in self._modules])
                raise
        self._watch()

    def close(self) -> None:
        """Also where the server is gone: it takes its modules along."""
        with contextlib.suppress(OutputError), connected() as server:
            remove(server, [Left(module, "") for module in reversed(self._modules)])
        if self._watcher is not None:
            assert self._watcher.stdin
            self._watcher.kill()
            self._watcher.stdin.close()
            self._watcher.wait()

    def _load(self, server: Any, label: str) -> None:
        quoted = re.sub(r"""['"\\]""", "", label)
        mark = f"vivify.process='{os.getpid()}:{started(os.getpid())}'"
        form = "rate=48000 channels=1 channel_map=mono"
        # norewinds: else PulseAudio plans two seconds ahead for a sink that was idle, and rewinds
        sink = (
            f"sink_name={self.sink} {form} norewinds=1 sink_properties=\"device.description='{quoted} (voice)' {mark}\""
        )
        source = (
            f"master={self.sink}.monitor source_name={self.source} {form} "
            f"source_properties=\"device.description='{quoted}' {mark}\""
        )
        from pulsectl import PulseError

        for module, argument in (("module-null-sink", sink), ("module-remap-source", source)):
            try:
                self._modules.append(server.module_load(module, argument))
            except PulseError as error:
                raise OutputError(f"--microphone: the sound server did not load {module} ({error}).") from None

    def _watch(self) -> None:
        if shutil.which("pactl") is None:
            return
        modules = map(str, reversed(self._modules))
        self._watcher = subprocess.Popen(
            ["sh", "-c", WATCH, "vivify-microphone", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it
        )


@contextlib.contextmanager
def connected() -> Any:
    """A connection to the sound server. Raises OutputError without pulsectl or a server."""
    try:
        import pulsectl
    except (ImportError, OSError):  # OSError: no libpulse
        raise OutputError(MISSING) from None
    try:
        server = pulsectl.Pulse(CLIENT)
    except pulsectl.PulseError:
        raise SoundServerGone(NO_SERVER) from None
    try:
        yield server
    except pulsectl.PulseError as error:
        raise SoundServerGone(f"The sound server refused ({error}).") from None
    finally:
        server.close()


def left_over(server: Any) -> list[Left]:
    """Modules of ours whose process has ended, the source before its sink."""
    heard = {sink.index: sink.name for sink in server.sink_list()}
    playing = {
        heard.get(stream.sink)
        for stream in server.sink_input_list()
        if stream.proplist.get("application.name") == CLIENT
    }
    found: list[Left] = []
    for module in server.module_list():
        argument = module.argument or ""
        mark, sink = MARK.search(argument), SINK.search(argument)
        if mark is None or started(int(mark[1])) == mark[2]:
            continue
        if sink is None or sink[1] not in playing:  # else its maker lives where we cannot see it: in a container
            found.append(Left(module.index, argument))
    return sorted(found, key=lambda left: "sink_name" in left.argument)


def remove(server: Any, modules: list[Left]) -> None:
    """Unload them; one that is gone already is none."""
    from pulsectl import PulseError

    for module in modules:
        with contextlib.suppress(PulseError):
            server.module_unload(module.index)


def started(process: int) -> str:
    """When a process began, in ticks since the machine did, "" if it is none: numbers of processes come again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""
