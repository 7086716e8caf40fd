"""Coefficients of a whole film from its voice: the released code's way, "exact"."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.sadtalker.talking.blinks import film_blinks
from engine.sadtalker.talking.pose_film import latents, whole_film_poses
from engine.sadtalker.voice.exp_net import EXPRESSION, ExpNet
from engine.sadtalker.voice.mel_windows import mel_windows
from engine.sadtalker.voice.pose_vae import PoseVAE
from engine.sadtalker.weights.weight_file import Weights

AT_ONCE = 10  # frames that ExpNet is called for; any number gives the same
MOVING = 70  # coefficients without the alignment's


@dataclass(frozen=True)
class Wishes:
    """What may be asked of a face. ``style`` is one of 46; ``scale`` makes expressions stronger; ``still`` keeps the
    head as in the photo; ``pose`` and ``blink`` [T, 73] are coefficients of other films, whose head and eyes to follow.
    """

    style: int = 0
    scale: float = 1.0
    still: bool = False
    blinking: bool = True
    full: bool = False
    pose: Tensor | None = None
    blink: Tensor | None = None

    def checked(self, styles: int) -> Wishes:
        """Raises VivifyError for a style that there is not, or an odd scale."""
        if not 0 <= self.style < styles:
            raise VivifyError(f"--style was expected to lie between 0 and {styles - 1}, but {self.style} was given.")
        if not 0.0 < self.scale <= 3.0:
            raise VivifyError(f"--expression-scale was expected to lie above 0, 3 at most, but {self.scale} was given.")
        return self


def film_motion(weights: Weights, samples: FloatArray, source: Tensor, wishes: Wishes, seed: int) -> Tensor:
    """Coefficients [T, 70] (or 73 for "full") of a voice [N] at 16 kHz; ``source`` [73] is the portrait's.

    The rest of the recording that fills no frame has none. One seed gives one film.
    """
    windows = mel_windows(samples)
    frames = len(windows)
    width = 73 if wishes.full else MOVING
    if frames == 0:
        return torch.zeros(0, width)
    reference = source[:EXPRESSION].expand(frames, -1)
    blinks = torch.from_numpy(film_blinks(frames, seed)) if wishes.blinking else torch.zeros(frames)
    if wishes.blink is not None:
        reference, blinks = looped(wishes.blink[:, :EXPRESSION], frames), torch.zeros(frames)
    with torch.inference_mode():
        expression = _expressions(weights.network("expression", ExpNet), windows, reference, blinks)
        network = weights.network("pose", PoseVAE)
        wishes.checked(network.shape.styles)
        drawn = latents(-(-frames // network.shape.frames), network.shape.latent, seed)
        poses = whole_film_poses(network, windows, source[EXPRESSION:MOVING], wishes.style, drawn)
    if wishes.pose is not None:
        followed = looped(wishes.pose[:, EXPRESSION:MOVING], frames)
        poses = poses + followed - followed[:1]
    if wishes.still:
        poses = source[EXPRESSION:MOVING].expand(frames, -1)
    moving = torch.cat([wishes.scale * expression, poses], 1)
    return torch.cat([moving, source[MOVING:].expand(frames, -1)], 1) if wishes.full else moving


def _expressions(network: ExpNet, windows: Tensor, reference: Tensor, blinks: Tensor) -> Tensor:
    parts = zip(windows.split(AT_ONCE), reference.split(AT_ONCE), blinks.split(AT_ONCE), strict=True)
    return torch.cat([network(heard[None], like[None], shut[None])[0] for heard, like, shut in parts])


def looped(coefficients: Tensor, frames: int) -> Tensor:
    """As many frames of a film, which begins again at its end."""
    return coefficients[torch.arange(frames) % len(coefficients)]
