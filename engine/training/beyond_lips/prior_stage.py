"""The prior's stage of `scripts/train_a2v`: its options, its data made or found, its training."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from engine.a2v.prior_network import PAPER, PriorConfig
from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.training.beyond_lips.nonlip_data import Movements, filmed, imagined
from engine.training.beyond_lips.prior_trainer import PriorPlan, PriorTrainer
from engine.training.films.film_tracks import load_tracks
from engine.training.speech.speech_recording import read_mono_16k
from engine.training.splits import part_of

console = Console(stderr=True)


def add_prior(stages: Any) -> None:
    """The stage as a subcommand of argparse's ``stages``."""
    stage = stages.add_parser("prior", help="P_a2nl over our own motion")
    stage.add_argument("--tracks", type=Path, required=True, help="a folder made by scripts/track_videos")
    stage.add_argument("--speech", type=Path, nargs="+", default=[], help="folders of voices to imagine faces under")
    stage.add_argument("--work", type=Path, default=Path("out/a2v/prior"))
    stage.add_argument("--size", choices=("small", "paper"), default="small")
    stage.add_argument("--minutes", type=float, default=120.0, help="of imagined faces")
    stage.add_argument("--filmed", type=float, default=PriorPlan.filmed, help="share of the rows that films give")
    stage.add_argument("--steps", type=int, default=PriorPlan.steps)
    stage.add_argument("--rows", type=int, default=PriorPlan.rows)
    stage.add_argument("--rate", type=float, default=PriorPlan.rate)
    stage.add_argument("--threads", type=int, default=1)
    stage.add_argument("--output", type=Path, default=Path("assets/weights/prior.safetensors"))
    stage.set_defaults(run=train)


def train(arguments: argparse.Namespace) -> None:
    """Train to the plan's end, from where it was stopped; one JSON object on standard output says what came of it."""
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    config = {"small": PriorConfig(), "paper": PAPER}[arguments.size]
    plan = PriorPlan(arguments.steps, arguments.rows, arguments.rate, arguments.filmed)
    trainer = PriorTrainer(config, plan, _prepared(arguments), arguments.work)
    model = trainer.train(lambda text: console.print(text, soft_wrap=True))
    model.save(arguments.output, {"trained": f"{arguments.size}, {trainer.step} steps"})
    told = {"weights": str(arguments.output), "bytes": arguments.output.stat().st_size, "steps": trainer.step}
    print(json.dumps(told | {"seconds": round(time.monotonic() - begun), "losses": trainer.smooth}))


def _voices(folders: list[Path]) -> list[FloatArray]:
    """Every recording of the folders that may be learned from."""
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in {".flac", ".wav"}]
    paths = [path for path in paths if not path.stem[0].isdigit() or part_of(path.stem) == "train"]
    return [read_mono_16k(path) for path in paths]


def _prepared(arguments: argparse.Namespace) -> list[tuple[Movements, float]]:
    """Filmed and imagined movements with their shares of the rows, made or found in the work folder."""
    tracks = load_tracks(arguments.tracks, "train") if (arguments.tracks / "split.json").is_file() else []
    if not tracks:
        raise VivifyError(
            f"Tracked films for training were expected in {arguments.tracks}, but there are none: make some with "
            "scripts/track_videos."
        )
    made: dict[str, Movements] = {}
    for name in ("filmed", "imagined"):
        path = arguments.work / f"{name}.safetensors"
        if not path.exists():
            rng = np.random.default_rng((5, len(name)))
            if name == "filmed":
                filmed(tracks, rng, copies=12).save(path)
            elif spoken := _voices(arguments.speech):
                imagined(spoken, tracks, rng, arguments.minutes).save(path)
            else:
                continue
        made[name] = Movements.load(path)
        console.print(f"{name}: {len(made[name].values) / 1500:.0f} minutes, {len(made[name].shares)} streams")
    share = arguments.filmed if "imagined" in made else 1.0
    return [(made["filmed"], share)] + ([(made["imagined"], 1 - share)] if "imagined" in made else [])
