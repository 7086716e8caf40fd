"""VTube Studio: permission asked once and kept, parameters made and said again in time, refusals in sentences."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import radians
from pathlib import Path

import numpy as np
import pytest
from vtube_studio_app import App, Running

from clients.outputs.output import Facts, Movement, OutputError
from clients.outputs.vtuber.kept_tokens import KeptTokens
from clients.outputs.vtuber.live2d_parameters import ADDED, usual
from clients.outputs.vtuber.vtube_studio import VTubeStudio
from engine.contracts import Motion
from engine.face.blendshapes import INDEX
from engine.motion.rotation import rotation_matrix

pytestmark = pytest.mark.net


def motion(yaw: float = 0, pitch: float = 0, roll: float = 0, **shapes: float) -> Motion:
    """Degrees in our sense: yaw to the person's right, pitch down, roll clockwise for the viewer."""
    values = np.zeros(52, np.float32)
    for name, value in shapes.items():
        values[INDEX[name]] = value
    return Motion(0, values, rotation_matrix(radians(yaw), radians(pitch), radians(roll)), np.zeros(3, np.float32))


@contextmanager
def plugin(port: int, folder: Path) -> Iterator[VTubeStudio]:
    output = VTubeStudio(f"127.0.0.1:{port}", KeptTokens(folder / "tokens.json"))
    output.start(Facts("astronaut", 512, 0.2))
    try:
        yield output
    finally:
        output.close()
    assert not [t for t in threading.enumerate() if t.name == "vtube studio"]


@contextmanager
def running(app: App, port: int = 0) -> Iterator[Running]:
    server = Running(app, port)
    try:
        yield server
    finally:
        server.stop()


def until(true: Callable[[], object], output: VTubeStudio | None = None, what: Motion | None = None) -> None:
    """Move at 25 a second until something is so; fails after some seconds."""
    ends = time.monotonic() + 8
    while not true():
        assert time.monotonic() < ends, output.state if output else "it never was"
        if output is not None:
            output.movement(Movement(0, what or motion(), True, time.monotonic()))
        time.sleep(0.04)


def test_the_user_is_asked_once_and_the_answer_is_kept_for_him_alone(tmp_path: Path) -> None:
    app = App()
    with running(app) as server:
        with plugin(server.port, tmp_path) as output:
            until(lambda: len(app.injected) > 3, output, motion(yaw=-20, jawOpen=0.4, eyeBlinkLeft=1))
            assert f"moves {16 + len(ADDED)} parameters" in output.state
        assert app.value("FaceAngleX") == pytest.approx(20)
        assert app.value("EyeOpenLeft") == 0
        assert app.value("VivifyJawOpen") == pytest.approx(0.4)
        assert 0.5 < (app.value("VivifyVowelA") or 0) <= 1
        with plugin(server.port, tmp_path) as output:
            before = len(app.injected)
            until(lambda: len(app.injected) > before, output)
    assert app.asked == 1
    assert stat.S_IMODE(os.stat(tmp_path / "tokens.json").st_mode) == 0o600
    assert len(app.custom) == len(ADDED) <= 100


def test_a_face_that_stands_still_is_said_again_before_it_is_lost(tmp_path: Path) -> None:
    app = App()
    with running(app) as server, plugin(server.port, tmp_path) as output:
        until(lambda: app.injected, output, motion(yaw=10))
        for _ in range(8):
            time.sleep(0.2)
            assert app.value("FaceAngleX") == pytest.approx(-10), "the engine stalls, the parameter stays"


def test_every_movement_is_said_at_25_a_second(tmp_path: Path) -> None:
    app = App()
    with running(app) as server, plugin(server.port, tmp_path) as output:
        until(lambda: app.injected, output)
        before = len(app.injected)
        for _ in range(25):
            output.movement(Movement(0, motion(), True, 0.0))
            time.sleep(0.04)
        assert len(app.injected) - before >= 20


def test_the_app_comes_late_goes_and_comes_back(tmp_path: Path) -> None:
    app = App()
    with running(app) as server:
        port = server.port
    with plugin(port, tmp_path) as output:
        until(lambda: "start it" in output.state, output)
        with running(app, port):
            until(lambda: app.injected, output)
        until(lambda: "start it" in output.state, output)
        before = len(app.injected)
        with running(app, port):
            until(lambda: len(app.injected) > before, output)
    assert app.asked == 1


def test_a_user_who_refuses_ends_it_in_a_sentence(tmp_path: Path) -> None:
    app = App(allow=False)
    with running(app) as server, plugin(server.port, tmp_path) as output:
        with pytest.raises(OutputError, match="press Allow"):
            until(lambda: False, output)
        assert app.asked == 1, "nobody is asked again and again"


