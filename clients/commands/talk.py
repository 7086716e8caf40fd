"""The headless client: a sound file goes to a server as a microphone, the avatar comes back into an MP4.

What is written is aligned by content and by the server's clock, not by when packets happened to come: the voice that
came back is found again in the speech by correlation, and the control channel's ``mapping`` message ties the time
stamps of sound and pictures to one timeline.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.films.film_formats import film_format
from clients.films.film_writer import check_place
from clients.films.manifest import SIGNED, Signing, sign_film
from clients.microphone import Microphone
from clients.recording import Recording, find_speech, write_film
from clients.signalling import Connection, TalkError
from engine.audio.sound_files import SoundFile
from engine.contracts import DEFAULT_LOOK_AHEAD_MS, FloatArray
from engine.latency import percentiles
from webrtc.media.voice_line import VOICE_RATE

LONGEST_SPEECH_S = 300  # pictures wait on disk until the end: 10 MB a second
LEAD_IN_S = 1.5  # silence before the speech: connection, encoder and the server's margin settle
TAIL_S = 1.2  # silence after it, more than any delay the server plays at
FIRST_PICTURE_S = 15.0
STALL_S = 5.0  # without sound and pictures for so long, the connection counts as lost
POLL_S = 0.1

THEIRS = {"consent": "known to the server alone"}

Figures = dict[str, float]


@dataclass(frozen=True)
class TalkReport:
    """What one proof measured. Times in milliseconds; each `Figures` holds p50, p95, p99."""

    out: str
    seconds: float  # of the film
    codec: str
    look_ahead_ms: int
    structural_delay_ms: int  # look-ahead + one frame
    voice_delay_ms: float | None  # what the server's delay line really holds the voice back
    mic_to_picture_ms: Figures  # a sound's capture here -> its picture decoded here
    stages_ms: dict[str, Figures]  # features, motion, render, queue, encode, total (first to last of the engine)
    fps: float  # pictures received a second, over the speech
    frames: dict[str, int]  # received; repeated in the film; dropped and held by the server
    av_offset_ms: dict[str, float]  # at sending and at receiving; positive: the picture came later than its sound
    voice_match: float  # correlation of the voice that came back with the speech, 0..1
    server: dict[str, Any] = field(default_factory=dict)  # its last stats message
    manifest: str = ""  # what became of the film's, in words
    notes: tuple[str, ...] = ()  # what a user should know of the voice


async def talk(
    url: str,
    speech: Path,
    out: Path,
    *,
    look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
    avatar: str | None = None,
    codec: str | None = None,
    token: str | None = None,
    on_progress: Callable[[str], None] | None = None,
    signing: Signing = SIGNED,
) -> TalkReport:
    """Speak ``speech`` into the server at ``url``; write the film to ``out``, its figures to .json beside it.

    ``codec``: 'VP8' or 'H264' offers only that one. Raises VivifyError, in one sentence, for a file that is no
    speech, a server that cannot be reached, is full or refuses, a connection that is lost, or a picture that never
    comes.
    """
    say = on_progress or (lambda text: None)
    film_format(out)  # before anybody is bothered
    check_place(out)
    key, told = signing.key_for(out)
    voice, notes = await asyncio.to_thread(_voice, speech)
    microphone = Microphone(voice, LEAD_IN_S)
    with Recording() as recording:
        connection = Connection(microphone, recording, codec)
        try:
            say(f"connecting to {url}")
            await connection.open(url, look_ahead_ms, avatar, token)
            say(f"speaking {len(voice) / VOICE_RATE:.1f} s")
            await _until_spoken(connection, microphone, recording, LEAD_IN_S + len(voice) / VOICE_RATE + TAIL_S)
        finally:
            await connection.close()
        say(f"writing {out}")
        report = await asyncio.to_thread(_finish, connection, microphone, recording, out, notes, told)
        if key is not None:
            face = connection.hello.get("avatar", "") if connection.hello else ""
            await asyncio.to_thread(sign_film, out, key, {"name": face, **THEIRS}, None)
        return report


def _voice(speech: Path) -> tuple[FloatArray, tuple[str, ...]]:
    """What the microphone hears [n] at 48 kHz, a very quiet voice raised, and what there is to say about it."""
    file = SoundFile(speech, LONGEST_SPEECH_S)
    voice = np.clip(np.float32(file.gain) * np.concatenate(list(file.voice(VOICE_RATE))), -1, 1)
    return voice, tuple(file.notes)


async def _until_spoken(connection: Connection, microphone: Microphone, recording: Recording, seconds: float) -> None:
    """Wait until the microphone has said everything. Raises TalkError when the other side falls silent."""
    began = time.monotonic()
    while microphone.spoken_s < seconds:
        await asyncio.sleep(POLL_S)
        now = time.monotonic()
        if connection.lost is not None:
            raise TalkError(f"The connection was lost {now - began:.1f} s after its start: {connection.lost}")
        if not recording.pictures and now - began > FIRST_PICTURE_S:
            raise TalkError(f"No picture came within {FIRST_PICTURE_S:.0f} s: look at the server's messages.")
        if now - max(recording.last, began) > STALL_S and recording.pictures:
            raise TalkError(f"The connection was lost: nothing came for {STALL_S:.0f} s; is the server still there?")


def _finish(
    connection: Connection,
    microphone: Microphone,
    recording: Recording,
    out: Path,
    notes: tuple[str, ...],
    told: str,
) -> TalkReport:
    """Find the speech in what came, write film and figures."""
    if connection.mapping is None or connection.stats is None:
        raise TalkError("The server sent no mapping or statistics over the control channel: is it a Vivify server?")
    recording.tie(connection.mapping)
    start, match = find_speech(recording, microphone)
    count, repeated = write_film(recording, start, len(microphone.voice), out)
    report = replace(
        _report(connection, microphone, recording, out, start, match, count, repeated), notes=notes, manifest=told
    )
    out.with_suffix(".json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    return report


def _report(
    connection: Connection,
    microphone: Microphone,
    recording: Recording,
    out: Path,
    start: int,
    match: float,
    count: int,
    repeated: int,
) -> TalkReport:
    hello, stats = connection.hello, connection.stats
    assert hello is not None
    assert stats is not None
    length = len(microphone.voice)
    spoken = [p for p in recording.pictures if start <= p.index < start + length]
    latency = [1000 * (p.arrival - microphone.captured(p.index - start)) for p in spoken]
    sent = stats["av_offset_ms"].get("p50")
    return TalkReport(
        out=str(out),
        seconds=round(count * 0.040, 3),
        codec=hello["codec"],
        look_ahead_ms=hello["look_ahead_ms"],
        structural_delay_ms=hello["structural_delay_ms"],
        voice_delay_ms=stats["delay_ms"]["voice"],
        mic_to_picture_ms=percentiles(latency),
        stages_ms=stats["stages_ms"],
        fps=round(len(spoken) * VOICE_RATE / length, 2),
        frames={
            "received": len(recording.pictures),
            "repeated": repeated,
            "dropped": stats["frames"]["dropped"],
            "held": stats["frames"]["held"],
        },
        av_offset_ms={"sent": sent, "received": round(recording.av_offset_ms(), 1)},
        voice_match=round(match, 3),
        server=stats,
    )


def print_card(report: TalkReport, console: Console) -> None:
    """The latency card, for people."""
    card = Table(title=f"{escape(report.out)}: {report.seconds:.1f} s, {report.codec}", title_style="bold")
    card.add_column("")
    for name in ("p50", "p95", "p99"):
        card.add_column(name, justify="right")

    def row(name: str, figures: Figures) -> None:
        card.add_row(name, *(f"{figures[p]:.1f} ms" if p in figures else "-" for p in ("p50", "p95", "p99")))

    for stage in ("features", "motion", "render", "compute", "encode"):
        row(stage, report.stages_ms.get(stage, {}))
    card.add_section()
    row("microphone to picture", report.mic_to_picture_ms)
    console.print(card)
    delay = "-" if report.voice_delay_ms is None else f"{report.voice_delay_ms:.0f} ms"
    offsets = {k: "-" if v is None else f"{v:+.0f} ms" for k, v in report.av_offset_ms.items()}
    console.print(
        f"structural delay {report.structural_delay_ms} ms (look-ahead {report.look_ahead_ms} + frame 40), "
        f"voice held back {delay}\n"
        f"{report.fps:.1f} fps received; frames dropped {report.frames['dropped']}, held {report.frames['held']}, "
        f"repeated in the film {report.frames['repeated']}\n"
        f"picture against sound: {offsets['sent']} sent, {offsets['received']} received; "
        f"voice that came back matches {100 * report.voice_match:.0f} %"
    )
    for note in report.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False)
