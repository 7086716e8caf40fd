"""The sizes of the face render's networks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RenderShape:
    """The defaults are those of the released weights, for 256 and for 512 pixels."""

    keypoints: int = 15
    bins: int = 66  # of an angle, 3 degrees each
    block: int = 64  # channels at full size
    flat: int = 512  # channels of the flattened volume
    depth: int = 16
    residuals: int = 6  # residual blocks of the volume
    compressed: int = 4  # channels of the volume that motions are tried on
    motion_block: int = 32
    motion_most: int = 1024
    motion_blocks: int = 5
    finder_block: int = 32
    finder_most: int = 1024
    finder_blocks: int = 5
    middles: int = 6  # blocks of the decoder before it grows
    hidden: int = 128  # channels inside a SPADE norm
    descriptor: int = 1024  # of MappingNet

    @property
    def volume(self) -> int:
        """Channels of the volume."""
        return self.flat // self.depth
