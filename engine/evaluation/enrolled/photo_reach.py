"""What of a turned head its portrait does not show: there a film can tell what no photo could."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.enrolment.footage.sides.other_rooms import above_chin, texture_points
from engine.enrolment.footage.sides.undoing import spread
from engine.enrolment.trackers.person_matte import person_matte
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.hidden_side import facing
from engine.face.morphable_model import face_model
from engine.face.panels import MARGIN
from engine.face.surround import smoothstep
from engine.imaging.resampling import read_at
from engine.render.renderer import Renderer

GRAZING = (0.4, 0.7)  # how far a portrait's skin faces us, up to which it is hardly seen, and from which it is
MIDDLE = (3.0, 1.5)  # centimetres beside the midline within which nothing of a face is hidden, and over how many more
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
    grazing, oval, beside = _grazing(avatar), list(top.OVAL), avatar.around_head
    given = np.zeros((len(grazing) + len(beside) + len(oval), 2), np.float32)
    given[: len(grazing), 0], given[-len(oval) :, 0] = grazing, grazing[oval]
    given[len(grazing) : -len(oval), 1] = beside
    values = np.concatenate([given, scene.dense(given)])
    places = np.pad(scene.maps[: len(values), :2], ((0, 0), (0, 1)))
    skin, _ = spread(renderer, places, values, scene.dense.skin)
    sheet, _ = spread(renderer, places, values, scene.dense.sheet)
    return skin[..., 0], np.where(above_chin(avatar, texture_points(avatar)) > CHIN, sheet[..., 1], np.float32(0))


def _grazing(avatar: Avatar) -> FloatArray:
    model = face_model()
    toward = -facing(avatar.reference, model.triangles)[:, 2]
    aside = smoothstep((np.abs(model.neutral[:, 0]) - MIDDLE[0]) / MIDDLE[1])
    return np.asarray((1 - smoothstep((toward - GRAZING[0]) / (GRAZING[1] - GRAZING[0]))) * aside, np.float32)
