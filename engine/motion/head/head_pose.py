"""Head poses from a voice, streaming and sampled (VividTalk eq. 7): sound features, mapping, codebook, decoder.

Time: the pose that comes with frame n of sound knows the sound up to the end of frame n. Shown with an earlier frame
(the engine's look-ahead) it comes sooner after its sound: nods were taught to be lowest 300 ms after the stress, and at
the usual 80 ms of look-ahead they are seen 220 ms after it, as on filmed heads.

Everything drawn is a function of the row's seed and the number of its steps, never of what other rows do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.audio.mel import BANDS, HOP, LogMel, cleaned
from engine.contracts import SAMPLES_PER_FRAME
from engine.errors import VivifyError
from engine.motion.head.pose_codebook import FRAMES_PER_CODE, POSE, Codebook, PoseDecoder, constant, scale
from engine.motion.head.pose_mapping import STYLE, PoseMapping, draw
from engine.motion.prior.nonlip import LIMITS
from engine.streaming import State, StreamingModule, keep

FORMAT = "vivify-pose-1"
SOUND_BANDS = 8
SOUND = SOUND_BANDS * SAMPLES_PER_FRAME // HOP  # features a frame: 8 bands, four times
_RISE = 25  # frames in which a row's head begins to move


@dataclass(frozen=True)
class PoseConfig:
    """Sizes of the networks; travels with the weights."""

    codes: int = 256
    code_dim: int = 24
    dim: int = 64
    layers: int = 2
    heads: int = 4
    context: int = 48  # codes the mapping looks back over
    hearing: int = 64  # frames of sound it looks back over
    temperature: float = 1.0
    style: tuple[float, ...] = (0.3, 0.12)  # of somebody of whom nothing is known: as fast as filmed heads


def sound_features(mel: Tensor) -> Tensor:
    """mel [B, 4 k, 40] -> features [B, k, 32]: eight broad bands, each at the four hops of a frame."""
    broad = mel.unflatten(2, (SOUND_BANDS, BANDS // SOUND_BANDS)).mean(3)
    return broad.reshape(mel.shape[0], -1, SOUND)


def uniform(seed: Tensor, count: Tensor) -> Tensor:
    """Numbers in [0, 1) that look random, by seed [B] and step [B] int64 (the mixing steps of splitmix64)."""
    x = seed * -7046029254386353131 + (count + 1) * -4658895280553007687
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685), (31, 1)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return ((x >> 11) & ((1 << 53) - 1)).double() / float(1 << 53)


def within(pose: Tensor) -> Tensor:
    """Poses [..., 6] inside `LIMITS`: untouched up to 60 % of them, bent softly from there on."""
    limit = constant(LIMITS, pose.dtype, pose.device)
    free = 0.6 * limit
    over = (pose.abs() - free).clamp(min=0)
    return pose.clamp(-free, free) + pose.sign() * 0.4 * limit * torch.tanh(over / (0.4 * limit)) * 0.999


@dataclass
class HeadPoseState(State):
    code: Tensor  # [B, 1, D] what is being shown
    count: Tensor  # [B] frames so far
    seed: Tensor  # [B]
    style: Tensor  # [B, STYLE], added to the config's
    start: Tensor  # [B, 6] P0, scaled


class HeadPose(StreamingModule[HeadPoseState]):
    """The streaming model the pipeline calls, batched over sessions::

    model = HeadPose.load(path)
    with torch.inference_mode(), model.streaming(batch_size=1):
        model.begin(torch.tensor([True]), torch.tensor([7]))  # row 0 starts anew with seed 7
        pose = model(samples, speaking)  # [1, 640 * k], [1, k] bool -> [1, k, 6]
    """

    def __init__(self, config: PoseConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PoseConfig()
        # Whether a step thinks of a next code; None: where one is due, which reads a value back, as CUDA graphs and
        # exported programs cannot.
        self.thinks: bool | None = None
        self.given_chance: Tensor | None = None  # [B], drawn by somebody else instead of `uniform`
        self.mel = LogMel()
        self.codebook = Codebook(c.codes, c.code_dim)
        self.decoder = PoseDecoder(c.dim, c.code_dim)
        self.mapping = PoseMapping(SOUND, c.codes, c.code_dim, c.dim, c.layers, c.heads, c.context, c.hearing)

    def fresh_state(self, batch_size: int) -> HeadPoseState:
        like = self.codebook.codes
        whole = torch.zeros(batch_size, dtype=torch.int64, device=like.device)
        return HeadPoseState(
            batch_size,
            like.new_zeros(batch_size, 1, self.config.code_dim),
            whole,
            whole.clone(),
            like.new_zeros(batch_size, STYLE),
            like.new_zeros(batch_size, POSE),
        )

    def begin(self, mask: Tensor, seed: Tensor, style: Tensor | None = None, start: Tensor | None = None) -> None:
        """Start the rows of ``mask`` [B] anew: seed [B] int64, style [B, 2] beside the usual, P0 [B, 6] from rest."""
        self.reset(mask)
        state = self._require()
        state.seed = keep(seed, state.seed, mask)
        if style is not None:
            state.style = keep(style, state.style, mask)
        if start is not None:
            state.start = keep(start / scale(start), state.start, mask)

    def _require(self) -> HeadPoseState:
        if self._state is None:
            raise RuntimeError("HeadPose begins rows only inside `with model.streaming(...)`.")
        return self._state

    def forward(self, samples: Tensor, speaking: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """samples [B, 640 * k] at 16 kHz, speaking [B, k] bool -> poses [B, k, 6] relative to P0.

        yaw, pitch, roll in radians and x, y, z in outer-eye-corner distances, within `LIMITS`. Raises ValueError when
        the samples do not fill the frames.
        """
        if samples.dim() != 2 or samples.shape[1] != SAMPLES_PER_FRAME * speaking.shape[1]:
            raise ValueError(
                f"HeadPose expects samples [B, {SAMPLES_PER_FRAME} * k] and speaking [B, k], "
                f"got {tuple(samples.shape)} and {tuple(speaking.shape)}."
            )
        if not self.is_streaming:
            with self.streaming(samples.shape[0]):
                return self.forward(samples, speaking, exec_mask)
        return self.move(self.mel(cleaned(samples), exec_mask), speaking, exec_mask)

    def move(self, mel: Tensor, speaking: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """`forward` from mel [B, 4 k, 40] on; only when streaming."""
        features = sound_features(mel)
        steps = [
            self._step(features[:, k : k + 1], speaking[:, k : k + 1], exec_mask) for k in range(speaking.shape[1])
        ]
        return torch.cat(steps, 1)

    def _step(self, features: Tensor, speaking: Tensor, exec_mask: Tensor | None) -> Tensor:
        """One frame: features [B, 1, 32], speaking [B, 1] -> pose [B, 1, 6]. A new code is due every fourth frame."""
        state = self._require()
        heard = self.mapping.hear(features, speaking, exec_mask)
        phase = state.count % FRAMES_PER_CODE
        due = phase == 0 if exec_mask is None else (phase == 0) & exec_mask
        if self.thinks if self.thinks is not None else bool(due.any()):
            style = state.style + constant(self.config.style, state.style.dtype, state.style.device)
            logits = self.mapping(state.code, style, state.start, heard, due)
            chance = uniform(state.seed, state.count) if self.given_chance is None else self.given_chance
            index = draw(logits, chance[:, None], self.config.temperature)
            state.code = keep(self.codebook.codes[index], state.code, due)
        pose = self.decoder(state.code, phase[:, None], exec_mask)
        rise = ((state.count + 1).to(pose.dtype) / _RISE).clamp(max=1)[:, None, None]
        state.count = keep(state.count + 1, state.count, exec_mask)
        return within(pose * scale(pose) * rise * rise * (3 - 2 * rise))

    @classmethod
    def load(cls, path: Path) -> HeadPose:
        """The model of a weights file, ready for inference. Raises VivifyError for a missing or unfit file."""
        if not path.is_file():
            raise VivifyError(
                f"The head pose weights were expected at {path}, but there is no such file: reinstall vivify or train "
                "them with scripts/train_pose."
            )
        try:
            with safe_open(str(path), framework="pt") as file:
                notes = file.metadata() or {}
            if notes.get("format") != FORMAT:
                raise VivifyError(
                    f"{path} should hold head pose weights of format {FORMAT}, but says "
                    f"{notes.get('format', 'nothing')!r}: use the weights that came with this version."
                )
            values = json.loads(notes["config"])
            model = cls(PoseConfig(**values | {"style": tuple(values["style"])}))
            model.load_state_dict(load_file(str(path)))
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".: ")
            raise VivifyError(
                f"{path} should hold head pose weights, but cannot be used ({reason}): restore the file or train it "
                "anew with scripts/train_pose."
            ) from error
        return model.eval().requires_grad_(False)

    def save(self, path: Path, notes: dict[str, str] | None = None) -> None:
        """Write weights and config as safetensors. ``notes`` are kept beside them as text."""
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = (notes or {}) | {"format": FORMAT, "config": json.dumps(asdict(self.config))}
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, str(path), metadata)
