"""What enrolment understood of a photo, on one picture: mesh, person, and the face doing what it will have to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.contracts import ByteArray, Motion
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.face.morphable_model import face_model
from engine.face.png import write_png
from engine.imaging.resampling import resized, to_bytes
from engine.imaging.shapes import soft_lines
from engine.render.renderer import Renderer

TILE = 320  # pixels a side
FILE = "preview.png"
MESH, RINGS = (90, 200, 255), (255, 210, 70)  # RGB
BEHIND = np.array([40, 60, 120], np.float32)  # what is not the person is tinted with this
LOOPS = (top.LIP_INNER, top.EYE_RIGHT, top.EYE_LEFT, top.OVAL)
YAW = 8.0  # degrees


def save_preview(avatar: Avatar, folder: Path) -> Path:
    """Write ``preview.png`` beside the avatar's files and return its path.

    Raises `VivifyError` when the folder cannot be written.
    """
    path = Path(folder) / FILE
    picture = draw_preview(avatar)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, picture)
    except OSError as problem:
        raise VivifyError(
            f"The preview could not be written to {path} ({problem.strerror}): choose another folder."
        ) from problem
    return path


def draw_preview(avatar: Avatar) -> ByteArray:
    """RGB [2 TILE, 3 TILE, 3]: found face, found person, neutral; open mouth, closed eyes, turned head."""
    renderer = Renderer(avatar, avatar.size)
    looks = avatar.film.looks if avatar.film else {}
    mouth, eyes = (" (film)" if any(name.startswith(part) for name in looks) else "" for part in ("mouth", "eye"))
    sides = " (film)" if avatar.film and avatar.film.drift else ""
    rows = [
        [
            _tile(_with_mesh(avatar), "found face"),
            _tile(_with_matte(avatar), "found person"),
            _tile(renderer.render(_pose()), "neutral"),
        ],
        [
            _tile(renderer.render(_pose(jawOpen=0.4)), f"mouth open{mouth}"),
            _tile(renderer.render(_pose(eyeBlinkLeft=1.0, eyeBlinkRight=1.0)), f"eyes closed{eyes}"),
            _tile(renderer.render(_pose(YAW, jawOpen=0.08)), f"turned{sides}"),
        ],
    ]
    return np.ascontiguousarray(np.vstack([np.hstack(row) for row in rows]))


def _pose(yaw: float = 0.0, **shapes: float) -> Motion:
    beta = np.zeros(len(NAMES), np.float32)
    for name, value in shapes.items():
        beta[INDEX[name]] = value
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
    return Motion(0, beta, turn, np.zeros(3, np.float32))


def _with_mesh(avatar: Avatar) -> ByteArray:
    face, size = avatar.reference, avatar.size
    mesh = 0.25 * soft_lines(list(face[face_model().triangles]), size, size)[..., None]
    rings = soft_lines([face[list(loop)] for loop in LOOPS], size, size, avatar.irises)[..., None]
    out = avatar.portrait + mesh * (np.array(MESH) - avatar.portrait)
    return to_bytes(out + rings * (np.array(RINGS) - out))


def _with_matte(avatar: Avatar) -> ByteArray:
    share = avatar.matte[..., None].astype(np.float32) / 255
    behind = 0.35 * avatar.portrait + 0.65 * BEHIND
    return np.asarray(share * avatar.portrait + (1 - share) * behind + 0.5, np.uint8)


def _tile(picture: ByteArray, text: str) -> ByteArray:
    tile = Image.fromarray(resized(picture, TILE, TILE))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(20)  # read at half its size on the page
    draw.rectangle([0, 0, 15 + draw.textlength(text, font), 29], fill=(20, 20, 24))
    draw.text((8, 3), text, (240, 240, 240), font)
    return np.array(tile)
