"""What of a head may be taken from shots in other rooms, clothes and light: its ears and hair.

Collars, walls and light are those of the other room. So what a frame shows counts where it shows the person, above the
jaw and beside the face, and all that changes slowly in it is brought to the portrait's.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.enrolment.footage.sides.undoing import on_texture
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.panels import MARGIN
from engine.face.surround import smoothstep
from engine.imaging.resampling import read_at
from engine.imaging.smoothing import blur
from engine.render.renderer import Renderer

JAW = (0.25, 0.37)  # of the face's height above the chin, up to which nothing is taken, and from which all may be
BESIDE = 0.10  # of the face's width: over so much beside the face, whose cheek has its own light, ears and hair fade in
SLOWLY = 0.12  # of the portrait's side: colours that change over more than that are light
COARSE = 4  # pixels for one, where colours change slowly


def above_chin(avatar: Avatar, points: FloatArray) -> FloatArray:
    """How far ``points`` [..., 2] of the portrait lie above the chin, in heights of the face [...]."""
    chin = avatar.reference[top.CHIN, :2]
    up = avatar.reference[top.FOREHEAD, :2] - chin
    return np.asarray((points - chin) @ up / max(float(up @ up), 1e-6), np.float32)


def texture_points(avatar: Avatar) -> FloatArray:
    """Where the texture's pixels lie in the portrait [h, h, 2]."""
    margin = avatar.size // MARGIN
    line = np.arange(-margin, avatar.size + margin, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), -1)


def of_head(renderer: Renderer) -> FloatArray:
    """How much of the texture's pixels [h, h] is a head's beside its face, 0 to 1."""
    scene, avatar = renderer.scene, renderer.avatar
    face = avatar.reference[list(top.OVAL), :2]
    width = float(np.linalg.norm(avatar.reference[top.EAR_RIGHT] - avatar.reference[top.EAR_LEFT]))
    away = np.linalg.norm(avatar.around[:, None, :2] - face, axis=2).min(1)
    given = np.zeros((scene.base, 1), np.float32)
    given[top.VERTICES : top.VERTICES + len(away), 0] = smoothstep(away / (BESIDE * width))
    sheet, there = on_texture(renderer, given, scene.dense.sheet)
    above = smoothstep((above_chin(avatar, texture_points(avatar)) - JAW[0]) / (JAW[1] - JAW[0]))
    return np.asarray(np.where(there, sheet[..., 0], 0) * above, np.float32)


def own_light(avatar: Avatar, beside: FloatArray, usual: np.ndarray) -> FloatArray:
    """What changes slowly in a difference from the portrait's texture [h, h, 3], where both show the person.

    ``usual`` [h, h] says where the difference is known.
    """
    person = np.pad(avatar.matte > 127, avatar.size // MARGIN, mode="edge")
    weight = ((usual > 0) & person).astype(np.float32)[..., None]
    small = np.concatenate([weight * beside, weight], axis=2)[::COARSE, ::COARSE]
    small = blur(small, SLOWLY * avatar.size / COARSE)
    light = small[..., :3] / np.maximum(small[..., 3:], 1e-2)
    y, x = np.mgrid[: len(beside), : len(beside)] / COARSE
    return read_at(light.astype(np.float32), x, y)
