"""Train the head pose in two phases (VividTalk 3.2 and 3.4): first codebook and decoder, then, with both frozen, the
mapping from sound to codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import Progress, TextColumn
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.motion.head.head_pose import HeadPose, PoseConfig
from engine.motion.head.pose_codebook import PoseEncoder, per_frame, perplexity, scale
from engine.motion.head.pose_mapping import draw
from engine.training.pose.pose_data import HeadBatch, Heads, crop

COMMIT = 0.25  # weight of the encoder's share of eq. 12
SPEED = 15.0  # weight of the difference between frames, beside the poses themselves
_OWN = 0.5  # of the rows hear what the mapping itself would have said, at the end of the training
_WRONG = 0.06  # of the codes before are wrong ones, so that one odd code does not lead astray


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train, and the two ablations of the paper's Table 3."""

    codebook_steps: int = 3000
    mapping_steps: int = 5000
    rows: int = 24
    frames: int = 240
    rate: float = 1.5e-3
    seed: int = 0
    filmed: float = 0.25  # of the crops are of real heads
    relative: bool = True
    initial: bool = True


class PoseTrainer:
    """Model and encoder, and what both phases have in common."""

    def __init__(self, plan: Plan, sources: dict[str, Heads], config: PoseConfig | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.sources = plan, sources
        self.model = HeadPose(config)
        self.encoder = PoseEncoder(self.model.config.dim, self.model.config.code_dim)

    def batch(self, rng: np.random.Generator) -> HeadBatch:
        """Crops of filmed and of imagined heads."""
        plan = self.plan
        real = int(rng.binomial(plan.rows, plan.filmed)) if "filmed" in self.sources else 0
        counts = {"filmed": real, "imagined": plan.rows - real}
        parts = [crop(rng, self.sources[k], n, plan.frames, plan.relative) for k, n in counts.items() if n]
        whole = HeadBatch(*(torch.cat([getattr(part, name) for part in parts]) for name in HeadBatch.__annotations__))
        return whole if plan.initial else replace(whole, start=torch.zeros_like(whole.start))

    def run(self, name: str, steps: int, parameters: list[torch.nn.Parameter], step) -> None:  # type: ignore[no-untyped-def]
        """Optimise ``parameters`` for ``steps`` steps of ``step(rng, progress) -> dict of losses``."""
        optimiser = torch.optim.AdamW(parameters, self.plan.rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.plan.rate, steps + 1, pct_start=0.08)
        smooth: dict[str, float] = {}
        with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[loss]}")) as bar:
            task = bar.add_task(name, total=steps, loss="")
            for k in range(steps):
                terms = step(np.random.default_rng((self.plan.seed, len(name), k)), k / steps)
                loss = torch.stack([value for value in terms.values() if value.requires_grad]).sum()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                schedule.step()
                for key, value in terms.items():
                    smooth[key] = 0.98 * smooth.get(key, float(value.detach())) + 0.02 * float(value.detach())
                text = " ".join(f"{key} {value:.3f}" for key, value in smooth.items())
                bar.update(task, advance=1, loss=text)
                if k % 500 == 499:
                    bar.console.print(f"{name} step {k + 1}: {text}", soft_wrap=True)

    def codebook_step(self, rng: np.random.Generator, progress: float) -> dict[str, Tensor]:
        """Eq. 12: reconstruct relative poses through the closest codes, gradients going straight through."""
        poses = self.batch(rng).poses
        z = self.encoder(poses)
        quantized, index = self.model.codebook.quantize(z)
        self.model.codebook.learn(z.detach().flatten(0, 1), index.flatten())
        straight = z + (quantized - z).detach()
        said = self.model.decoder(*per_frame(straight))
        return {
            "pose": F.mse_loss(said, poses),
            "speed": SPEED * F.mse_loss(said.diff(dim=1), poses.diff(dim=1)),
            "commit": COMMIT * F.mse_loss(z, quantized.detach()),
            "perplexity": torch.tensor(perplexity(index, len(self.model.codebook.codes))),
        }

    def mapping_step(self, rng: np.random.Generator, progress: float) -> dict[str, Tensor]:
        """Eq. 13, and the likelihood of the true codes under the draw that `HeadPose` makes."""
        batch, model = self.batch(rng), self.model
        with torch.no_grad():
            codes, index = model.codebook.quantize(self.encoder(batch.poses))
        heard = model.mapping.hear(batch.features, batch.speaking)
        before = self._before(rng, batch, codes, heard, progress)
        logits = model.mapping(before, batch.style, batch.start, heard)
        expected = torch.softmax(logits, -1) @ model.codebook.codes
        said = model.decoder(*per_frame(expected))
        return {
            "codes": F.cross_entropy(logits.flatten(0, 1), index.flatten()),
            "point": 0.02 * F.mse_loss(expected, codes),
            "pose": 0.3 * F.mse_loss(said, batch.poses),
        }

    def figures(self) -> dict[str, float]:
        """The codebook's perplexity, the share of codes in use, and what it leaves of poses, in degrees (rms)."""
        indices, squares = [], []
        with torch.no_grad():
            for k in range(40):
                poses = self.batch(np.random.default_rng((77, k))).poses
                codes, index = self.model.codebook.quantize(self.encoder(poses))
                said = self.model.decoder(*per_frame(codes))
                indices.append(index.flatten())
                squares.append(((said - poses) * scale(poses))[..., :3].square().mean())
        size = len(self.model.codebook.codes)
        index = torch.cat(indices)
        error = float(torch.rad2deg(torch.stack(squares).mean().sqrt()))
        used = len(index.unique()) / size
        named = {"codes": size, "perplexity": perplexity(index, size), "used": used, "error_degrees": error}
        return {key: round(value, 3) for key, value in named.items()}

    def _before(
        self, rng: np.random.Generator, batch: HeadBatch, codes: Tensor, heard: list, progress: float
    ) -> Tensor:
        """The codes before each step: the true ones, some wrong, and in a growing share of rows the mapping's own."""
        book = self.model.codebook.codes
        before = F.pad(codes[:, :-1], (0, 0, 1, 0))
        with torch.no_grad():
            said = self.model.mapping(before, batch.style, batch.start, heard)
            own = draw(said, torch.rand(said.shape[:2]), 1.0)
        own_before = F.pad(book[own][:, :-1], (0, 0, 1, 0))
        rows = torch.from_numpy(rng.random(len(codes)) < _OWN * progress)[:, None, None]
        some = torch.rand(before.shape[:2])[..., None] < 0.5
        before = torch.where(rows & some, own_before, before)
        wrong = torch.rand(before.shape[:2])[..., None] < _WRONG
        return torch.where(wrong, book[torch.randint(len(book), before.shape[:2])], before)

    def train(self, folder: Path) -> HeadPose:
        """Both phases; a phase found done in ``folder`` is not done again."""
        first, second = folder / "codebook.safetensors", folder / "mapping.safetensors"
        if not first.exists():
            model = self.model.train()
            self.run("Codebook", self.plan.codebook_steps, self._own(model.decoder, self.encoder), self.codebook_step)
            self._save(first)
        self._load(first)
        self.model.codebook.requires_grad_(False)
        self.model.decoder.requires_grad_(False)
        self.encoder.requires_grad_(False)
        if not second.exists():
            self.model.train()
            self.run("Mapping", self.plan.mapping_steps, self._own(self.model.mapping), self.mapping_step)
            self._save(second)
        self._load(second)
        return self.model.eval()

    @staticmethod
    def _own(*modules: torch.nn.Module) -> list[torch.nn.Parameter]:
        return [p for module in modules for p in module.parameters() if p.requires_grad]

    def _save(self, path: Path) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"encoder.{k}": v for k, v in self.encoder.state_dict().items()}
        part = path.with_suffix(".part")
        save_file({k: v.contiguous() for k, v in tensors.items()}, str(part))
        part.replace(path)

    def _load(self, path: Path) -> None:
        tensors = load_file(str(path))
        self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        self.encoder.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("encoder.")})
