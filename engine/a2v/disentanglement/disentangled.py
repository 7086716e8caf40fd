"""All networks of the disentanglement, what each gives, and their weights on disk."""

from __future__ import annotations

from math import log
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.a2v.disentanglement.encoders import encoder
from engine.a2v.disentanglement.network_sizes import Sizes
from engine.a2v.disentanglement.scale_judge import ScaleJudge
from engine.a2v.disentanglement.style_generator import Generator
from engine.errors import VivifyError

STAGES = ("pretrain", "lips", "nonlips", "generator")  # in the order they are trained in
FIRST_FACTOR = 1 / 0.07  # on similarities of pictures and sounds, where CLIP begins


class Disentangled(nn.Module):
    """The networks of I.2 but for the prior. P pixels a side; F, N, L features in all, of non-lips and of lips.

    pictures [B, 3, P, P] in [0, 1]; mels [B, 20, 40], the log-mel features of 0.2 s around a picture's middle.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.identity = encoder(sizes.identity, 3, sizes.appearance, sizes.plain)
        self.visual = encoder(sizes.visual, 3, sizes.features, sizes.plain)
        self.audio = encoder(sizes.audio, 1, sizes.features, sizes.plain)
        self.mlp_ol = nn.Linear(sizes.features, sizes.features)
        self.mlp_cl = nn.Linear(sizes.features, sizes.features)
        self.mlp_nl = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(sizes.features, sizes.nonlips))
        self.mlp_a2l = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(sizes.features, sizes.lips))
        self.factor = nn.ParameterDict({"log": torch.tensor(log(FIRST_FACTOR))})
        self.generator = Generator(sizes.style, sizes.start, sizes.channels)
        self.judge = ScaleJudge(sizes.judge, sizes.judge_layers, sizes.judge_scales)

    def appearance(self, pictures: Tensor) -> Tensor:
        """Who it is, from any picture of them [B, appearance]."""
        return self.identity(pictures)

    def seen(self, pictures: Tensor) -> Tensor:
        """f_v [B, F]: what the face does, whoever it is."""
        return self.visual(pictures)

    def lips_seen(self, seen: Tensor) -> Tensor:
        """f_cl [B, F] of unit length, out of f_v: where sound and lips meet."""
        return F.normalize(self.mlp_cl(seen), dim=1)

    def heard(self, mels: Tensor) -> Tensor:
        """f_a [B, F] of unit length, out of sound: in the same space as f_cl."""
        return F.normalize(self.audio(mels[:, None]), dim=1)

    def lips(self, met: Tensor) -> Tensor:
        """f_l [B, L], out of f_cl or f_a."""
        return self.mlp_a2l(met * met.shape[1] ** 0.5)

    def apart(self, seen: Tensor) -> Tensor:
        """f_ol [B, F], out of f_v: what is not the lips'."""
        return self.mlp_ol(seen)

    def nonlips(self, apart: Tensor) -> Tensor:
        """f_nl [B, N], out of f_ol: what the prior samples."""
        return self.mlp_nl(apart)

    def draw(self, appearance: Tensor, nonlips: Tensor, lips: Tensor) -> Tensor:
        """Pictures of f_cat: somebody, with one face's movement and another's, or a sound's, lips."""
        return self.generator(torch.cat([appearance, nonlips, lips], 1))

    def save(self, path: Path, stage: str, steps: int) -> None:
        """Write the weights, trained as far as ``stage``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        tensors = {key: value.detach().cpu().clone().contiguous() for key, value in self.state_dict().items()}
        save_file(tensors, str(part), {"stage": stage, "steps": str(steps), "sizes": self.sizes.told()})
        part.replace(path)

    @classmethod
    def load(cls, path: Path, stage: str = "generator") -> Disentangled:
        """The networks of a weights file, trained at least as far as ``stage``.

        Pictures of a generator before its own stage are nothing to be shown. Raises VivifyError when the file cannot be
        read or is not as far.
        """
        try:
            with safe_open(str(path), "pt") as file:
                told = file.metadata() or {}
            sizes, reached = Sizes.of(told.get("sizes", "")), told.get("stage", "")
            net = cls(sizes)
            net.load_state_dict(load_file(str(path)))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise VivifyError(
                f"'{path}' was expected to hold weights of scripts/train_a2v, but cannot be read: train them first."
            ) from error
        if reached not in STAGES or STAGES.index(reached) < STAGES.index(stage):
            raise VivifyError(
                f"'{path}' was expected to be trained as far as the stage '{stage}', but has come to '{reached}': run "
                f"scripts/train_a2v {stage}."
            )
        return net.eval()
