"""Canonical keypoints turned, moved and deformed (SadTalker 3.3; face-vid2vid eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sadtalker.facerender.mapping_net import HeadMotion, degrees

HALF_TURN = 3.14  # what the released networks learned with, instead of pi


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Matrices [B, 3, 3] of angles [B] in degrees: pitch, yaw and roll, multiplied in this order."""
    y, p, r = (angle / 180.0 * HALF_TURN for angle in (yaw, pitch, roll))
    zero, one = torch.zeros_like(y), torch.ones_like(y)

    def matrix(*cells: Tensor) -> Tensor:
        return torch.stack(cells, 1).view(-1, 3, 3)

    pitching = matrix(one, zero, zero, zero, p.cos(), -p.sin(), zero, p.sin(), p.cos())
    yawing = matrix(y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos())
    rolling = matrix(r.cos(), -r.sin(), zero, r.sin(), r.cos(), zero, zero, zero, one)
    return torch.einsum("bij,bjk,bkm->bim", pitching, yawing, rolling)


def moved_keypoints(canonical: Tensor, motion: HeadMotion) -> Tensor:
    """Keypoints [B, K, 3] of a motion. Of its translation only y is used, as in the released code."""
    turn = rotation(degrees(motion.yaw), degrees(motion.pitch), degrees(motion.roll))
    turned = torch.einsum("bmp,bkp->bkm", turn, canonical)
    shift = motion.translation * motion.translation.new_tensor([0.0, 1.0, 0.0])
    return turned + shift[:, None] + motion.expression
