"""The discriminator over stretches of relative poses, with which PoseVAE is trained (SadTalker eq. 12)."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNormReLU(nn.Module):
    """A convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, 1, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        nn.init.kaiming_normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).relu()
        return y


class PoseDiscriminator(nn.Module):
    """Relative poses [B, T, P] -> a score for every four frames [B, T // 4]."""

    def __init__(self, pose: int = 6, width: int = 256) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNormReLU(pose, width, 4, 2),
            ConvNormReLU(width, 2 * width, 4, 2),
            ConvNormReLU(2 * width, 4 * width, 3, 1),
            nn.Conv1d(4 * width, 1, 3, padding=1),
        )

    def forward(self, motion: Tensor) -> Tensor:
        scores: Tensor = self.seq(motion.transpose(1, 2))
        return scores[:, 0]
