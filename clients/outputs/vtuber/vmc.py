"""`--vmc`: the Virtual Motion Capture protocol, OSC over UDP, for VSeeFace, Warudo, VNyan, VMagicMirror and Unity.

Unity's frame is left-handed: x to the person's right, y up, z forwards. Each axis is ours reversed, so a rotation's
matrix, and with it its quaternion, is the same in both; docs/outputs.md has the derivation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients.outputs.output import Facts, Movement, Output, OutputError
from clients.outputs.vtuber.datagrams import LARGEST, Datagrams, host_and_port
from clients.outputs.vtuber.head_frame import EYES_M, Quaternion, quaternion, turned
from clients.outputs.vtuber.vrm_expressions import VRM0, vrm1
from engine.contracts import Motion
from engine.face.blendshapes import NAMES
from engine.motion.gaze import gaze
from engine.motion.rotation import scaled
from webrtc.media.voice_line import VOICE_RATE

if TYPE_CHECKING:
    from pythonosc.osc_bundle import OscBundle
    from pythonosc.osc_message import OscMessage

PORT = 39539  # of a marionette
SETS = ("all", "arkit", "vrm0", "vrm1")  # which names of expressions are sent
NECK_SHARE = 1 / 3  # of a turn of the head
NECK_M, HEAD_M = (0.0, 0.13, -0.01), (0.0, 0.08, 0.01)  # where they stand on what bears them, in metres: an adult's
Values = tuple[str | int | float, ...]
STILL: Quaternion = (0.0, 0.0, 0.0, 1.0)
BUNDLE_HEAD = 16  # bytes: "#bundle", the time; each message has its length before it
MISSING = "--vmc needs python-osc, which is not here: pip install 'vivify[vtuber]'."


class Vmc(Output):
    """A performer that sends root, neck, head, eyes and expressions with every frame."""

    name = "vmc"
    wants = frozenset({Movement})

    def __init__(self, address: str, shapes: str = "all") -> None:
        """Raises OutputError for an odd address or set of shapes, and where python-osc is missing."""
        try:
            from pythonosc import osc_bundle_builder, osc_message_builder
        except ImportError:
            raise OutputError(MISSING) from None
        if shapes not in SETS:
            raise OutputError(f"--vmc-shapes was expected to be one of {', '.join(SETS)}, but '{shapes}' came.")
        self._bundles, self._messages = osc_bundle_builder, osc_message_builder
        self._address = host_and_port(address, PORT, "--vmc")
        self._shapes = shapes
        self._socket: Datagrams | None = None

    def start(self, facts: Facts) -> None:
        self._socket = Datagrams(*self._address, "--vmc")

    def movement(self, piece: Movement) -> None:
        assert self._socket is not None
        messages = [self._message(*said) for said in frame(piece.motion, self._shapes)]
        messages.append(self._message("/VMC/Ext/OK", (1,)))
        messages.append(self._message("/VMC/Ext/T", (piece.position / VOICE_RATE,)))
        for bundle in self._bundled(messages):
            self._socket.send(bundle.dgram)

    @property
    def state(self) -> str:
        return self._socket.state if self._socket else "starting"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _message(self, address: str, values: Values) -> OscMessage:
        return self._messages.build_msg(address, list(values))

    def _bundled(self, messages: list[OscMessage]) -> list[OscBundle]:
        """The messages in their order, in as few datagrams as are small enough."""
        parts: list[list[OscMessage]] = [[]]
        room = LARGEST - BUNDLE_HEAD
        for message in messages:
            room -= message.size + 4
            if room < 0:
                parts.append([])
                room = LARGEST - BUNDLE_HEAD - message.size - 4
            parts[-1].append(message)
        return [self._bundle(part) for part in parts]

    def _bundle(self, messages: list[OscMessage]) -> OscBundle:
        builder = self._bundles.OscBundleBuilder(self._bundles.IMMEDIATELY)
        for message in messages:
            builder.add_content(message)
        return builder.build()


def frame(motion: Motion, shapes: str) -> list[tuple[str, Values]]:
    """One frame's messages: address and values, in the reference sender's order."""
    # docs/outputs.md: the person's right, up and forwards are Unity's axes, and ours reversed
    right, up, forwards = (-EYES_M * float(t) for t in motion.translation)
    neck = quaternion(scaled(motion.rotation, NECK_SHARE))
    head = quaternion(scaled(motion.rotation, 1 - NECK_SHARE))
    moved = (HEAD_M[0] + right, HEAD_M[1] + up, HEAD_M[2] + forwards)
    left_eye, right_eye = (quaternion(turned(*looks)) for looks in gaze(motion.blendshapes))
    return [
        ("/VMC/Ext/Root/Pos", ("root", 0.0, 0.0, 0.0, *STILL)),
        ("/VMC/Ext/Bone/Pos", ("Neck", *NECK_M, *neck)),
        ("/VMC/Ext/Bone/Pos", ("Head", *moved, *head)),
        ("/VMC/Ext/Bone/Pos", ("LeftEye", 0.0, 0.0, 0.0, *left_eye)),
        ("/VMC/Ext/Bone/Pos", ("RightEye", 0.0, 0.0, 0.0, *right_eye)),
        *(("/VMC/Ext/Blend/Val", (name, value)) for name, value in expressions(motion, shapes).items()),
        ("/VMC/Ext/Blend/Apply", ()),
    ]


def expressions(motion: Motion, shapes: str) -> dict[str, float]:
    """Names and values 0..1 of the sets asked for."""
    values: dict[str, float] = {}
    if shapes in ("all", "arkit"):
        values |= dict(zip(NAMES, map(float, motion.blendshapes), strict=True))
    vrm = vrm1(motion.blendshapes)
    if shapes in ("all", "vrm0"):
        values |= {VRM0[name]: value for name, value in vrm.items() if name in VRM0}
    if shapes in ("all", "vrm1"):
        values |= vrm
    return values
