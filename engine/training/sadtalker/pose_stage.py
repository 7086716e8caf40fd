"""`scripts/train_sadtalker pose`: PoseVAE and its discriminator (SadTalker B.3, eq. 11-13)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.contracts import FloatArray
from engine.sadtalker.voice.pose_discriminator import PoseDiscriminator
from engine.sadtalker.voice.pose_vae import PoseShape, PoseVAE
from engine.training.sadtalker.head_clips import HeadBatch, HeadClips, draw
from engine.training.sadtalker.stage_trainer import Plan, Side, StageTrainer, Terms

FORMAT = "vivify-posevae-1"


@dataclass(frozen=True)
class PosePlan(Plan):
    """The paper's rate and weights (eq. 13); it gives no number of steps or rows."""

    steps: int = 20_000
    rate: float = 1e-4
    rows: int = 32
    mse: float = 1.0
    kl: float = 1.0
    gan: float = 0.7
    speed: float = 0.0  # of the difference between frames, which the paper has not


class PoseStage(StageTrainer):
    """PoseVAE over ``sources`` in ``folder``; its audio encoder is given (ExpNet's, or Wav2Lip's) and stays."""

    def __init__(
        self,
        plan: PosePlan,
        sources: list[HeadClips],
        folder: Path,
        shape: PoseShape | None = None,
        encoder: dict[str, Tensor] | None = None,
        judge_width: int = 256,
    ) -> None:
        torch.manual_seed(plan.seed)
        self.net = PoseVAE(shape or PoseShape(own_variance=True))
        self.judge = PoseDiscriminator(self.net.shape.pose, judge_width)
        if encoder is not None:
            self.net.audio_encoder.load_state_dict(encoder)
        self.net.audio_encoder.requires_grad_(False)
        self._plan, self._sources = plan, sources
        sides = [Side("net", self.net, self._losses), Side("judge", self.judge, self._verdicts)]
        super().__init__("pose", plan, sides, folder)
        self._features = [self._heard(source) for source in sources]

    def _heard(self, source: HeadClips) -> FloatArray:
        """Features [n, D] of every frame: what an encoder that stays says is said once."""
        self.net.audio_encoder.eval()
        found = []
        with torch.no_grad():
            for stream in range(len(source.styles)):
                frames = np.arange(source.heard.frames(stream))
                for piece in np.array_split(frames, max(1, len(frames) // 256)):
                    windows = torch.from_numpy(source.heard.windows(stream, piece))[None]
                    found.append(self.net.hear(windows)[0].numpy().astype(np.float16))
        return np.concatenate(found)

    def _batch(self, rng: np.random.Generator) -> HeadBatch:
        self.net.audio_encoder.eval()
        return draw(rng, self._sources, self._plan.rows, self._features, self.net.shape.frames)

    def _losses(self, rng: np.random.Generator) -> Terms:
        batch, plan = self._batch(rng), self._plan
        noise = torch.randn(len(batch.style), self.net.shape.latent)
        said, mean, log_variance = self.net(batch.motion, batch.audio, batch.reference, batch.style, noise)
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
        terms = {
            "mse": plan.mse * (said - batch.motion).square().sum(2).mean(),
            "kl": plan.kl * kl,
            "gan": plan.gan * F.mse_loss(*_asked(self.judge(said), 1.0)),
        }
        if plan.speed:
            terms["speed"] = plan.speed * (said.diff(dim=1) - batch.motion.diff(dim=1)).square().sum(2).mean()
        return terms

    def _verdicts(self, rng: np.random.Generator) -> Terms:
        """The discriminator's side of eq. 12, least squares as in the Speech2Gesture that the paper refers to."""
        batch = self._batch(rng)
        noise = torch.randn(len(batch.style), self.net.shape.latent)
        with torch.no_grad():
            said = self.net(batch.motion, batch.audio, batch.reference, batch.style, noise)[0]
        real = F.mse_loss(*_asked(self.judge(batch.motion), 1.0))
        made = F.mse_loss(*_asked(self.judge(said), 0.0))
        return {"real": self._plan.gan * real, "made": self._plan.gan * made}

    def export(self, path: Path, style: int) -> None:
        """The decoder and what it hears through, ``style`` being the one of somebody of whom nothing is known."""
        path.parent.mkdir(parents=True, exist_ok=True)
        config = asdict(self.net.shape) | {"style": style}
        notes = {"format": FORMAT, "config": json.dumps(config), "plan": json.dumps(asdict(self.plan))}
        kept: dict[str, nn.Module] = {"audio_encoder": self.net.audio_encoder, "decoder": self.net.decoder}
        tensors = {f"{name}.{k}": v.contiguous() for name, part in kept.items() for k, v in part.state_dict().items()}
        save_file(tensors, str(path), notes)


def _asked(scores: Tensor, value: float) -> tuple[Tensor, Tensor]:
    return scores, torch.full_like(scores, value)
