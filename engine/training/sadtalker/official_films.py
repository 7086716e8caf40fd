"""Films in the official coefficients: what a 3DMM network said of them, beside our tracks, one file a shot.

`NAME.safetensors` stands in a folder for the shot NAME of scripts/track_videos and holds `expression` [T, 64] and
`pose` [T, 6]; `lips` [T, 64], where somebody let Wav2Lip speak over a still frame and read that, are the lip-only
coefficients. Without `lips` the real expression is distilled, which the paper finds worse (its Table 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.training.films.film_tracks import Track
from engine.training.sadtalker.expression_clips import ExpressionClips
from engine.training.sadtalker.head_clips import HeadClips
from engine.training.sadtalker.heard_streams import listened

EXPRESSION, POSE = 64, 6


@dataclass(frozen=True)
class OfficialFilm:
    """One shot of T frames."""

    track: Track
    expression: FloatArray  # [T, 64]
    lips: FloatArray  # [T, 64]
    pose: FloatArray  # [T, 6]


def official_films(tracks: list[Track], folder: Path) -> list[OfficialFilm]:
    """The shots whose coefficients are in ``folder``. Raises VivifyError for odd files, or where there are none."""
    found = []
    for track in tracks:
        path = folder / f"{track.name}.safetensors"
        if not path.exists():
            continue
        frames = len(track.pose)
        try:
            given = load_file(str(path))
            for key, width in (("expression", EXPRESSION), ("pose", POSE), ("lips", EXPRESSION)):
                if key in given and given[key].shape != (frames, width):
                    raise ValueError(f"{key} is {given[key].shape} of {frames} frames")
            expression, pose = given["expression"], given["pose"]
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise VivifyError(
                f"{path} was expected to hold expression [{frames}, 64] and pose [{frames}, 6], but does not "
                f"({str(error).splitlines()[0]}): write it anew."
            ) from error
        found.append(OfficialFilm(track, expression, given.get("lips", expression), pose))
    if not found:
        raise VivifyError(f"Coefficients of the tracked shots were expected in {folder}, but there are none of any.")
    return found


def official_expressions(films: list[OfficialFilm]) -> ExpressionClips:
    """ExpNet's clips of them."""
    ends = np.cumsum([len(film.pose) for film in films])
    whose = np.stack([ends - [len(film.pose) for film in films], ends], 1)
    return ExpressionClips(
        listened([film.track.samples for film in films]),
        np.concatenate([film.lips for film in films]).astype(np.float16),
        np.ones(int(ends[-1]), bool),
        np.concatenate([film.expression for film in films]).astype(np.float16),
        whose,
    )


def official_heads(films: list[OfficialFilm], styles: dict[str, int]) -> HeadClips:
    """PoseVAE's clips of them."""
    numbers = np.array([styles[film.track.speaker] for film in films])
    poses = np.concatenate([film.pose for film in films]).astype(np.float32)
    return HeadClips(listened([film.track.samples for film in films]), poses, numbers)
