"""wav2vec 2.0 features over a bounded window (VividTalk section 3.2 uses them; the bundled default is `AudioEncoder`).

wav2vec 2.0 looks both ways over all it is given, so it cannot be fed piece by piece. Each vector is therefore computed
from a window of fixed length that ends with the newest frame, and from nothing else: however the sound was cut.
That costs a whole window of work per frame. A GPU has it to spare; a CPU does for small checkpoints alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from engine.contracts import SAMPLES_PER_FRAME
from engine.errors import VivifyError
from engine.streaming import State, StreamingModule, keep

if TYPE_CHECKING:
    from transformers import Wav2Vec2Model

WINDOW = 32  # frames a vector is computed from: 1.28 s
LOOK_AHEAD = 1  # frames of sound behind the one a vector describes
DITHER = 1e-3  # spread of a fixed noise added to every window: its normalisations would blow faint hiss up to speech


@dataclass
class Wav2Vec2State(State):
    tail: Tensor  # [B, 640 * (window - 1)] the sound before the next frame


class Wav2Vec2Encoder(StreamingModule[Wav2Vec2State]):
    """samples [B, 640 * k] float32 at 16 kHz -> features [B, k, width], as `AudioEncoder` gives them.

    Vector n is the mean over frame ``n - look_ahead`` of the last hidden states (50 a second), computed from the
    ``window`` frames that end with frame n, and brought to ``width`` by a linear map, the only part that is trained.
    Before the first frame there is silence.
    """

    dither: Tensor

    def __init__(self, backbone: Wav2Vec2Model, width: int, window: int = WINDOW, look_ahead: int = LOOK_AHEAD) -> None:
        super().__init__()
        if not 0 <= look_ahead < window:
            raise ValueError(f"The look-ahead must be from 0 to {window - 1} frames, but {look_ahead} came.")
        self.backbone = backbone.eval().requires_grad_(False)
        self.project = nn.Linear(backbone.config.hidden_size, width)
        noise = torch.randn(SAMPLES_PER_FRAME * window, generator=torch.Generator().manual_seed(0))
        self.register_buffer("dither", DITHER * noise, persistent=False)
        self.width, self.window, self.look_ahead = width, window, look_ahead

    @property
    def kind(self) -> str:
        """What motion weights must have been trained with to understand these features."""
        config = self.backbone.config
        size = f"{config.hidden_size}x{config.num_hidden_layers}"
        return f"wav2vec2 {size}, window {self.window}, look-ahead {self.look_ahead}"

    @classmethod
    def load(
        cls, checkpoint: str | Path, width: int, window: int = WINDOW, look_ahead: int = LOOK_AHEAD
    ) -> Wav2Vec2Encoder:
        """With the backbone of a local folder or of a hub id. Only safetensors are read.

        Raises VivifyError when the checkpoint cannot be had or is not wav2vec 2.0, or without the package.
        """
        try:
            from transformers import AutoConfig, Wav2Vec2Config, Wav2Vec2Model
        except ImportError:
            raise VivifyError(
                "wav2vec 2.0 features need the package transformers: pip install 'vivify[wav2vec2]'."
            ) from None
        try:
            config = AutoConfig.from_pretrained(checkpoint)
            if not isinstance(config, Wav2Vec2Config):
                raise ValueError(f"it is of type {config.model_type}")
            backbone = Wav2Vec2Model.from_pretrained(checkpoint, config=config, use_safetensors=True)
        except (OSError, ValueError) as problem:
            reason = str(problem).splitlines()[0].rstrip(".: ")
            raise VivifyError(
                f"A wav2vec 2.0 checkpoint with safetensors was expected at {checkpoint}, but cannot be used "
                f"({reason}): give a folder or a hub id that has one."
            ) from problem
        return cls(backbone, width, window, look_ahead)

    def train(self, mode: bool = True) -> Wav2Vec2Encoder:
        """The backbone stays as it is: no dropout, no masking."""
        super().train(mode)
        self.backbone.eval()
        return self

    def fresh_state(self, batch_size: int) -> Wav2Vec2State:
        tail = self.project.weight.new_zeros(batch_size, SAMPLES_PER_FRAME * (self.window - 1))
        return Wav2Vec2State(batch_size, tail)

    def forward(self, samples: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """See the class. Raises ValueError when the samples do not fill whole frames."""
        if samples.dim() != 2 or samples.shape[1] % SAMPLES_PER_FRAME:
            raise ValueError(
                f"Wav2Vec2Encoder expects samples [B, {SAMPLES_PER_FRAME} * k], got {tuple(samples.shape)}."
            )
        history = SAMPLES_PER_FRAME * (self.window - 1)
        state = self._state
        tail = state.tail if state else samples.new_zeros(samples.shape[0], history)
        padded = torch.cat([tail, samples], 1)
        if state:
            state.tail = keep(padded[:, padded.shape[1] - history :], tail, exec_mask)
        windows = padded.unfold(1, SAMPLES_PER_FRAME * self.window, SAMPLES_PER_FRAME)  # [B, k, 640 * window]
        return self.project(self._hidden(windows.flatten(0, 1))).unflatten(0, windows.shape[:2])

    def _hidden(self, windows: Tensor) -> Tensor:
        """windows [N, 640 * window] -> the hidden state of the frame each of them describes [N, H]."""
        heard = windows + self.dither
        scaled = (heard - heard.mean(1, keepdim=True)) / heard.std(1, keepdim=True)  # as wav2vec 2.0 was trained
        with torch.no_grad():
            hidden = self.backbone(scaled).last_hidden_state  # [N, T, H], T = 2 * window - 1: 50 a second
        end = hidden.shape[1] - 2 * self.look_ahead
        return hidden[:, max(0, end - 2) : end].mean(1)
