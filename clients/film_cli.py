"""The options of `vivify render` and `vivify talk`, which make films."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
    NoManifestOption,
    QualityOption,
    SignOption,
    chosen_mover,
    wanted_mark,
)
from clients.sadtalker_cli import (
    BlinkOption,
    FollowOption,
    FullOption,
    MethodOption,
    PhotoConsentOption,
    PhotoOption,
    ScaleOption,
    StillOption,
    StyleOption,
    WeightsOption,
    is_sadtalker,
    refuse_without,
    weights_and_photo,
)
from engine.config import DEFAULT_AVATAR, DEFAULT_QUALITY, LIPS, checked
from engine.contracts import DEFAULT_LOOK_AHEAD_MS
from engine.errors import VivifyError
from engine.motion.controls import read_wishes
from engine.motion.prior.keys import read_keys

say = Console(stderr=True)  # for people; standard output is for results

SpeechArgument = Annotated[Path, typer.Argument(metavar="SPEECH", help="Any sound file, or a film with sound.")]
OutOption = Annotated[
    Path, typer.Option("-o", "--out", metavar="OUT.mp4", help="The film to write: .mp4, .m4v, .mov, .mkv or .webm.")
]
FilmSizeOption = Annotated[int, typer.Option("--size", help="Side of the picture in pixels: 256, 512, 768 or 1080.")]


def render(
    speech: SpeechArgument,
    out: OutOption,
    avatar: AvatarOption = DEFAULT_AVATAR,
    look_ahead: LookAheadOption = DEFAULT_LOOK_AHEAD_MS,
    size: FilmSizeOption = 512,
    quality: QualityOption = DEFAULT_QUALITY,
    lips: LipsOption = LIPS[0],
    head: HeadOption = None,
    alpha: Annotated[
        bool, typer.Option(help="A transparent background: into .webm (VP9) or .mov (ProRes 4444).")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of blinks and head motion: the same seed, the same film.")] = 0,
    mark: MarkOption = "on",
    badge: BadgeOption = False,
    require_consent: ConsentOption = False,
    sign: SignOption = None,
    no_manifest: NoManifestOption = False,
    control: ControlOption = [],  # noqa: B006  typer reads it, nobody changes it
    mover: MoverOption = None,
    keys: Annotated[
        Path | None, typer.Option(help="A JSON file of looks, turns and brows at given times; for the mover prior.")
    ] = None,
    method: MethodOption = "geometry",
    weights: WeightsOption = None,
    photo: PhotoOption = None,
    style: StyleOption = 0,
    expression_scale: ScaleOption = 1.0,
    still: StillOption = False,
    full: FullOption = False,
    pose_from: FollowOption = None,
    blink_from: BlinkOption = None,
    consent: PhotoConsentOption = None,
) -> None:
    """Speak a sound file into a film, without a network."""
    from clients.commands import render_film as rendering
    from clients.films.manifest import Signing

    signing = Signing(not no_manifest, sign)
    if is_sadtalker(method):
        from clients.commands import sadtalker_film

        if alpha or control or keys:
            raise VivifyError("SadTalker has no matte and takes no wishes: leave out --alpha, --control and --keys.")
        given = weights_and_photo(weights, photo)
        wished = sadtalker_film.SadTalkerWishes(
            *given, style, expression_scale, still, full, pose_from, blink_from, consent or ""
        )
    elif consent is not None:
        raise VivifyError("--consent is for SadTalker's photo: an avatar's is filled in by vivify enroll --consent.")
    else:
        scale = None if expression_scale == 1 else expression_scale
        refuse_without(
            {"--weights": weights, "--photo": photo, "--style": style or None, "--expression-scale": scale}
            | {"--still": still, "--full": full, "--pose-from": pose_from, "--blink-from": blink_from}
        )
    with progress() as bar:
        task = bar.add_task("listening to the sound", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, description="rendering", completed=done, total=total)

        if is_sadtalker(method):
            report = sadtalker_film.render(
                speech, out, wished, seed, show, wanted_mark(mark), signing, badge, require_consent
            )
        else:
            report = rendering.render(
                speech,
                out,
                avatar,
                look_ahead,
                size,
                seed,
                show,
                read_wishes(control),
                checked(quality),
                alpha,
                wanted_mark(mark),
                signing,
                chosen_mover(mover, head),
                read_keys(keys) if keys else [],
                lips,
                badge,
                require_consent,
            )
    for note in report.notes:
        say.print(f"[yellow]note:[/] {escape(note)}", highlight=False)
    say.print(f"C2PA manifest {escape(report.manifest)}", highlight=False, soft_wrap=True)
    say.print(
        f"[green]{escape(str(out))}[/]: {report.frames} frames, {report.seconds:.1f} s, {report.speed:.1f} x real time"
    )
    print(rendering.report_json(report))


def talk(
    url: Annotated[str, typer.Argument(help="A running server, such as http://127.0.0.1:8080.")],
    speech: SpeechArgument,
    out: OutOption,
    look_ahead: LookAheadOption = DEFAULT_LOOK_AHEAD_MS,
    avatar: Annotated[str | None, typer.Option(help="One of the server's avatars.")] = None,
    codec: Annotated[str | None, typer.Option(help="VP8 or H264; left out, the server chooses.")] = None,
    sign: SignOption = None,
    no_manifest: NoManifestOption = False,
    token: Annotated[str | None, typer.Option(envvar="VIVIFY_TOKEN", help="The server's secret.")] = None,
) -> None:
    """Send a sound file as a microphone to a server; record the avatar that comes back."""
    from clients.commands import talk as talking
    from clients.films.manifest import Signing

    with say.status("connecting...") as status:

        def show(text: str) -> None:
            status.update(f"{text}...")

        report = asyncio.run(
            talking.talk(
                url,
                speech,
                out,
                look_ahead_ms=look_ahead,
                avatar=avatar,
                codec=codec,
                token=token,
                on_progress=show,
                signing=Signing(not no_manifest, sign),
            )
        )
    talking.print_card(report, say)


def progress() -> Progress:
    """How far a command is, for people."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=say
    )
