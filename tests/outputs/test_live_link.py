"""Live Link: as a golden packet, as PyLiveLinkFace decodes it, and left as Unreal's left."""

from __future__ import annotations

import socket
import struct
import warnings
from math import degrees, radians

import numpy as np
import pytest

from clients.outputs.output import Facts, Movement, OutputError
from clients.outputs.vtuber.live_link import LiveLink, packet, values
from engine.contracts import Motion
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix

pytestmark = pytest.mark.net

DEVICE = "12345678-1234-5678-9abc-def012345678"


def motion(yaw: float = 0, pitch: float = 0, roll: float = 0, **shapes: float) -> Motion:
    """Degrees in our sense: yaw to the person's right, pitch down, roll clockwise for the viewer."""
    coefficients = np.zeros(52, np.float32)
    for name, value in shapes.items():
        coefficients[INDEX[name]] = value
    rotation = rotation_matrix(radians(yaw), radians(pitch), radians(roll))
    return Motion(0, coefficients, rotation, np.zeros(3, np.float32))


def test_a_golden_packet() -> None:
    """Written out by hand from the layout that public receivers read, byte for byte."""
    data = packet(DEVICE, "Ann", 1_000_000, motion(jawOpen=0.5))
    golden = bytes.fromhex("06 00000024") + DEVICE.encode()
    golden += bytes.fromhex("00000003") + b"Ann"
    golden += bytes.fromhex("000f4240 00000000 00000019 00000001 3d")  # frame, sub-frame, 25 / 1, 61 values
    golden += bytes.fromhex("00000000") * 17 + bytes.fromhex("3f000000") + bytes.fromhex("00000000") * 43
    assert len(data) == 306 + len("Ann")
    assert data == golden


def unreal(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Epic's FRotationMatrix (degrees): rows are where forwards, right and up go; x forwards, y right, z up."""
    cy, sy, cp, sp, cr, sr = (f(radians(a)) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    return np.array(
        [
            [cp * cy, cp * sy, sp],
            [sr * sp * cy - cr * sy, sr * sp * sy + cr * cy, -sr * cp],
            [-(cr * sp * cy + sr * sy), cy * sr - cr * sp * sy, cr * cp],
        ]
    )


def test_a_head_turned_left_by_20_degrees_is_20_degrees_left_in_unreal() -> None:
    """Unreal: x forwards, y right: who turns left looks towards -y, and that is a negative yaw."""
    yaw, pitch, roll = values(motion(yaw=-20))[52:55]
    assert (pitch, roll) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))
    assert degrees(yaw) == pytest.approx(-20, abs=1e-3)
    forwards = unreal(degrees(yaw), 0, 0)[0]
    assert degrees(np.arctan2(-forwards[1], forwards[0])) == pytest.approx(20, abs=1e-3)


def test_all_turns_together_are_one_rotation() -> None:
    """Angles are taken apart in the order in which Unreal puts them together; its pitch is up, Live Link's down."""
    what = motion(yaw=-20, pitch=12, roll=-7)
    yaw, pitch, roll = np.degrees(values(what)[52:55])
    forwards, right, up = unreal(yaw, -pitch, -roll)
    ours = np.asarray(what.rotation, np.float64)
    to_unreal = np.array([[0, 0, -1], [-1, 0, 0], [0, -1, 0]], np.float64)  # rows: forwards, right, up in our axes
    for got, axis in ((forwards, 0), (right, 1), (up, 2)):
        assert np.allclose(got, to_unreal @ ours @ to_unreal[axis], atol=1e-5)


def test_a_nod_is_positive_and_so_is_a_tilt_to_the_own_left() -> None:
    assert degrees(values(motion(pitch=15))[53]) == pytest.approx(15, abs=1e-3)
    assert degrees(values(motion(roll=10))[54]) == pytest.approx(10, abs=1e-3)


def test_eyes_have_the_heads_signs() -> None:
    got = np.degrees(values(motion(eyeLookOutLeft=0.5, eyeLookInRight=0.5, eyeLookUpLeft=0.25, eyeLookUpRight=0.25)))
    assert got[55:61] == pytest.approx([-16, -8, 0, -16, -8, 0], abs=1e-3)


def test_the_decoder_of_others_reads_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("pylivelinkface", reason="PyLiveLinkFace is not installed (extra 'test')")
    what = motion(yaw=-20, jawOpen=0.4, eyeBlinkLeft=1, mouthLeft=0.25, tongueOut=0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        output = LiveLink(f"127.0.0.1:{receiver.getsockname()[1]}", "Ann")
        output.start(Facts("astronaut", 512, 0.2))
        for n in (0, 1):
            output.movement(Movement(1920 * n, what, True, 0.0))
        packets = [receiver.recv(2048) for _ in range(2)]
        output.close()
    found, face = theirs.PyLiveLinkFace.decode(packets[0])
    assert found
    assert face.name == "Ann"
    assert face.fps == 25
    shapes = theirs.FaceBlendShape
    names = [shape.name for shape in shapes][:52]
    assert [name[0].lower() + name[1:] for name in names] == list(NAMES), "ours are in their order"
    assert [face.get_blendshape(shape) for shape in shapes][:52] == pytest.approx(what.blendshapes.tolist())
    assert degrees(face.get_blendshape(shapes.HeadYaw)) == pytest.approx(-20, abs=1e-3)
    at = 41 + 4 + len("Ann")
    first, second = (struct.unpack_from("!i", data, at)[0] for data in packets)
    assert second - first == 1
    assert 0 <= first < 24 * 3600 * 25


@pytest.mark.parametrize(
    ("address", "subject"), [("", "Ann"), ("a:b", "Ann"), ("127.0.0.1", ""), ("127.0.0.1", "x" * 65)]
)
def test_odd_ones_are_refused(address: str, subject: str) -> None:
    with pytest.raises(OutputError, match="was expected"):
        LiveLink(address, subject)
