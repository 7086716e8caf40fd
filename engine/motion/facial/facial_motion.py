"""A voice in, facial motion out: the encoder and the generator together, with their weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.audio.encoder import AudioEncoder
from engine.audio.mel import cleaned
from engine.audio.wav2vec2 import Wav2Vec2Encoder
from engine.errors import VivifyError
from engine.motion.facial.facial_generator import FacialConfig, FacialMotionGenerator
from engine.streaming import State, StreamingModule

FORMAT = "vivify-facial-1"
FOREIGN = "encoder.backbone."  # a checkpoint of its own, which these weights only refer to

Encoder = AudioEncoder | Wav2Vec2Encoder


@dataclass
class FacialMotionState(State):
    """Its encoder and its generator remember for it."""


class FacialMotion(StreamingModule[FacialMotionState]):
    """The streaming model the pipeline calls, batched over sessions::

    model = FacialMotion.load(path)
    look_ahead = torch.tensor([2])  # frames of 40 ms, one per row
    with torch.inference_mode(), model.streaming(batch_size=1):
        features = model.encode(samples)  # [1, 640 * k] -> [1, k, F]
        shapes = model.animate(features, look_ahead)  # [1, k, 52], frame n - look_ahead once frame n is pushed
    """

    def __init__(self, config: FacialConfig | None = None, encoder: Encoder | None = None) -> None:
        super().__init__()
        self.encoder = encoder or AudioEncoder((config or FacialConfig()).features)
        self.config = replace(config or FacialConfig(), encoder=self.encoder.kind, features=self.encoder.width)
        self.generator = FacialMotionGenerator(self.config)

    def fresh_state(self, batch_size: int) -> FacialMotionState:
        return FacialMotionState(batch_size)

    def encode(self, samples: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """samples [B, 640 * k] float32 at 16 kHz, within [-1, 1] -> features [B, k, F].

        Samples are `cleaned`.
        """
        return self.encoder(cleaned(samples), exec_mask)

    def animate(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
    ) -> Tensor:
        """features [B, k, F], look_ahead [B] int64 in frames, identity code [B, 150] or None -> [B, k, 52] ARKit."""
        return self.generator.animate(features, look_ahead, identity, exec_mask)

    def utter(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`animate`, and beside it what is said: articulators and the probabilities of phones [B, k, 9 + P]."""
        return self.generator.utter(features, look_ahead, identity, exec_mask)

    def begin(self, mask: Tensor, seed: Tensor) -> None:
        """Start the rows of ``mask`` [B] anew with ``seed`` [B] int64; only when streaming."""
        self.encoder.reset(mask)
        self.generator.begin(mask, seed)

    def forget(self, mask: Tensor) -> None:
        """Drop what the rows of ``mask`` [B] heard and said: the mouth rests, brows go on. Only when streaming."""
        self.encoder.reset(mask)
        self.generator.forget(mask)

    def offset_lips(
        self,
        features: Tensor,
        look_ahead: Tensor,
        identity: Tensor | None = None,
        exec_mask: Tensor | None = None,
    ) -> Tensor:
        """The same frames' lip offsets [B, k, n, 3] in outer-eye-corner distances; n is 0 for weights without them."""
        return self.generator.offset_lips(features, look_ahead, identity, exec_mask)

    @classmethod
    def load(cls, path: Path, encoder: Encoder | None = None) -> FacialMotion:
        """The model of a weights file, ready for inference, on the bundled features or those of ``encoder``.

        Raises VivifyError for a missing or unfit file, and for features it was not trained with.
        """
        if not path.is_file():
            raise VivifyError(
                f"The facial motion weights were expected at {path}, but there is no such file: reinstall vivify or "
                "train them with scripts/train_facial."
            )
        try:
            with safe_open(str(path), framework="pt") as file:
                notes = file.metadata() or {}
            if notes.get("format") != FORMAT:
                raise VivifyError(
                    f"{path} should hold facial motion weights of format {FORMAT}, but says "
                    f"{notes.get('format', 'nothing')!r}: use the weights that came with this version."
                )
            config = FacialConfig(**json.loads(notes["config"]))
            given = encoder.kind if encoder else AudioEncoder.kind
            if config.encoder != given:
                raise VivifyError(
                    f"{path} was trained with {config.encoder} features, but {given} features are given: use weights "
                    "and features that belong together."
                )
            model = cls(config, encoder)
            absent = model.load_state_dict(load_file(str(path)), strict=False)
            wrong = [*absent.unexpected_keys, *(name for name in absent.missing_keys if not name.startswith(FOREIGN))]
            if wrong:
                raise ValueError(f"its tensors differ, such as {wrong[0]}")
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".: ")
            raise VivifyError(
                f"{path} should hold facial motion weights, but cannot be used ({reason}): restore the file or train "
                "it anew with scripts/train_facial."
            ) from error
        return model.eval().requires_grad_(False)

    def save(self, path: Path, notes: dict[str, str] | None = None) -> None:
        """Write weights and config as safetensors. ``notes`` are kept beside them as text."""
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = (notes or {}) | {"format": FORMAT, "config": json.dumps(asdict(self.config))}
        own = {name: value.contiguous() for name, value in self.state_dict().items() if not name.startswith(FOREIGN)}
        save_file(own, str(path), metadata)
