"""The control channel's messages, see protocol.md; `examples.json` holds one of each kind, for all languages' tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from engine.errors import VivifyError

PROTOCOL = 1
LONGEST_MESSAGE = 4096  # characters
WORDS = (30.0, 60)  # control messages of one participant a second, and at once: a slider sends 25

Percentiles = dict[Literal["p50", "p95", "p99"], float]  # milliseconds; empty while there are none
Stage = Literal["features", "motion", "render", "compute", "queue", "encode", "total"]


class Told(BaseModel):
    """A message of the server: these fields, all of them, and no others."""

    model_config = ConfigDict(extra="forbid")


class Hello(Told):
    """The first message: what this session is."""

    type: Literal["hello"] = "hello"
    protocol: int = PROTOCOL
    session: str
    watch: str  # the address it is watched at
    avatar: str
    size: int
    matte: bool
    fps: int
    codec: str
    look_ahead_ms: int
    structural_delay_ms: int


class Mapping(Told):
    """Which timeline index the decoder's first sound sample, and the first picture, stand for."""

    type: Literal["mapping"] = "mapping"
    rate: int
    sound: int
    picture: int


class Frames(Told):
    """Counts of pictures."""

    shown: int
    dropped: int
    held: int


class Delay(Told):
    """What the voice is held back by; ``voice`` is measured."""

    structural: float
    margin: float
    voice: float | None


class VoiceTimes(Told):
    """Milliseconds of sound."""

    received: int
    lost: int
    concealed: int
    late: int
    padded: int
    shed: int
    hurried: int
    refused: int


class Stats(Told):
    """The figures, twice a second."""

    type: Literal["stats"] = "stats"
    seconds: float
    fps: int
    frames: Frames
    delay_ms: Delay
    stages_ms: dict[Stage, Percentiles]
    av_offset_ms: Percentiles
    voice_ms: VoiceTimes
    speaking: bool


class Head(Told):
    """Radians and outer-eye-corner distances, in the frame that `engine.contracts` describes."""

    yaw: float
    pitch: float
    roll: float
    x: float
    y: float
    z: float


class Gaze(Told):
    """Of each eye: radians to the person's own left, and up, within the head."""

    left: list[float]
    right: list[float]


class Moved(Told):
    """What the face does in one frame, for who asked with `Motions`; see `engine.contracts.Motion`."""

    type: Literal["motion"] = "motion"
    position: int
    shapes: list[float]
    lips: list[list[float]]
    head: Head
    gaze: Gaze
    speaking: bool


class Cleared(Told):
    """The answer to `Clear`."""

    type: Literal["cleared"] = "cleared"
    epoch: int


class Pong(Told):
    """The answer to `Ping`."""

    type: Literal["pong"] = "pong"
    t: JsonValue


class Misunderstood(Told):
    """The answer to what is no message."""

    type: Literal["error"] = "error"
    error: str


class Bye(Told):
    """The last message: why the server ends the session, and in how many seconds another one may be opened instead."""

    type: Literal["bye"] = "bye"
    reason: str
    come_back_s: float | None = None


class Played(Told):
    """The answer to `Flush`, when all that was pushed before it has left."""

    type: Literal["played"] = "played"
    flush: int


class Settings(Told):
    """The answer to `Set`, for everybody who takes part: all that is wished of the face, and the look-ahead."""

    type: Literal["settings"] = "settings"
    look_ahead_ms: int
    controls: dict[str, JsonValue]


class Clear(BaseModel):
    """Barge-in."""

    type: Literal["clear"]


class Ping(BaseModel):
    """A sign of life, answered at once."""

    type: Literal["ping"]
    t: JsonValue = None


class Set(BaseModel):
    """Wishes for the face (`engine.motion.controls.Controls`), another look-ahead, a key; or several of these."""

    type: Literal["set"]
    look_ahead_ms: int | None = None
    controls: dict[str, JsonValue] = Field(default_factory=dict)
    key: dict[str, JsonValue] | None = None  # `engine.motion.prior.keys.live_key`


class Flush(BaseModel):
    """A stretch of pushed sound is whole."""

    type: Literal["flush"]


class Resume(BaseModel):
    """A barge-in has been heard of: what is pushed from now on was made after it."""

    type: Literal["resume"]
    epoch: int


class Motions(BaseModel):
    """Whether `Moved` is wanted from now on."""

    type: Literal["motions"]
    wanted: bool


ServerMessage = Annotated[
    Hello | Mapping | Stats | Cleared | Played | Settings | Pong | Misunderstood | Bye | Moved,
    Field(discriminator="type"),
]
SERVER: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)
Said = Clear | Ping | Set | Flush | Resume | Motions
KINDS = "'clear', 'ping', 'set', 'flush', 'resume' and 'motions'"
CLIENT: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="type")])


def read(message: str | bytes) -> Said:
    """A client's message. Raises VivifyError for what is none."""
    if not isinstance(message, str) or len(message) > LONGEST_MESSAGE:
        raise VivifyError(f"A control message was expected to be a JSON text of at most {LONGEST_MESSAGE} characters.")
    try:
        return CLIENT.validate_json(message)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        expected = "valid JSON" if problem["type"] == "json_invalid" else f"an object whose type is one of {KINDS}"
        if len(problem["loc"]) > 1:  # the kind, then its field
            kind, field = problem["loc"][:2]
            raise VivifyError(f"The {field} of a {kind} message is not as it should be: {problem['msg']}.") from None
        raise VivifyError(f"A control message was expected to be {expected}.") from None
