"""Enrolment for real: the detector runs on real pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.enrolment.drawn_eyes import reach_outlines
from engine.enrolment.enroll import enroll, enroll_picture, judge_pose
from engine.enrolment.landmarks import choose
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.morphable_model import face_model
from engine.face.panels import measure_tones
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    data = pytest.importorskip("skimage.data", reason="needs the test extra")
    return np.asarray(data.astronaut())


def test_the_bundled_avatar_is_what_enrolment_makes(photo: np.ndarray, astronaut: Avatar, tmp_path: Path) -> None:
    made, warnings = enroll_picture(photo, 512, {"name": "again"})
    assert any("soft" in w for w in warnings)
    assert np.abs(made.reference - astronaut.reference).mean() < 0.5
    assert np.abs(made.portrait.astype(int) - astronaut.portrait.astype(int)).mean() < 2
    assert made.smile > 0.45, "she smiles with an open mouth"
    assert len(made.teeth) > 10, "and shows her teeth"
    made.save(tmp_path / "a")
    assert Avatar.load(tmp_path / "a").name == "again"


@pytest.mark.parametrize("size", [256, 1080])
def test_other_sizes(photo: np.ndarray, size: int) -> None:
    made, _ = enroll_picture(photo, size, {})
    assert made.portrait.shape == (size, size, 3)
    assert Renderer(made, size).render(still()).shape == (size, size, 3)
    inner = made.neutral[list(top.LIP_INNER_UPPER)] - made.neutral[list(top.LIP_INNER_LOWER)]
    assert np.abs(inner).max() < 1e-3, "the neutral mouth is closed"


def test_a_small_face_off_centre(photo: np.ndarray) -> None:
    wide = np.full((900, 1400, 3), 127, np.uint8)
    wide[300:812, 40:552] = photo
    made, _ = enroll_picture(wide, 256, {})
    assert 80 < made.reference[top.CHIN, 1] - made.reference[top.FOREHEAD, 1] < 140


def test_a_face_lost_in_a_large_photo_that_lies_on_its_side(photo: np.ndarray) -> None:
    from skimage.data import coffee

    wide = np.array(Image.fromarray(coffee()).resize((3000, 2000)))
    wide[1200:1712, 2300:2812] = photo
    made, warnings = enroll_picture(np.ascontiguousarray(np.rot90(wide)), 256, {})
    assert any("lay on its side" in w for w in warnings)
    up = made.reference[top.FOREHEAD] - made.reference[top.CHIN]
    assert up[1] < -80
    assert abs(up[0]) < 15


@pytest.mark.parametrize("degrees", [30, 60, 150, 210])
def test_a_head_at_any_angle(photo: np.ndarray, degrees: int) -> None:
    turned = Image.fromarray(photo).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(90, 90, 90))
    made, _ = enroll_picture(np.asarray(turned), 256, {})
    up = made.reference[top.FOREHEAD] - made.reference[top.CHIN]
    assert up[1] < -80
    assert abs(np.degrees(np.arctan2(up[0], -up[1]))) <= 31, "upright, or tilted as much as a head may be"


def test_a_cup_is_no_face() -> None:
    """Both nets see one in it at first."""
    from skimage.data import coffee

    with pytest.raises(VivifyError, match="No face was found"):
        enroll_picture(coffee(), 256, {})


def test_a_face_from_the_side_is_told() -> None:
    model = face_model()
    for yaw, refused in ((30, False), (57, True)):
        cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
        face = (10 * model.neutral @ turn.T + 256).astype(np.float32)
        if refused:
            with pytest.raises(VivifyError, match="60 degrees or more"):
                judge_pose(face, model)
        else:
            assert "30 degrees to the side" in judge_pose(face, model)[0]


def test_a_profile_without_landmarks_is_told(shared: Path) -> None:
    """A scanned head, drawn from the side: the detector sees a face, the landmark net none."""
    for yaw in (70, 90):
        with pytest.raises(VivifyError, match="60 degrees or more"):
            enroll_picture(draw_head(shared / "face3d" / "ict_facekit_light.npz", yaw), 256, {})


def draw_head(path: Path, yaw: float) -> np.ndarray:
    """The scan's neutral face in plain shading, turned to the side: RGB [512, 512, 3]."""
    scan = np.load(path)
    points, faces = scan["neutral"].astype(float), scan["faces"][:11144]
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    points = (points - points[:9409].mean(0)) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    corners = np.where(faces < 0, faces[:, 2:3], faces)
    a, b, c = (points[corners[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    light = 0.35 + 0.65 * np.clip(normals @ [0.3, 0.4, 0.86], 0, None)
    picture = Image.new("RGB", (1024, 1024), (150, 150, 150))
    draw = ImageDraw.Draw(picture)
    for k in np.argsort(points[corners, 2].mean(1)):
        if normals[k, 2] > -0.05:
            place = (points[corners[k], :2] * [28, -28] + 512).reshape(-1).tolist()
            draw.polygon(place, fill=tuple(int(light[k] * v) for v in (200, 150, 125)))
    return np.array(picture.reduce(2))


@pytest.mark.parametrize(("quarters", "words"), [(1, "lay on its side"), (2, "stood on its head"), (3, "on its side")])
def test_a_photo_of_any_orientation_is_turned_upright(photo: np.ndarray, quarters: int, words: str) -> None:
    upright, _ = enroll_picture(photo, 256, {})
    made, warnings = enroll_picture(np.ascontiguousarray(np.rot90(photo, quarters)), 256, {})
    assert any(words in w and "turned upright" in w for w in warnings)
    assert np.abs(made.reference[:, :2] - upright.reference[:, :2]).mean() < 2


def test_a_tilted_head_is_turned_upright(photo: np.ndarray) -> None:
    tilted = np.asarray(Image.fromarray(photo).rotate(40, Image.Resampling.BICUBIC))
    made, warnings = enroll_picture(tilted, 256, {})
    assert any("tilted by" in w for w in warnings)
    up = made.reference[top.FOREHEAD] - made.reference[top.CHIN]
    assert up[1] < -80
    assert abs(up[0]) < 15


def test_closed_eyes_are_told(photo: np.ndarray, astronaut: Avatar) -> None:
    from engine.face.blendshapes import INDEX
    from engine.render.renderer import Renderer, still

    blinking = still()
    blinking.blendshapes[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 1.0
    _, warnings = enroll_picture(Renderer(astronaut).render(blinking), 256, {})
    assert any("open eyes" in w for w in warnings)
    _, warnings = enroll_picture(photo, 256, {})
    assert not any("open eyes" in w for w in warnings)


def test_a_photo_that_ends_close_to_the_face(photo: np.ndarray) -> None:
    made, warnings = enroll_picture(np.ascontiguousarray(photo[40:190, 150:290]), 256, {})
    assert any("surroundings are invented" in w for w in warnings)
    height = made.reference[top.CHIN, 1] - made.reference[top.FOREHEAD, 1]
    assert 0.5 * 256 < height < 0.7 * 256, "the face fills more of the square"


def test_a_drawn_character_speaks() -> None:
    from engine.face.blendshapes import INDEX
    from engine.render.renderer import Renderer, still

    canvas = Image.new("RGB", (2048, 2048), (180, 210, 240))
    draw = ImageDraw.Draw(canvas)

    def disc(x: int, y: int, wide: int, tall: int, ink: tuple[int, int, int], start: int = 0, end: int = 360) -> None:
        draw.chord([4 * (x - wide), 4 * (y - tall), 4 * (x + wide) + 3, 4 * (y + tall) + 3], start, end, fill=ink)

    disc(256, 260, 110, 140, (250, 205, 170))
    disc(256, 170, 125, 80, (90, 50, 20), 180, 360)
    for x in (210, 302):
        disc(x, 212, 28, 8, (80, 45, 20), 190, 350)
        disc(x, 240, 27, 19, (30, 20, 10), 180)
        disc(x, 240, 24, 16, (255, 255, 255))
        disc(x, 240, 10, 10, (40, 90, 160))
        disc(x, 240, 5, 5, (0, 0, 0))
    draw.line([4 * v for v in (256, 245, 248, 290, 264, 292)], (210, 150, 120), 12)
    disc(256, 335, 38, 12, (200, 80, 80), 0, 180)
    made, _ = enroll_picture(np.array(canvas.reduce(4)), 256, {})
    x, y = made.reference[[13, 14], :2].mean(0).astype(int)
    moment = still()
    moment.blendshapes[INDEX["jawOpen"]] = 0.4
    renderer = Renderer(made, 256)
    assert renderer.render(moment)[y : y + 12, x].min() < 90, "the inside of a mouth is dark"
    moment.blendshapes[:] = 0
    open_eyes = renderer.render(moment)
    assert np.square(open_eyes - made.portrait.astype(float)).mean() < 0.2, "exact to 55 dB"
    moment.blendshapes[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 1
    closed = renderer.render(moment)
    for middle in made.irises[:, :2].astype(int):
        box = np.s_[middle[1] - 12 : middle[1] + 12, middle[0] - 15 : middle[0] + 15]
        paper = [(np.asarray(picture[box]).min(-1) > 225).sum() for picture in (open_eyes, closed)]
        assert paper[1] < 0.15 * paper[0], "lids reach from outline to outline, so no white is left"


def test_dark_lid_lines_are_no_outlines(astronaut: Avatar) -> None:
    """Make-up begins at the lid; a drawn eye has white between what the tracker takes for its lid and the ink."""
    painted = Image.fromarray(astronaut.portrait)
    for row in (top.EYE_RIGHT_UPPER, top.EYE_LEFT_UPPER):
        line = astronaut.reference[list(row), :2] - np.array([0, 2])
        ImageDraw.Draw(painted).line([tuple(point) for point in line], (10, 8, 10), 4)
    face = reach_outlines(astronaut.reference, np.array(painted), measure_tones(np.array(painted), astronaut.reference))
    assert np.array_equal(face, astronaut.reference)


@pytest.mark.parametrize("name", ["makeup.png"])
def test_made_up_eyes_are_as_wide_as_they_are(shared: Path, astronaut: Avatar, name: str) -> None:
    path = shared.parent / "faults" / "inputs" / name
    if not path.is_file():
        pytest.skip("the made-up photo is not beside this checkout")
    made, _ = enroll(path)
    for corners in ((33, 133), (362, 263)):
        wide, bare = (np.ptp(avatar.reference[list(corners), 0]) for avatar in (made, astronaut))
        assert abs(wide / bare - 1) < 0.1


def test_no_face(photo: np.ndarray) -> None:
    with pytest.raises(VivifyError, match="No face was found"):
        enroll_picture(np.zeros((300, 300, 3), np.uint8), 512, {})


def test_several_faces(photo: np.ndarray) -> None:
    face = photo[0:260, 100:360]
    with pytest.raises(VivifyError, match="faces of similar size"):
        enroll_picture(np.hstack([face, face]), 512, {})


def test_a_tiny_face(photo: np.ndarray) -> None:
    with pytest.raises(VivifyError, match="pixels high, at least 60"):
        enroll_picture(np.ascontiguousarray(photo[::3, ::3]), 512, {})


def test_an_odd_size(photo: np.ndarray) -> None:
    with pytest.raises(VivifyError, match="256, 512, 768, 1080"):
        enroll_picture(photo, 300, {})


def test_a_file_on_disk(photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "eileen.jpg", quality=95)
    made, _ = enroll(tmp_path / "eileen.jpg", 256)
    assert made.name == "eileen"


def test_a_second_smaller_face_is_told(photo: np.ndarray) -> None:
    def face(height: float) -> np.ndarray:
        out = np.zeros((top.LANDMARKS, 3), np.float32)
        out[top.CHIN, 1] = height
        return out

    chosen, told = choose([face(300), face(100)])
    assert chosen[top.CHIN, 1] == 300
    assert told == ["2 faces were found; the largest was taken."]
