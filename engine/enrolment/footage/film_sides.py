"""What a film teaches about hair, ears, neck, shoulders and what a turn uncovers; each kept only if it helps."""

from __future__ import annotations

from collections.abc import Callable

from engine.enrolment.footage.film_lessons import Filmed, heads_of, surroundings_of, turned_of
from engine.enrolment.footage.sides.depth_fit import fit_depth
from engine.enrolment.footage.sides.drift_fit import Sides, fit_drift
from engine.enrolment.footage.sides.view_fit import Uncovered, fit_views
from engine.face.kept.film_memory import Drift, View


def learn_sides(filmed: Filmed, told: Callable[[str, float], None]) -> tuple[Drift | None, tuple[View, ...], list[str]]:
    """How surroundings follow the head, views of it turned, and words of both."""
    told("looking around the face", 0.0)
    around, settings = surroundings_of(filmed)
    avatar, known = filmed.renderer.avatar, filmed.renderer.prepared
    sides = fit_drift(avatar, known, around)
    words = [_of_surroundings(sides)]
    drift = sides.drift if sides else None
    told("looking at turned heads", 0.0)
    views: list[View] = []
    if "camera" in avatar.facts:  # else the portrait is a photo of its own, of another day
        if not drift and not all(setting.here for setting in settings):
            heads = fit_depth(avatar, known, heads_of(filmed))
            drift = heads.drift if heads else None
            words += [_of_depth(heads)] if heads else []
        for plan, turned, elsewhere in turned_of(filmed, settings):
            uncovered = fit_views(avatar, known, drift, plan, turned, elsewhere)
            views += uncovered.views
            words.append(_of_a_side(uncovered, elsewhere))
    return drift, tuple(views), words


def _of_surroundings(sides: Sides | None) -> str:
    what = "how hair, ears, neck and shoulders follow the head"
    if sides is None:
        return f"Left to geometry: {what} (too few frames show it)."
    fell = f"error around the face {100 * (sides.after / max(sides.before, 1e-6) - 1):+.0f} %"
    way = "Taken from the film" if sides.drift else "Left to geometry"
    return f"{way}: {what} ({fell} on a stretch of the film not learned from)."


def _of_depth(heads: Sides) -> str:
    fell = f"error there {100 * (heads.after / max(heads.before, 1e-6) - 1):+.0f} %"
    way = "Taken from the film" if heads.drift else "Left to geometry"
    return f"{way}: how deep hair and ears lie ({fell} on stretches of its shots not learned from)."


def _of_a_side(uncovered: Uncovered, elsewhere: bool) -> str:
    which = "right" if uncovered.side < 0 else "left"
    which += ", hair and ears alone, for it was filmed elsewhere" if elsewhere else ""
    fell = f"error there {100 * (uncovered.after / max(uncovered.before, 1e-6) - 1):+.0f} %"
    way = "Taken from the film" if uncovered.views else "Left to the photo"
    return f"{way}: what a turn uncovers on the {which} ({fell} on turned frames not learned from)."
