"""What a portrait's figures must be, each portrait's and the median's, and which of them are not."""

from __future__ import annotations

import numpy as np

FRONTAL = 20.0  # degrees of yaw up to which a closed eye can be judged
# What must hold: (limit for every portrait, limit for the median); None where only the other is asked. ">" is at least.
LIMITS: dict[str, tuple[str, float | None, float | None]] = {
    "psnr_face": (">", 60, 60),
    "psnr_whole": (">", 55, 55),
    # The tracker takes light lower teeth for a lip where a painting gives both one hue. Real people show them
    # (docs/face.md), so films decide about single portraits, and the tracker about the median.
    "jaw_r": (">", 0.90, 0.99),
    "talk_r": (">", 0.70, 0.96),
    "closed": ("<", 0.025, 0.025),
    "blink_r": ("<", -0.93, -0.93),
    "blink_ratio": ("<", 0.45, 0.45),
    "yaw_r": (">", 0.985, 0.985),
    "pitch_r": (">", 0.985, 0.985),
    "steps_back": ("<", 0, 0),
    "roll_gain_off": ("<", 0.05, 0.05),
    "points": ("<", 2.0, 2.0),
    "lips": ("<", 2.5, 2.5),
    "lost": ("<", 0, 0),
    "uncovered": ("<", 0, 0),
    "flipped": ("<", 0, 0),
    "not_finite": ("<", 0, 0),
    "pop": ("<", 1.6, 1.6),
}


def judged(figures: dict[str, float], name: str) -> bool:
    """Whether a limit applies: eyes are judged on frontal faces."""
    return not (name.startswith("blink") and abs(figures["yaw"]) > FRONTAL)


def holds(name: str, value: float, median: bool) -> bool:
    side, each, middle = LIMITS[name]
    limit = middle if median else each
    return limit is None or (value >= limit if side == ">" else value <= limit)


def summarise(found: dict[str, dict[str, float]]) -> dict[str, object]:
    """Medians, worst cases, and what breaks a limit."""
    median, worst, failing = {}, {}, []
    for name, (side, _, _) in LIMITS.items():
        values = {who: figures[name] for who, figures in found.items() if judged(figures, name)}
        if not values:
            continue
        median[name] = round(float(np.median(list(values.values()))), 4)
        worst[name] = round((min if side == ">" else max)(values.values()), 4)
        failing += [f"{who}: {name} {value:.3f}" for who, value in values.items() if not holds(name, value, False)]
        if not holds(name, median[name], True):
            failing.append(f"median: {name} {median[name]:.3f}")
    return {"median": median, "worst": worst, "failing": failing}
