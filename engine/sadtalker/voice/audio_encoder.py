"""The audio encoder of Wav2Lip (Prajwal et al. 2020), which ExpNet and PoseVAE each hold a copy of.

Names of parameters are those of the released files, as in every network of this folder: importing is a check, and no
translation.
"""

from __future__ import annotations

from torch import Tensor, nn

MELS, COLUMNS = 80, 16  # of one frame's window: 0.2 s


class ConvBlock(nn.Module):
    """A convolution, batch norm, the input once more where it is residual, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int | tuple[int, int] = 1,
        padding: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv_block(x)
        return (y + x if self.residual else y).relu()


def audio_encoder(width: int = 32) -> nn.Sequential:
    """Thirteen blocks: windows [N, 1, MELS, COLUMNS] -> features [N, 16 * width, 1, 1]; the paper's width is 32."""
    w2, w4, w8, w16 = 2 * width, 4 * width, 8 * width, 16 * width
    return nn.Sequential(
        ConvBlock(1, width),
        ConvBlock(width, width, residual=True),
        ConvBlock(width, width, residual=True),
        ConvBlock(width, w2, stride=(3, 1)),
        ConvBlock(w2, w2, residual=True),
        ConvBlock(w2, w2, residual=True),
        ConvBlock(w2, w4, stride=3),
        ConvBlock(w4, w4, residual=True),
        ConvBlock(w4, w4, residual=True),
        ConvBlock(w4, w8, stride=(3, 2)),
        ConvBlock(w8, w8, residual=True),
        ConvBlock(w8, w16, padding=0),
        ConvBlock(w16, w16, kernel=1, padding=0),
    )


def encode_windows(encoder: nn.Module, windows: Tensor) -> Tensor:
    """Features [B, T, D] of mel windows [B, T, MELS, COLUMNS]; each frame by itself, rows never mixed.

    Raises ValueError for windows of another shape.
    """
    if windows.dim() != 4 or tuple(windows.shape[2:]) != (MELS, COLUMNS):
        raise ValueError(f"An audio encoder expects windows [B, T, {MELS}, {COLUMNS}], got {tuple(windows.shape)}.")
    rows, frames = windows.shape[:2]
    features: Tensor = encoder(windows.reshape(rows * frames, 1, MELS, COLUMNS))
    return features.reshape(rows, frames, -1)
