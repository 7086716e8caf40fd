"""The table of figures for facial motion weights: `evaluate`.

Speech with phone times, the same speech through bad lines, sounds that are not speech, filmed speakers; every mouth
beside a jaw driven by loudness and beside the teacher, who is told the phones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.motion.facial.facial_motion import FacialMotion
from engine.paths import assets
from engine.training.expnet_mouth import expnet_mouth
from engine.training.lips.evaluation_sets import BAD_LINES, human_sets, not_speech_sounds, synthesised
from engine.training.lips.lip_dataset import Recording
from engine.training.lips.lip_films import agreement, filmed_lips, films_of
from engine.training.lips.lip_score import count, gap, interval, rates
from engine.training.lips.teacher import articulators
from engine.training.speech.speech_recording import DOUBT, Phone, load_recording
from engine.training.splits import Part

EXPNET = (2, 3)  # look-aheads in frames: the usual one, and the paper's
Mouth = Callable[[FloatArray], FloatArray]  # samples [n] -> articulators [n // 640, 9], aligned with the sound
Figures = dict[str, dict[str, object]]


def mouth_of(model: FacialMotion, look_ahead: int, use_past: bool = True) -> Mouth:
    """The model running freely, its output moved to the frames it belongs to."""

    def run(samples: FloatArray) -> FloatArray:
        frames = len(samples) // SAMPLES_PER_FRAME
        padded = np.concatenate([samples[: frames * SAMPLES_PER_FRAME], np.zeros(look_ahead * SAMPLES_PER_FRAME)])
        with torch.inference_mode():
            features = model.encode(torch.from_numpy(padded.astype(np.float32))[None])
            ahead = torch.tensor([look_ahead])
            y = model.generator.articulate(features, ahead, use_past=use_past)[0, look_ahead:]
        return np.asarray(y.clamp(0, 1).numpy(), np.float32)

    return run


def loud_jaw(samples: FloatArray) -> FloatArray:
    """The baseline to beat: a jaw that opens as far as the sound is loud."""
    frames = len(samples) // SAMPLES_PER_FRAME
    level = np.sqrt((samples[: frames * SAMPLES_PER_FRAME].reshape(frames, -1) ** 2).mean(1) + 1e-10)
    out = np.zeros((frames, 9), np.float32)
    out[:, 0] = np.clip(level / (np.percentile(level, 95) + 1e-6), 0, 1.2) * 0.6
    return out


def _scores(mouth: Mouth | None, sets: dict[str, list[Recording]]) -> Figures:
    """Figures by set, and of all human sets pooled with the 95 % interval of closure; the teacher without a mouth."""
    rows = {
        name: [
            count(mouth(samples) if mouth else articulators(_known(phones), len(samples) // SAMPLES_PER_FRAME), phones)
            for samples, phones in recordings
        ]
        for name, recordings in sets.items()
    }
    figures: Figures = {name: dict(rates(found)) for name, found in rows.items()}
    human = [row for name, found in rows.items() if name not in ("bundled", "synthetic") for row in found]
    if human:
        figures["human, pooled"] = rates(human) | {"closure_95": interval(human)}
    return figures


def _known(phones: list[Phone]) -> list[Phone]:
    return [(name.removeprefix(DOUBT), start, end) for name, start, end in phones]


def _robustness(mouth: Mouth, sets: dict[str, list[Recording]]) -> dict[str, object]:
    """Closure of the human sets through bad lines."""
    human = [one for name, found in sets.items() if name not in ("bundled", "synthetic") for one in found]
    return {
        line: rates([count(mouth(spoil(samples)), phones) for samples, phones in human]) if human else {}
        for line, spoil in BAD_LINES.items()
    }


def _stillness(mouth: Mouth, opening: float) -> dict[str, object]:
    """Spread of the gap on each sound that is not speech, as a part of ``opening``."""
    return {kind: round(float(gap(mouth(x)).std()) / opening, 4) for kind, x in not_speech_sounds().items()}


def evaluate(
    weights: Path | None = None,
    data: Path | None = None,
    labelled: Path | None = None,
    part: Part = "test",
    look_aheads: tuple[int, ...] = (0, 1, 2, 3),
    spoken: int = 24,
    cache: Path | None = None,
    tell: Callable[[str, Figures], None] | None = None,
) -> dict[str, Figures]:
    """Measure facial motion weights; the bundled ones unless told others.

    ``data`` is a folder with speech/aligned and video (GRID clips, a newsreader), ``labelled`` one made by
    `engine.training.speech.forced_alignment` with its dev and test folders; without them the bundled and ``spoken``
    synthesised sentences remain. ``cache`` keeps tracked films. ``tell`` is called with each mouth's figures as they
    come. The speech of ``part`` "test" was never trained on, nor were constants chosen with it. Raises VivifyError for
    weights that cannot be used, or where a synthesiser or tracker is missing.
    """
    model = FacialMotion.load(weights or assets() / "weights" / "facial.safetensors")
    sets = {"bundled": [load_recording(assets() / "speech")], "synthetic": synthesised(part, spoken)}
    sets |= human_sets(part, data, labelled)
    films = (
        {name: [filmed_lips(path, cache) for path in paths] for name, paths in films_of(data, part).items()}
        if data
        else {}
    )
    mouths: dict[str, Mouth | None] = {"teacher": None, "loudness": loud_jaw}
    mouths |= {f"{40 * ahead} ms": mouth_of(model, ahead) for ahead in look_aheads}
    mouths["80 ms, no past"] = mouth_of(model, 2, use_past=False)
    mouths |= {f"ExpNet, {40 * ahead} ms": expnet_mouth(ahead) for ahead in EXPNET}
    result: dict[str, Figures] = {}
    for name, mouth in mouths.items():
        figures = _scores(mouth, sets)
        if mouth:
            opening = float(np.percentile(gap(mouth(sets["bundled"][0][0])), 95))
            figures["still"] = _stillness(mouth, opening)
            figures |= {
                f"film: {film}": dict(agreement(seen, [mouth(one.samples) for one in seen]))
                for film, seen in films.items()
            }
        if mouth and name == "80 ms":
            figures["bad lines"] = _robustness(mouth, sets)
        result[name] = figures
        if tell:
            tell(name, figures)
    return result
