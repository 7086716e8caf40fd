"""aiortc's H.264 encoder, made to say which colours it sends."""

from __future__ import annotations

from typing import Any

from aiortc.codecs.h264 import H264Encoder

BT709, BT601, LIMITED = 1, 6, 1  # as H.264's annex E numbers them


class TaggedEncoder(H264Encoder):
    """Our planes are BT.601; where nothing is said, chromium takes H.264 of any size for BT.709: red 10 of 255 too much.

    aiortc assigns a new codec context to ``codec`` before it is opened; there it is told.
    """

    @property
    def codec(self) -> Any:
        return self._codec

    @codec.setter
    def codec(self, context: Any) -> None:
        self._codec = context
        if context is not None:
            context.colorspace, context.color_range = BT601, LIMITED
            context.color_primaries, context.color_trc = BT709, BT709
