"""A call as its other side has it: a microphone's sound and a camera's pictures, and when; and what they were given."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clients.outputs.output import Output, Picture, Sound
from engine.contracts import FloatArray
from webrtc.media.voice_line import VOICE_RATE, PcmArray

READ_MS = 10
SPAN = 2 * VOICE_RATE


@dataclass(slots=True)
class Given:
    """What the outputs got. Positions are 48 kHz; ``pcm`` begins at ``first``, its pieces of 20 ms have ``dues``."""

    first: int = 0
    pcm: PcmArray = field(default_factory=lambda: np.zeros(0, np.int16))
    dues: FloatArray = field(default_factory=lambda: np.zeros(0))
    pictures: dict[int, int] = field(default_factory=dict)  # sum of all bytes -> position


class GivenWriter(Output):
    """Writes down what all outputs are given: sound as it is, of pictures a sum."""

    name = "bench"
    wants = frozenset({Picture, Sound})

    def __init__(self, folder: Path) -> None:
        self._sound = open(folder / "sound.raw", "wb")  # noqa: SIM115  closed by `close`
        self._notes = open(folder / "notes.jsonl", "w")  # noqa: SIM115

    def picture(self, piece: Picture) -> None:
        print(json.dumps([zlib.crc32(piece.planes.reshape(-1).data), piece.position]), file=self._notes)

    def sound(self, piece: Sound) -> None:
        self._sound.write(piece.pcm.tobytes())
        print(json.dumps([piece.position, len(piece.pcm), piece.due]), file=self._notes)

    def close(self) -> None:
        self._sound.close()
        self._notes.close()


def given(folder: Path) -> Given:
    """What a `GivenWriter` wrote."""
    notes = [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]
    sounds = [note for note in notes if len(note) == 3]
    return Given(
        sounds[0][0],
        np.fromfile(folder / "sound.raw", "<i2"),
        np.array([due for _, _, due in sounds]),
        {note[0]: note[1] for note in notes if len(note) == 2},
    )


class SoundReader:
    """Records a source of PulseAudio's or PipeWire's, each piece with the time at which it was read."""

    def __init__(self, source: str) -> None:
        form = ["--raw", "--format=s16le", f"--rate={VOICE_RATE}", "--channels=1", f"--latency-msec={READ_MS}"]
        self._process = subprocess.Popen(["parec", f"--device={source}", *form], stdout=subprocess.PIPE)
        self._pieces: list[PcmArray] = []
        self._times: list[float] = []
        self._thread = threading.Thread(target=self._read, name="sound reader", daemon=True)
        self._thread.start()

    def close(self) -> tuple[PcmArray, FloatArray]:
        """All of it, [n] int16; and the times at which samples 0, 2 s, 4 s... were there to be read.

        A piece cannot be read before its last sample is there: of those of 2 s, the promptest tells.
        """
        self._process.kill()
        self._process.wait()
        self._thread.join()
        ends = np.cumsum([len(piece) for piece in self._pieces])
        began = np.array(self._times) - ends / VOICE_RATE
        spans = ends // SPAN
        firsts = [began[spans == n].min() + 2 * n if np.any(spans == n) else np.nan for n in range(spans[-1] + 1)]
        return np.concatenate(self._pieces), np.array(firsts)

    def _read(self) -> None:
        assert self._process.stdout
        while len(data := self._process.stdout.read(2 * VOICE_RATE * READ_MS // 1000)):
            self._times.append(time.monotonic())
            self._pieces.append(np.frombuffer(data, "<i2"))
        self._process.stdout.close()


class CameraReader:
    """Reads a camera of PipeWire's by its name; of each picture it keeps the sum, and when it came."""

    def __init__(self, name: str, size: int) -> None:
        source = ["pipewiresrc", f"target-object={name}", "!", f"video/x-raw,format=I420,width={size},height={size}"]
        self._process = subprocess.Popen(
            ["gst-launch-1.0", "-q", *source, "!", "fdsink", "fd=1", "sync=false"], stdout=subprocess.PIPE
        )
        self.sums: list[int] = []
        self.times: list[float] = []
        self._bytes = size * size * 3 // 2
        self._thread = threading.Thread(target=self._read, name="camera reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout
        while len(data := self._process.stdout.read(self._bytes)) == self._bytes:
            self.times.append(time.monotonic())
            self.sums.append(zlib.crc32(data))
        self._process.stdout.close()
