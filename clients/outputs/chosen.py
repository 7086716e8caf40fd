"""Which outputs a command line asks for. What each needs is looked for here, so that a refusal comes before a start."""

from __future__ import annotations

from dataclasses import dataclass, fields

from clients.outputs.output import Output, OutputError


@dataclass(frozen=True, slots=True)
class Streams:
    """Of them, what streams to receivers that hand it on; URLs."""

    rtmp: str | None = None
    srt: str | None = None
    whip: str | None = None
    whip_token: str = ""

    def outputs(self) -> list[Output]:
        """Raises OutputError for one that cannot be had."""
        found: list[Output] = []
        if self.rtmp is not None:
            from clients.outputs.streams.stream_output import Rtmp

            found.append(Rtmp(self.rtmp))
        if self.srt is not None:
            from clients.outputs.streams.stream_output import Srt

            found.append(Srt(self.srt))
        if self.whip is not None:
            from clients.outputs.streams.whip_output import Whip

            found.append(Whip(self.whip, self.whip_token))
        return found


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options of `vivify live` and `vivify out`; None: not asked for."""

    vmc: str | None = None  # HOST[:PORT]
    vmc_shapes: str = "all"
    live_link: str | None = None  # HOST[:PORT]
    live_link_subject: str = "Vivify"
    vtube_studio: str | None = None  # HOST[:PORT]; empty: this machine
    camera: str | None = None  # auto, /dev/videoN, pipewire[:NAME]
    microphone: str | None = None  # its name
    streams: Streams = Streams()

    def outputs(self) -> list[Output]:
        """The outputs, not started yet. Raises OutputError for one that cannot be had, and where there is none."""
        found: list[Output] = []
        if self.vmc is not None:
            from clients.outputs.vtuber.vmc import Vmc

            found.append(Vmc(self.vmc, self.vmc_shapes))
        if self.live_link is not None:
            from clients.outputs.vtuber.live_link import LiveLink

            found.append(LiveLink(self.live_link, self.live_link_subject))
        if self.vtube_studio is not None:
            from clients.outputs.vtuber.vtube_studio import VTubeStudio

            found.append(VTubeStudio(self.vtube_studio))
        found += self._call()
        found += self.streams.outputs()
        if not found:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in choices())
            raise OutputError(f"An output was expected, but none was given: choose any of {options}; --help says more.")
        return found

    def _call(self) -> list[Output]:
        """A camera and a microphone in step with each other, whose names must not be those of others."""
        from clients.outputs.call.arrival import Arrival

        arrival = Arrival(with_microphone=self.microphone is not None)
        found: list[Output] = []
        if self.camera is not None:
            from clients.outputs.call.camera import Camera

            found.append(Camera(self.camera, arrival))
        if self.microphone is not None:
            from clients.outputs.call.virtual_microphone import Microphone

            found.append(Microphone(self.microphone, arrival))
        return found


def choices() -> list[str]:
    """The names of the outputs there are."""
    return [f.name for kind in (Chosen, Streams) for f in fields(kind) if f.default is None]
