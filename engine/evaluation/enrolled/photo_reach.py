"""What of a turned head its portrait does not show: there a film can tell what no photo could."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.enrolment.footage.sides.other_rooms import above_chin, texture_points
from engine.enrolment.footage.sides.undoing import on_texture
from engine.enrolment.footage.sides.view_fit import grazing_skin
from engine.enrolment.trackers.person_matte import person_matte
from engine.face import topology as top
from engine.face.panels import MARGIN
from engine.imaging.resampling import read_at
from engine.render.renderer import Renderer

HEAD, CHIN = 0.93, 0.04  # how much a place follows the head, and of the face's height above its chin, to be the head's


class BeyondPhoto:
    """Skin that a portrait sees at a grazing angle, and ears and hair above the chin, in pictures of it turned."""

    def __init__(self, renderer: Renderer) -> None:
        """``renderer`` paints the portrait's photo alone."""
        self._renderer = renderer
        self._skin, self._head = _on_texture(renderer)

    def __call__(self, motion: Motion, real: ByteArray) -> np.ndarray:
        """Where it lies in the picture of ``motion``, and ``real``, the film's [s, s, 3], shows the person [s, s]."""
        renderer, dense = self._renderer, self._renderer.scene.dense
        renderer.render(motion)
        which = renderer.painter.which
        x, y = renderer.painter.places + renderer.avatar.size // MARGIN
        skin = (read_at(self._skin, x, y) > 0.5) & (which < len(dense.skin))
        sheet = (which >= len(dense.skin)) & (which < len(dense.skin) + len(dense.sheet))
        head = (read_at(self._head, x, y) > HEAD) & sheet
        return np.asarray((skin | head) & (person_matte(real) > 0.5))


def _on_texture(renderer: Renderer) -> tuple[FloatArray, FloatArray]:
    """How much of the texture's pixels [h, h] is grazing skin, and how much follows the head, above the chin."""
    avatar, scene = renderer.avatar, renderer.scene
    grazing, oval, beside = grazing_skin(avatar), list(top.OVAL), avatar.around_head
    given = np.zeros((len(grazing) + len(beside) + len(oval), 2), np.float32)
    given[: len(grazing), 0], given[-len(oval) :, 0] = grazing, grazing[oval]
    given[len(grazing) : -len(oval), 1] = beside
    skin, _ = on_texture(renderer, given, scene.dense.skin)
    sheet, _ = on_texture(renderer, given, scene.dense.sheet)
    return skin[..., 0], np.where(above_chin(avatar, texture_points(avatar)) > CHIN, sheet[..., 1], np.float32(0))
