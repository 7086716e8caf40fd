"""The mel windows that SadTalker hears through, of a whole recording and of a stream.

Eighty columns a second, each from the 50 ms around it; sixteen of them a frame, from 80 ms before the frame's start on.
The last one reaches 132.5 ms beyond that start: this is the look-ahead of everything that hears through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from engine.contracts import SAMPLE_RATE, FloatArray
from engine.sadtalker.voice.audio_encoder import COLUMNS, MELS
from engine.streaming import State, StreamingModule, keep

HOP, FFT = 200, 800  # samples
FRAME = 640  # samples of one frame at 25 a second
LOWEST, HIGHEST = 55.0, 7600.0  # Hz
EMPHASIS = 0.97
LOOK_AHEAD = 2120  # samples after a frame's start that its window reaches
DELAY = 3  # frames a stream runs behind: LOOK_AHEAD in whole frames, less the one that has just come
HISTORY = 7 * FRAME  # samples from which any window of a stream is made
AT_ONCE = 4096  # columns of a recording: each is 6 kB while it is made
SILENCE = -4.0  # what a column of silence holds


def _hertz(mel: FloatArray) -> FloatArray:
    """Slaney's mels: linear up to 1 kHz, 27 steps to each factor of 6.4 above."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


def _mel(hertz: float) -> float:
    return hertz * 3.0 / 200.0 if hertz < 1000.0 else 15.0 + 27.0 * float(np.log(hertz / 1000.0) / np.log(6.4))


@lru_cache(maxsize=1)
def _filters() -> Tensor:
    """Triangles [FFT // 2 + 1, MELS] of equal area, float64."""
    edges = _hertz(np.linspace(_mel(LOWEST), _mel(HIGHEST), MELS + 2))
    hertz = np.arange(FFT // 2 + 1)[:, None] * SAMPLE_RATE / FFT
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0.0, np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)))
    return torch.from_numpy(triangles * 2.0 / (high - low))


def _columns(pieces: Tensor) -> Tensor:
    """Pieces [..., FFT] of emphasised sound, float64, as columns [..., MELS] between -4 and 4, float32."""
    window = torch.hann_window(FFT, dtype=torch.float64)
    loudness = torch.fft.rfft(pieces * window).abs() @ _filters()
    level = 20.0 * torch.log10(loudness.clamp(min=1e-5)) - 20.0
    return (8.0 * (level + 100.0) / 100.0 - 4.0).clamp(-4.0, 4.0).float()


def first_column(frame: Tensor) -> Tensor:
    """Where a frame's sixteen columns begin: 80 (i - 2) / 25, towards zero."""
    return torch.div(80 * (frame - 2), 25, rounding_mode="trunc")


def mel_windows(samples: Tensor | FloatArray) -> Tensor:
    """All windows [T, 80, 16] of a recording [N] at 16 kHz, T whole frames; the rest of it is not heard.

    The released code pads with zeros beyond both ends, and repeats the outermost columns.
    """
    sound = torch.as_tensor(samples, dtype=torch.float64).flatten()
    frames = len(sound) // FRAME
    if frames == 0:
        return torch.zeros(0, MELS, COLUMNS)
    sound = sound[: frames * FRAME]
    sound = torch.cat([sound[:1], sound[1:] - EMPHASIS * sound[:-1]])
    pieces = torch.nn.functional.pad(sound, (FFT // 2, FFT // 2)).unfold(0, FFT, HOP)
    columns = torch.cat([_columns(some) for some in pieces.split(AT_ONCE)])
    wanted = first_column(torch.arange(frames))[:, None] + torch.arange(COLUMNS)
    return columns[wanted.clamp(0, len(columns) - 1)].transpose(1, 2)


@dataclass
class MelWindowsState(State):
    sound: Tensor  # [B, HISTORY] the last samples
    frames: Tensor  # [B] frames heard so far


class MelWindows(StreamingModule[MelWindowsState]):
    """samples [B, 640 n] -> windows [B, n, 80, 16]: the one at step i is that of frame i - DELAY.

    The first DELAY windows are of frames before the beginning, which hear silence. What a stream gives of a frame is
    what `mel_windows` gives, unless that frame looks over the recording's end: there a stream hears silence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("where", torch.zeros(0), persistent=False)  # knows the device

    def fresh_state(self, batch_size: int) -> MelWindowsState:
        device = self.get_buffer("where").device
        return MelWindowsState(
            batch_size,
            torch.zeros(batch_size, HISTORY, device=device),
            torch.zeros(batch_size, dtype=torch.int64, device=device),
        )

    def forward(self, samples: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """See the class. Raises ValueError when the samples do not fill whole frames."""
        if samples.dim() != 2 or samples.shape[1] % FRAME:
            raise ValueError(f"MelWindows expects samples [B, {FRAME} * n], got {tuple(samples.shape)}.")
        steps = samples.shape[1] // FRAME
        state = self.state or self.fresh_state(samples.shape[0])
        sound = torch.cat([state.sound.to(samples), samples], 1)
        # Of step k the history ends where its own frame does.
        heard = sound.unfold(1, HISTORY, FRAME)[:, 1 : steps + 1]  # [B, n, HISTORY]
        number = state.frames[:, None] + torch.arange(steps, device=samples.device)  # [B, n] the frame that just came
        windows = self._windows(heard.double(), number)
        if self.state:
            self.state.sound = keep(sound[:, -HISTORY:], state.sound, exec_mask)
            self.state.frames = keep(state.frames + steps, state.frames, exec_mask)
        return windows

    def _windows(self, heard: Tensor, number: Tensor) -> Tensor:
        emphasised = heard.clone()
        emphasised[..., 1:] -= EMPHASIS * heard[..., :-1]
        frame = number - DELAY
        start = first_column(frame)[..., None] + torch.arange(COLUMNS, device=heard.device)  # [B, n, 16]
        centre = HOP * start.clamp(min=0)
        began = FRAME * (number + 1)[..., None] - HISTORY  # which sample the history begins with
        place = (centre - FFT // 2 - began)[..., None] + torch.arange(FFT, device=heard.device)  # [B, n, 16, FFT]
        pieces = torch.gather(emphasised[..., None, :].expand(*place.shape[:-1], -1), -1, place.clamp(0, HISTORY - 1))
        columns = _columns(pieces)
        columns = torch.where((frame >= 0)[..., None, None], columns, SILENCE)
        return columns.transpose(2, 3)
