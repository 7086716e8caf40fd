"""VMC: decoded by python-osc, in the order receivers want, each datagram small, left as Unity's left."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from math import degrees, radians

import numpy as np
import pytest

from clients.outputs.output import Facts, Movement, OutputError
from clients.outputs.vtuber.vrm_expressions import VRM0, vrm1
from engine.contracts import Motion
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix

osc_bundle = pytest.importorskip("pythonosc.osc_bundle", reason="python-osc is not installed (extra 'vtuber')")

from clients.outputs.vtuber.vmc import Vmc  # noqa: E402

pytestmark = pytest.mark.net

Message = tuple[str, list[object]]


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


def motion(yaw: float = 0, pitch: float = 0, roll: float = 0, **shapes: float) -> Motion:
    """Degrees in our sense: yaw to the person's right, pitch down, roll clockwise for the viewer."""
    values = np.zeros(52, np.float32)
    for name, value in shapes.items():
        values[INDEX[name]] = value
    rotation = rotation_matrix(radians(yaw), radians(pitch), radians(roll))
    return Motion(64_000, values, rotation, np.array([0.1, 0.2, 0.3], np.float32))


def sent(receiver: socket.socket, what: Motion, shapes: str = "all") -> tuple[list[Message], list[int]]:
    """Messages as python-osc reads them, and the sizes of the datagrams."""
    output = Vmc(f"127.0.0.1:{receiver.getsockname()[1]}", shapes)
    output.start(Facts("astronaut", 512, 0.2))
    output.movement(Movement(192_000, what, True, time.monotonic()))
    messages: list[Message] = []
    sizes = []
    while not messages or messages[-1][0] != "/VMC/Ext/T":
        data = receiver.recv(65_536)
        sizes.append(len(data))
        messages += [(m.address, m.params) for m in osc_bundle.OscBundle(data)]
    output.close()
    return messages, sizes


def turn(quaternion: list[float], vector: tuple[float, float, float]) -> np.ndarray:
    """Unity's Quaternion * Vector3."""
    x, y, z, w = quaternion
    q, v = np.array([x, y, z]), np.array(vector)
    return v + 2 * np.cross(q, np.cross(q, v) + w * v)


def bones(messages: list[Message]) -> dict[str, list[float]]:
    return {str(p[0]): [float(v) for v in p[4:]] for a, p in messages if a == "/VMC/Ext/Bone/Pos"}  # type: ignore[arg-type]


def forwards(messages: list[Message], vector: tuple[float, float, float] = (0, 0, 1)) -> np.ndarray:
    """Where the head's ``vector`` points to in the body's frame: the neck bears the head."""
    turns = bones(messages)
    return turn(turns["Neck"], tuple(turn(turns["Head"], vector)))


def test_a_frame_is_whole_in_order_and_small(receiver: socket.socket) -> None:
    messages, sizes = sent(receiver, motion(jawOpen=0.4))
    assert max(sizes) <= 1400
    addresses = [address for address, _ in messages]
    assert addresses[0] == "/VMC/Ext/Root/Pos"
    assert addresses[-3:] == ["/VMC/Ext/Blend/Apply", "/VMC/Ext/OK", "/VMC/Ext/T"]
    assert addresses.index("/VMC/Ext/Blend/Val") > addresses.index("/VMC/Ext/Bone/Pos")
    assert messages[-2][1] == [1]
    assert messages[-1][1] == [4.0], "seconds since the session began"
    assert list(bones(messages)) == ["Neck", "Head", "LeftEye", "RightEye"]
    values = dict(p for a, p in messages if a == "/VMC/Ext/Blend/Val")
    assert set(values) >= {*NAMES, *VRM0.values(), *VRM0}
    assert values["jawOpen"] == pytest.approx(0.4)
    assert values["A"] == values["aa"] > 0.5


@pytest.mark.parametrize(
    ("shapes", "has", "lacks"), [("arkit", "jawOpen", "A"), ("vrm0", "A", "aa"), ("vrm1", "aa", "A")]
)
def test_one_set_of_names_alone(receiver: socket.socket, shapes: str, has: str, lacks: str) -> None:
    messages, _ = sent(receiver, motion(), shapes)
    names = {p[0] for a, p in messages if a == "/VMC/Ext/Blend/Val"}
    assert has in names
    assert lacks not in names


