"""What crosses a boundary between Vivify's parts: small frozen dataclasses, each with its position on the sample clock.

Time
    All time is a sample index on the session's 16 kHz clock (`SAMPLE_RATE`). Video frame ``k`` shows the samples
    ``[640 k, 640 (k + 1))``, so its position is ``640 k``.

Space (the one place that states it)
    Image frame: x to the right, y down, z away from the camera, in pixels with pixel centres on whole numbers.
    This is a right-handed frame; nearer things have the smaller z, and the camera is orthographic.
    A head rotation is a matrix ``R = Rz(roll) @ Ry(yaw) @ Rx(pitch)`` in that frame, relative to the portrait's pose::

                 z (into the picture)
                /
               o-----> x        yaw   > 0: the nose moves towards the picture's left  (-x)
               |                pitch > 0: the nose moves down                        (+y)
               v                roll  > 0: the head tilts clockwise as the viewer sees it
               y

    Translations are in units of the outer-eye-corner distance of the portrait.
    "Left" and "right" in blendshape names are the person's own, as in ARKit: ``eyeBlinkLeft`` closes the eye that
    the viewer sees on the right of a frontal picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000  # Hz, the session clock
FRAMES_PER_SECOND = 25
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAMES_PER_SECOND  # 640, exact
LOOK_AHEADS_MS = (0, 40, 80, 120)  # the look-ahead knob, whole frames
DEFAULT_LOOK_AHEAD_MS = 80

FloatArray = npt.NDArray[np.floating[Any]]  # float32 where nothing else is said (numpy 2 types some sums wider)
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A run of mono 16 kHz samples in [-1, 1] whose first sample is ``position`` on the session's clock.

    ``rate`` is there to be said, and refused where it is another one; sound is not resampled on its way.
    """

    position: int
    samples: FloatArray  # [n]
    rate: int = SAMPLE_RATE

    @property
    def end(self) -> int:
        return self.position + len(self.samples)


@dataclass(frozen=True, slots=True)
class SpeechEvent:
    """The voice activity detector's view: speech started or ended at ``position``."""

    kind: Literal["start", "end"]
    position: int


@dataclass(frozen=True, slots=True)
class Motion:
    """What the face does during one video frame.

    ``blendshapes`` are the 52 ARKit coefficients (order in `engine.face.blendshapes.NAMES`), relative to the
    portrait's neutral face; gaze is in the eyeLook coefficients. ``rotation`` and ``translation`` are relative to
    the portrait's pose (see the module's text for the frame). ``lip_offsets`` (VividTalk eq. 3's local branch)
    move the lips' vertices one by one, in the order of `engine.face.topology.LIP_VERTICES`: along the head's own axes
    (x right, y down, z away, before the head turns), in outer-eye-corner distances; empty means none.
    """

    position: int
    blendshapes: FloatArray  # [52]
    rotation: FloatArray  # [3, 3]
    translation: FloatArray  # [3], in outer-eye-corner distances
    lip_offsets: FloatArray = field(default_factory=lambda: np.zeros((0, 3), np.float32))  # [40, 3] or [0, 3]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where one frame's time went, in milliseconds of compute, plus the monotonic times of its start and end.

    ``audio_in`` is when the last sample the frame needed arrived, ``done`` when its picture was finished; both are
    ``time.monotonic()`` seconds, comparable between processes of one machine.
    """

    audio_in: float
    features_ms: float
    motion_ms: float
    render_ms: float
    done: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One finished picture. ``picture`` is RGB [H, W, 3], or planar I420 [H * 3 // 2, W] where the worker says so.

    A session that only moves draws none: its pictures are empty, and ``motion`` is what its frames are for.
    """

    position: int
    epoch: int  # grows with every clear(): a frame of an older epoch is stale
    picture: ByteArray
    ledger: Ledger
    speaking: bool = False
    head: tuple[float, ...] = ()  # [6] where the head was: yaw, pitch, roll in radians, translation
    learned: bool = False  # whether networks finished it
    motion: Motion | None = None  # what the picture shows
