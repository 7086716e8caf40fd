"""The `vivify` command. Heavy parts are imported by the command that needs them, so that --help answers at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.commands.mint import token
from clients.commands.verify import verify
from clients.enrol_cli import enroll
from clients.film_cli import progress, render, talk
from clients.live_cli import live, out
from clients.options import (
    AvatarOption,
    BadgeOption,
    CompileOption,
    ConsentOption,
    HeadOption,
    LipsOption,
    MarkOption,
    MayStandAlone,
    MoverOption,
    QualityOption,
    SizeOption,
    VersionOption,
    chosen_mover,
    for_this_python,
    wanted_mark,
)
from clients.sadtalker_cli import MethodOption, PhotoOption, WeightsOption, sadtalker, served
from engine.config import DEFAULT_AVATAR, DEFAULT_QUALITY, LIPS, EngineConfig, checked
from engine.errors import VivifyError

if TYPE_CHECKING:
    from webrtc.server_config import IceServer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
say = Console(stderr=True)  # for people; standard output is for results
DEFAULT_SIZE = 512


IceServerOption = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="A STUN or TURN server, such as turn:turn.example:3478; repeatable."),
]
TurnSecretOption = Annotated[
    str | None, typer.Option(envvar="VIVIFY_TURN_SECRET", help="What the TURN server shares with this one.")
]


@app.callback()
def vivify(version: VersionOption = False) -> None:
    """One photograph and a live voice in, a talking face out."""


app.command()(render)


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Beyond 127.0.0.1 a token is demanded.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    avatar: AvatarOption = DEFAULT_AVATAR,
    size: SizeOption = DEFAULT_SIZE,
    quality: QualityOption = DEFAULT_QUALITY,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where pictures are made.")] = "cpu",
    compiler: CompileOption = None,
    lips: LipsOption = LIPS[0],
    head: HeadOption = None,
    mark: MarkOption = "on",
    mover: MoverOption = None,
    badge: BadgeOption = False,
    require_consent: ConsentOption = False,
    max_sessions: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Sessions at a time, of each node; auto: as many as it measures."),
    ] = None,
    nodes: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Several engines behind one door; auto: one for each two cores."),
    ] = None,
    node_port: Annotated[
        int | None,
        typer.Option(min=1, max=65471, help="Nodes listen from here on; WHIP and WHEP clients are sent there (307)."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="VIVIFY_TOKEN", help="Secret that clients must show: SECRET, or SECRET:watch+figures."),
    ] = None,
    token_key: Annotated[
        str | None, typer.Option(envvar="VIVIFY_TOKEN_KEY", help="What short-lived tokens are signed with.")
    ] = None,
    prove: Annotated[
        Path | None,
        typer.Option(metavar="OUT.mp4", help="First prove itself: the sample speech, over WebRTC, into this file."),
    ] = None,
    once: Annotated[bool, typer.Option(help="With --prove: end after the proof instead of going on serving.")] = False,
    ice_server: IceServerOption = None,
    turn_secret: TurnSecretOption = None,
    origin: Annotated[list[str] | None, typer.Option(help="A foreign page that may use it; repeatable.")] = None,
    root_path: Annotated[str, typer.Option(help="What stands before all its paths behind a proxy: /vivify.")] = "",
    proxy: Annotated[list[str] | None, typer.Option(help="Whose X-Forwarded-For to believe; repeatable.")] = None,
    logs: Annotated[str | None, typer.Option(help="Log what happens to sessions: text or json.")] = None,
    portraits: Annotated[int, typer.Option(min=0, help="Portraits visitors may bring, at a time; 0: none.")] = 8,
    film_seconds: Annotated[
        int, typer.Option(min=0, max=180, help="Of a film that a visitor brings, what is used; 0: photos alone.")
    ] = 180,
    portraits_per_owner: Annotated[int, typer.Option(min=1, help="Of --portraits, what one owner may have.")] = 3,
    openings_per_minute: Annotated[int, typer.Option(help="Sessions and viewers of one token at an address.")] = 120,
    sessions_per_token: Annotated[int | None, typer.Option(help="Of --max-sessions, what one token may have.")] = None,
    idle_minutes: Annotated[float, typer.Option(help="Sessions in which nothing is said for so long end.")] = 30.0,
    drain_seconds: Annotated[float, typer.Option(help="When told to stop, sessions may finish within so long.")] = 20.0,
    method: MethodOption = "geometry",
    weights: WeightsOption = None,
    photo: PhotoOption = None,
) -> None:
    """Serve the avatar to browsers over WebRTC."""
    from clients.commands.serve import places
    from clients.commands.serve import serve as run
    from webrtc.upkeep.listening import loop_factory

    fleet = context.obj
    if fleet is not None and nodes is not None:
        raise VivifyError("A fleet has as many nodes as are needed: give --min-nodes and --max-nodes, not --nodes.")
    where, most = places(nodes if fleet is None else "1", max_sessions, node_port)
    engine = EngineConfig(
        avatar,
        size,
        most,
        checked(quality),
        device,
        wanted_mark(mark),
        chosen_mover(mover, head),
        lips,
        compiler=compiler,
        consent=require_consent,
    )
    engine = served(engine, method, weights, photo, size != DEFAULT_SIZE)
    settings = {
        "ice_servers": _ice_servers(ice_server, turn_secret),
        "origins": tuple(origin or ()),
        "root_path": root_path,
        "proxies": tuple(proxy or ()),
        "logs": logs,
        "portraits": portraits,
        "portraits_per_owner": portraits_per_owner,
        "film_seconds": film_seconds,
        "token_key": token_key,
        "openings_per_minute": openings_per_minute,
        "sessions_per_token": sessions_per_token,
        "idle_minutes": idle_minutes,
        "drain_seconds": drain_seconds,
        "badge": badge,
    }
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        proven = runner.run(run(host, port, engine, token, prove, once, say, where, fleet, **settings))
    raise typer.Exit(0 if proven else 1)


TAKES_MORE = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=TAKES_MORE)
def demo(context: typer.Context) -> None:
    """Prove itself over WebRTC into out/demo.mp4, then serve; takes every option of serve, such as --once."""
    args = ["serve", "--prove", "out/demo.mp4", *context.args]
    typer.main.get_command(app).main(args, prog_name="vivify", standalone_mode=False)


@app.command(context_settings=TAKES_MORE)
def fleet(
    context: typer.Context,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The Ray cluster to run on, or auto; none: started here.")
    ] = None,
    min_nodes: Annotated[int, typer.Option(min=1, max=1000, help="Nodes that are always there.")] = 1,
    max_nodes: Annotated[int | None, typer.Option(min=1, max=1000, help="Nodes at most; as many as fit here.")] = None,
    spare: Annotated[int, typer.Option(min=0, help="Free places below which a node is added.")] = 1,
    node_idle_seconds: Annotated[float, typer.Option(min=0, help="One node too many leaves after so long.")] = 300.0,
    node_cores: Annotated[float, typer.Option(help="Cores of each node.")] = 1.0,
    node_gpus: Annotated[float, typer.Option(help="GPUs of each node, or a part of one: 0.25.")] = 0.0,
) -> None:
    """Serve from nodes on Ray, on one machine or many, as many as are needed; takes every option of serve."""
    from clients.commands.ray_serving import FleetWishes

    wishes = FleetWishes(ray, min_nodes, max_nodes, spare, node_idle_seconds, node_cores, node_gpus)
    args = ["serve", *context.args]
    typer.main.get_command(app).main(args, prog_name="vivify", standalone_mode=False, obj=wishes)


app.command()(talk)
app.command(cls=MayStandAlone)(live)
app.command(cls=MayStandAlone)(out)


app.command()(enroll)


@app.command()
def evaluate(
    video: Annotated[Path | None, typer.Option(metavar="FILM", help="Judge this film of a talking face.")] = None,
    truth: Annotated[Path | None, typer.Option(metavar="FILM", help="The real film it should look like.")] = None,
    inception: Annotated[Path | None, typer.Option(metavar="ONNX", help="Inception's network, for FID.")] = None,
    arcface: Annotated[Path | None, typer.Option(metavar="ONNX", help="ArcFace's network, for CSIM.")] = None,
    syncnet_sound: Annotated[Path | None, typer.Option(metavar="ONNX", help="SyncNet's network for sound...")] = None,
    syncnet_lips: Annotated[Path | None, typer.Option(metavar="ONNX", help="...and the one for lips.")] = None,
    hopenet: Annotated[Path | None, typer.Option(metavar="ONNX", help="Hopenet's features, for diversity.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="speech/aligned and video, held out.")] = None,
    labelled: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Human speech with phone times.")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="Measure on the development part, not on the test part.")] = False,
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights other than the bundled.")] = None,
    avatar: Annotated[Path | None, typer.Option(metavar="FOLDER", help="What a film gave this avatar...")] = None,
    film: Annotated[Path | None, typer.Option(metavar="FILM", help="...on this other film of the person.")] = None,
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Both beside the truth, to be looked at.")] = None,
) -> None:
    """Judge a film with --video (and --truth), an avatar with --avatar and --film; else the motion on held-out speech.

    The last line is JSON.
    """
    if (avatar is None) != (film is None):
        raise VivifyError("An avatar is judged on a film, but one of the two is missing: give --avatar and --film.")
    try:
        if avatar is not None and film is not None:
            from clients.commands.avatar_gain import evaluate_avatar

            with say.status("...") as state:
                evaluate_avatar(avatar, film, sheet, lambda what, _: state.update(f"{what}..."), say)
            return
        from clients.commands import evaluate as evaluating
    except ImportError as missing:
        extras = "evaluate" if avatar or video else "evaluate,train"
        raise VivifyError(
            f"Evaluating needs {missing.name}, which is not installed: pip install 'vivify[{extras}]'."
        ) from missing
    if video is None:
        with say.status("measuring the motion (minutes)...") as status:

            def told(mouth: str, _: object) -> None:
                status.update(f"measured: {mouth}...")

            result = evaluating.evaluate_motion(data, labelled, "dev" if dev else "test", weights, told)
        evaluating.print_motion(result, say)
        return
    from engine.evaluation.film_figures import open_networks

    given = open_networks(inception, arcface, syncnet_sound, syncnet_lips, hopenet)
    with progress() as bar:

        def show(what: str, done: int, total: int) -> None:
            if not bar.tasks or bar.tasks[-1].description != what:
                bar.add_task(what)
            bar.update(bar.tasks[-1].id, completed=done, total=total)

        figures = evaluating.evaluate_film(video, truth, given, show)
    evaluating.print_figures(figures, say)


@app.command()
def doctor(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    network: Annotated[bool, typer.Option("--network", help="Also try which ways lead to other machines.")] = False,
    ice_server: IceServerOption = None,
    turn_secret: TurnSecretOption = None,
) -> None:
    """Look at this machine and say what to do about what is missing."""
    from clients.commands.doctor import check

    findings = check(port)
    if network:
        from clients.commands.network_check import check_network

        findings += check_network(_ice_servers(ice_server, turn_secret))
    table = Table("", "what", "found", "what to do", box=None)
    for f in findings:
        mark = "[green]ok[/]" if f.ok else ("[red]no[/]" if f.needed else "[yellow]--[/]")
        table.add_row(mark, f.what, escape(f.found), escape(for_this_python(f.advice)))
    Console().print(table)
    raise typer.Exit(0 if all(f.ok or not f.needed for f in findings) else 1)


app.command()(token)
app.command()(verify)
app.command()(sadtalker)


def _ice_servers(urls: list[str] | None, secret: str | None) -> tuple[IceServer, ...]:
    from webrtc.server_config import IceServer

    return tuple(IceServer(url, secret=secret if url.startswith("turn") else None) for url in urls or ())


def main() -> None:
    """Run a command; what goes wrong for a reason is told in one sentence on standard error, with exit code 1."""
    try:
        app()
    except VivifyError as error:
        say.print(f"[red]vivify:[/] {escape(for_this_python(str(error)))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