def test_a_head_turned_left_by_20_degrees_is_20_degrees_left_in_unity(receiver: socket.socket) -> None:
    """Unity: x to the right, y up, z forwards: who looks along +z and turns left looks towards -x."""
    messages, _ = sent(receiver, motion(yaw=-20))
    x, y, z = forwards(messages)
    assert degrees(np.arctan2(-x, z)) == pytest.approx(20, abs=0.01)
    assert y == pytest.approx(0, abs=1e-6)


def test_a_nod_and_a_tilt_keep_their_sense(receiver: socket.socket) -> None:
    messages, _ = sent(receiver, motion(pitch=15))
    assert degrees(np.arcsin(-forwards(messages)[1])) == pytest.approx(15, abs=0.01), "down is -y"
    messages, _ = sent(receiver, motion(roll=10))
    top = forwards(messages, (0, 1, 0))  # clockwise for the viewer: towards the person's own left shoulder, -x
    assert degrees(np.arctan2(-top[0], top[1])) == pytest.approx(10, abs=0.01)


def test_all_turns_together_are_one_rotation(receiver: socket.socket) -> None:
    """Reversing all three axes changes no rotation's matrix: the nose goes where ours goes, reversed."""
    what = motion(yaw=-20, pitch=12, roll=-7)
    messages, _ = sent(receiver, what)
    nose = what.rotation @ np.array([0, 0, -1])
    assert np.allclose(forwards(messages), -nose, atol=1e-5)


def test_eyes_look_to_the_side_named(receiver: socket.socket) -> None:
    messages, _ = sent(
        receiver, motion(eyeLookOutLeft=0.5, eyeLookInRight=0.5, eyeLookUpLeft=0.25, eyeLookUpRight=0.25)
    )
    for eye in ("LeftEye", "RightEye"):
        x, y, z = turn(bones(messages)[eye], (0, 0, 1))
        assert degrees(np.arctan2(-x, z)) == pytest.approx(16, abs=0.01), "half of 32 degrees to the left"
        assert degrees(np.arcsin(y)) == pytest.approx(8, abs=0.01)


def test_the_head_moves_by_metres(receiver: socket.socket) -> None:
    messages, _ = sent(receiver, motion())
    head = next(p[1:4] for a, p in messages if a == "/VMC/Ext/Bone/Pos" and p[0] == "Head")
    # ours, in eye distances: 0.1 to the person's left, 0.2 down, 0.3 back
    assert head == pytest.approx([-0.009, 0.08 - 0.018, 0.01 - 0.027])


def test_the_panel_says_when_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    output = Vmc(f"127.0.0.1:{port}")
    output.start(Facts("astronaut", 512, 0.2))
    for _ in range(3):
        output.movement(Movement(0, motion(), False, 0.0))
        time.sleep(0.01)
    assert output.state == f"nobody listens at 127.0.0.1:{port}"
    output.close()


@pytest.mark.parametrize("address", ["", ":39539", "host:0", "host:70000", "host:x"])
def test_an_odd_address_is_refused(address: str) -> None:
    with pytest.raises(OutputError, match="HOST or HOST:PORT"):
        Vmc(address)
    with pytest.raises(OutputError, match="one of all, arkit"):
        Vmc("127.0.0.1", "none")


def test_vowels_close_where_lips_meet_and_never_add_up_to_more_than_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = vrm1(rng.uniform(0, 1, 52).astype(np.float32))
        assert all(0 <= value <= 1 for value in values.values())
        assert sum(values[name] for name in ("aa", "ih", "ou", "ee", "oh")) <= 1 + 1e-9
    closed = vrm1(motion(mouthRollLower=0.75, mouthPressLeft=0.18, mouthPressRight=0.18, jawOpen=0.2).blendshapes)
    assert max(closed[name] for name in ("aa", "ih", "ou", "ee", "oh")) == 0
    assert vrm1(motion(mouthPucker=0.6).blendshapes)["ou"] > 0.8
    assert vrm1(motion(eyeBlinkLeft=1).blendshapes)["blinkLeft"] == 1
    assert vrm1(motion(mouthSmileLeft=0.1, mouthSmileRight=0.1).blendshapes)["happy"] == 0, "speech is no smile"