def test_a_user_who_takes_it_back_ends_it_too(tmp_path: Path) -> None:
    app = App()
    with running(app) as server, plugin(server.port, tmp_path) as output:
        until(lambda: app.injected, output)
        app.tokens.clear()
        with pytest.raises(OutputError, match="press Allow"):
            until(lambda: False, output)
    assert KeptTokens(tmp_path / "tokens.json").get(f"127.0.0.1:{server.port}") is None


def test_a_token_of_an_older_installation_is_asked_for_anew(tmp_path: Path) -> None:
    app = App()
    with running(app) as server:
        KeptTokens(tmp_path / "tokens.json").put(f"127.0.0.1:{server.port}", "of long ago")
        with plugin(server.port, tmp_path) as output:
            until(lambda: app.injected, output)
    assert app.asked == 1


def test_refusals_that_may_end_are_told_and_waited_for(tmp_path: Path) -> None:
    app = App(asking=True)
    with running(app) as server, plugin(server.port, tmp_path) as output:
        until(lambda: "answer the question" in output.state, output)
        app.asking, app.active = False, False
        until(lambda: "Allow Plugin API access" in output.state, output)
        app.active = True
        until(lambda: app.injected, output)
        app.taken_by_another = {"FaceAngleX"}
        until(lambda: "another plugin" in output.state, output)
        app.taken_by_another = set()
        before = len(app.injected)
        until(lambda: len(app.injected) > before, output)


def test_without_room_for_parameters_of_ours_the_usual_ones_move(tmp_path: Path) -> None:
    app = App(custom={f"Others{n}": "another" for n in range(300)})
    with running(app) as server, plugin(server.port, tmp_path) as output:
        until(lambda: app.injected, output)
        assert "moves 16 parameters" in output.state


def test_one_that_was_deleted_does_not_refuse_the_others(tmp_path: Path) -> None:
    app = App()
    with running(app) as server, plugin(server.port, tmp_path) as output:
        until(lambda: app.injected, output)
        app.custom.clear()
        until(lambda: "VivifyJawOpen" not in app.injected[-1][1], output)


def test_what_is_no_vtube_studio_is_said(tmp_path: Path) -> None:
    class Other(App):
        def answer(self, request: dict[str, object], session: dict[str, str]) -> dict[str, object]:
            return {}

    with running(Other()) as server, plugin(server.port, tmp_path) as output:
        until(lambda: "is no VTube Studio" in output.state, output)


def shape(message: object) -> object:
    """Which fields, and of which kinds."""
    if isinstance(message, dict):
        return {name: shape(value) for name, value in message.items() if name != "weight"}  # which is 1, left out
    if isinstance(message, list):
        return shape(message[0])
    return float if isinstance(message, (int, float)) and not isinstance(message, bool) else type(message)


def test_messages_are_those_of_the_client_most_plugins_use(tmp_path: Path) -> None:
    """`pyvts_messages.json` is what pyvts 0.3.3 said to the very app of these tests, which it got on with, too."""
    theirs = {
        said["messageType"]: said for said in json.loads(Path(__file__).with_name("pyvts_messages.json").read_text())
    }
    app = App()
    with running(app) as server, plugin(server.port, tmp_path) as output:
        until(lambda: app.injected, output)
    ours = {request["messageType"]: request for request in reversed(app.requests)}
    assert set(ours) == set(theirs)
    for kind, said in theirs.items():
        assert shape(ours[kind]) == shape(said), kind


def test_angles_are_live2ds() -> None:
    """Live2D: x turns to the screen's right, y up, z leans to the screen's right."""
    left = usual(motion(yaw=-20))
    assert left["FaceAngleX"] == pytest.approx(20), "his own left is the screen's right"
    assert left["FaceAngleY"] == pytest.approx(0, abs=1e-6)
    assert usual(motion(pitch=15))["FaceAngleY"] == pytest.approx(-15), "down"
    assert usual(motion(roll=10))["FaceAngleZ"] == pytest.approx(10)
    looks = usual(motion(eyeLookOutLeft=0.5, eyeLookInRight=0.5, eyeLookUpLeft=0.25, eyeLookUpRight=0.25))
    assert (looks["EyeLeftX"], looks["EyeRightX"]) == (-0.5, -0.5), "VTube Studio's setup turns them round"
    assert (looks["EyeLeftY"], looks["EyeRightY"]) == (0.25, 0.25)
    rest = usual(motion())
    assert (rest["MouthOpen"], rest["MouthSmile"], rest["Brows"], rest["EyeOpenLeft"]) == (0, 0.5, 0.5, 1)
