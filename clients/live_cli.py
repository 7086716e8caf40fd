"""The options of `vivify live` and `vivify out`: a face, and any set of outputs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from clients.options import (
    AvatarOption,
    BadgeOption,
    ConsentOption,
    ControlOption,
    HeadOption,
    LipsOption,
    LookAheadOption,
    MarkOption,
    MoverOption,
    QualityOption,
    SizeOption,
    chosen_mover,
    wanted_mark,
)
from engine.config import DEFAULT_AVATAR, DEFAULT_QUALITY, LIPS, EngineConfig, checked
from engine.contracts import DEFAULT_LOOK_AHEAD_MS
from engine.motion.controls import read_wishes

VmcOption = Annotated[
    str | None, typer.Option(metavar="HOST[:PORT]", help="Move a VRM avatar by VMC: VSeeFace, Warudo, Unity.")
]
VmcShapesOption = Annotated[str, typer.Option(metavar="all|arkit|vrm0|vrm1", help="Which expressions --vmc sends.")]

LiveLinkOption = Annotated[
    str | None, typer.Option(metavar="HOST[:PORT]", help="Move a MetaHuman by Live Link, as Epic's app does.")
]
LiveLinkSubjectOption = Annotated[str, typer.Option(metavar="NAME", help="The subject's name in Unreal.")]

VTubeStudioOption = Annotated[
    str | None, typer.Option(metavar="[HOST[:PORT]]", help="Move a Live2D model through VTube Studio.")
]

CameraOption = Annotated[
    str | None, typer.Option(metavar="[DEVICE]", help="A camera for calls: /dev/videoN, pipewire, or what there is.")
]
MicrophoneOption = Annotated[
    str | None, typer.Option(metavar="[NAME]", help="A microphone for calls, in step with the camera.")
]

RtmpOption = Annotated[
    str | None, typer.Option(metavar="URL", envvar="VIVIFY_RTMP", help="Stream by RTMP: YouTube, Twitch, a server.")
]
SrtOption = Annotated[
    str | None, typer.Option(metavar="URL", envvar="VIVIFY_SRT", help="Stream by SRT, through the program ffmpeg.")
]
WhipOption = Annotated[str | None, typer.Option(metavar="URL", help="Publish to a WHIP server or SFU.")]
WhipTokenOption = Annotated[str, typer.Option(metavar="TOKEN", envvar="VIVIFY_WHIP_TOKEN", help="Its bearer token.")]
MetricsOption = Annotated[
    int | None,
    typer.Option(metavar="PORT", min=1, max=65535, help="Outputs' figures at http://127.0.0.1:PORT/metrics."),
]


def live(
    avatar: AvatarOption = DEFAULT_AVATAR,
    look_ahead: LookAheadOption = DEFAULT_LOOK_AHEAD_MS,
    size: SizeOption = 512,
    quality: QualityOption = DEFAULT_QUALITY,
    lips: LipsOption = LIPS[0],
    head: HeadOption = None,
    mark: MarkOption = "on",
    mover: MoverOption = None,
    badge: BadgeOption = False,
    require_consent: ConsentOption = False,
    seed: Annotated[int, typer.Option(help="Seed of blinks and head motion.")] = 0,
    control: ControlOption = [],  # noqa: B006  typer reads it, nobody changes it
    microphone_in: Annotated[
        str | None, typer.Option("--input", metavar="NAME", help="A microphone, by number or name, or pulse:NAME.")
    ] = None,
    list_inputs: Annotated[bool, typer.Option("--list-inputs", help="Say which there are, and end.")] = False,
    sound: Annotated[Path | None, typer.Option(metavar="FILE", help="A sound file instead of a microphone.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Read the --sound file over and over.")] = False,
    vmc: VmcOption = None,
    vmc_shapes: VmcShapesOption = "all",
    live_link: LiveLinkOption = None,
    live_link_subject: LiveLinkSubjectOption = "Vivify",
    vtube_studio: VTubeStudioOption = None,
    camera: CameraOption = None,
    microphone: MicrophoneOption = None,
    list_cameras: Annotated[bool, typer.Option("--list-cameras", help="Say which there are, and end.")] = False,
    rtmp: RtmpOption = None,
    srt: SrtOption = None,
    whip: WhipOption = None,
    whip_token: WhipTokenOption = "",
    metrics: MetricsOption = None,
) -> None:
    """A microphone in, a face out: to apps, cameras and streams. Any set of outputs at once."""
    from clients.commands import live_talk
    from clients.live.sound_sources import inputs, open_source
    from clients.outputs.chosen import Chosen, Streams
    from webrtc.upkeep.listening import loop_factory

    if list_inputs:
        for name, what in inputs():
            print(f"{name}\t{what}")
        return
    if list_cameras:
        from clients.outputs.call.camera import listed

        for name, what in listed():
            print(f"{name}\t{what}")
        return
    streams = Streams(rtmp, srt, whip, whip_token)
    chosen = Chosen(vmc, vmc_shapes, live_link, live_link_subject, vtube_studio, camera, microphone, streams)
    outputs = chosen.outputs()
    source = open_source(microphone_in, sound, again)
    who, marked = chosen_mover(mover, head), wanted_mark(mark)
    config = EngineConfig(avatar, size, 1, checked(quality), mark=marked, mover=who, lips=lips, consent=require_consent)
    wishes = read_wishes(control)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        work = live_talk.live(config, source, outputs, look_ahead, seed, wishes, Console(stderr=True), metrics, badge)
        face = runner.run(work)
    print(live_talk.report_json(face))


def out(
    url: Annotated[str, typer.Argument(help="A running server, such as http://127.0.0.1:8080.")],
    session: Annotated[str, typer.Argument(help="Where the session is watched: its address.")],
    vmc: VmcOption = None,
    vmc_shapes: VmcShapesOption = "all",
    live_link: LiveLinkOption = None,
    live_link_subject: LiveLinkSubjectOption = "Vivify",
    vtube_studio: VTubeStudioOption = None,
    camera: CameraOption = None,
    microphone: MicrophoneOption = None,
    rtmp: RtmpOption = None,
    srt: SrtOption = None,
    whip: WhipOption = None,
    whip_token: WhipTokenOption = "",
    metrics: MetricsOption = None,
    token: Annotated[str | None, typer.Option(envvar="VIVIFY_TOKEN", help="The server's secret.")] = None,
) -> None:
    """Hang the same outputs on a session that a server holds; it waits for one that is not there yet."""
    from clients.commands import live_talk
    from clients.outputs.chosen import Chosen, Streams
    from webrtc.upkeep.listening import loop_factory

    streams = Streams(rtmp, srt, whip, whip_token)
    chosen = Chosen(vmc, vmc_shapes, live_link, live_link_subject, vtube_studio, camera, microphone, streams)
    outputs = chosen.outputs()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        face = runner.run(live_talk.out(url, session, outputs, token, Console(stderr=True), metrics))
    print(live_talk.report_json(face))
