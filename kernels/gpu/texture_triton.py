# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""The colour of a place in a texture, in Triton: a bilinear tap, its mirrored twin, and shade."""

from __future__ import annotations

import triton
import triton.language as tl

from kernels.plain.scene_reference import MIRRORED

SHARE: tl.constexpr = tl.constexpr(MIRRORED)


@triton.jit
def _tap(atlas, c, j, i, a, b, width, mask):
    """Channel c of the atlas between rows j, j + 1 and columns i, i + 1."""
    at = atlas + (j * width + i) * 3 + c
    upper = tl.load(at, mask=mask, other=0).to(tl.float32) * (1 - a)
    upper += tl.load(at + 3, mask=mask, other=0).to(tl.float32) * a
    lower = tl.load(at + width * 3, mask=mask, other=0).to(tl.float32) * (1 - a)
    lower += tl.load(at + width * 3 + 3, mask=mask, other=0).to(tl.float32) * a
    return upper * (1 - b) + lower * b


@triton.jit
def colour(
    atlas, offsets, gain, u, v, shade, mu, mv, share, layer, width, last_x, last_y, warmth, mask,
    MIRRORS: tl.constexpr,
):  # fmt: skip
    """Red, green and blue at texture place (u, v) of a layer, mirrored colours mixed in, shaded; black beside the mask.

    atlas [h, width, 3] uint8, offsets [L, 2], gain [3]; places beyond (last_x, last_y) take the edge's colour.
    """
    ox, oy = tl.load(offsets + layer * 2, mask=mask, other=0.0), tl.load(offsets + layer * 2 + 1, mask=mask, other=0.0)
    x, y = tl.minimum(tl.maximum(u + ox, 0.0), last_x), tl.minimum(tl.maximum(v + oy, 0.0), last_y)
    i, j = x.to(tl.int64), y.to(tl.int64)
    a, b = x - i.to(tl.float32), y - j.to(tl.float32)
    red, green = _tap(atlas, 0, j, i, a, b, width, mask), _tap(atlas, 1, j, i, a, b, width, mask)
    blue = _tap(atlas, 2, j, i, a, b, width, mask)
    if MIRRORS:
        twin = mask & (share > SHARE)
        share = tl.where(twin, share, 0.0)
        x, y = tl.minimum(tl.maximum(mu + ox, 0.0), last_x), tl.minimum(tl.maximum(mv + oy, 0.0), last_y)
        i, j = x.to(tl.int64), y.to(tl.int64)
        a, b = x - i.to(tl.float32), y - j.to(tl.float32)
        red += share * (_tap(atlas, 0, j, i, a, b, width, twin) * tl.load(gain) - red)
        green += share * (_tap(atlas, 1, j, i, a, b, width, twin) * tl.load(gain + 1) - green)
        blue += share * (_tap(atlas, 2, j, i, a, b, width, twin) * tl.load(gain + 2) - blue)
    dark = warmth * (1 - shade)
    zero = shade * 0.0
    return (
        tl.where(mask, red * shade, zero),
        tl.where(mask, green * shade * (1 - dark), zero),
        tl.where(mask, blue * shade * (1 - 1.5 * dark), zero),
    )
