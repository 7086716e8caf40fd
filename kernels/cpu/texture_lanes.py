# Written in LLVM's own terms for numba, which has no vectors; mypy cannot see them.
# mypy: ignore-errors
"""A texture's bilinear colours, eight places in one go, in the terms of `kernels.cpu.lanes`.

The same holds: whoever changes this file deletes the caches of its callers (`*.nbi`).
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from kernels.cpu.lanes import (
    BYTE,
    FLOAT,
    INT,
    LANES,
    LONG,
    constant,
    data,
    eight,
    load,
    pick,
    splat,
    store,
)


@intrinsic
def fetch(typing, texture, width, last_u, last_v, u, v):
    """The bilinear red, green and blue, float32, of a texture [h, width, 4] uint8 at one place.

    That is held within 0 to last_u, last_v; what is no number becomes 0.
    """
    signature = types.UniTuple(types.float32, 3)(texture, types.int64, *[types.float32] * 4)

    def generate(context, builder, signature, given):
        texture, (width, last_u, last_v, u, v) = data(context, builder, signature, given, 0), given[1:]
        (left, across), (top, down) = split(builder, u, last_u), split(builder, v, last_v)
        at = builder.shl(builder.add(builder.mul(builder.sext(top, LONG), width), builder.sext(left, LONG)), _long(2))
        taps = (load(builder, texture, place, BYTE) for place in (at, builder.add(at, builder.shl(width, _long(2)))))
        above, below = (builder.uitofp(tap, eight(FLOAT)) for tap in taps)
        both = towards(builder, above, below, splat(builder, down))
        west, east = (pick(builder, both, both, range(first, first + 4)) for first in (0, 4))
        share = splat(builder, across)
        colour = towards(builder, west, east, pick(builder, share, share, range(4)))
        parts = [builder.extract_element(colour, ir.Constant(INT, k)) for k in range(3)]
        return context.make_tuple(builder, signature.return_type, parts)

    return signature, generate


@intrinsic
def show(typing, texture, width, last_u, last_v, places, beyond, place, u0, v0, out):
    """The texture's bilinear colours for eight pixels from ``place`` on, as 24 bytes of ``out``.

    texture [h, width, 4] uint8; places float32 of ``beyond`` numbers a plane: texture x, y, to which a layer's offset
    u0, v0 is added, within 0 to last_u, last_v.
    """
    floats, longs = [types.float32] * 2, [types.int64] * 2
    signature = types.void(texture, types.int64, *floats, places, *longs, *floats, out)

    def generate(context, builder, signature, given):
        texture, places, out = (data(context, builder, signature, given, k) for k in (0, 4, 9))
        width, last_u, last_v, place, u0, v0 = *given[1:4], *given[6:9]
        (left, across), (top, down) = (
            _shifted(builder, load(builder, places, at, FLOAT), offset, last)
            for at, offset, last in ((place, u0, last_u), (builder.add(place, given[5]), v0, last_v))
        )
        stride = splat(builder, builder.trunc(width, INT))
        first = builder.shl(builder.add(builder.mul(top, stride), left), constant(INT, [2] * LANES))
        row = builder.shl(width, ir.Constant(LONG, 2))
        pairs = []  # of each pixel: the left and the right tap, red, green, blue and a fourth each
        for lane in range(LANES):
            at = builder.sext(builder.extract_element(first, ir.Constant(INT, lane)), LONG)
            taps = (load(builder, texture, place, BYTE) for place in (at, builder.add(at, row)))
            above, below = (builder.uitofp(tap, eight(FLOAT)) for tap in taps)
            share = pick(builder, down, down, [lane] * LANES)
            pairs.append(builder.fadd(above, builder.fmul(share, builder.fsub(below, above))))
        colours = []  # of two pixels each
        for lane in range(0, LANES, 2):
            two = pairs[lane], pairs[lane + 1]
            west = pick(builder, *two, [0, 1, 2, 3, 8, 9, 10, 11])
            east = pick(builder, *two, [4, 5, 6, 7, 12, 13, 14, 15])
            share = pick(builder, across, across, [lane] * 4 + [lane + 1] * 4)
            colour = builder.fadd(west, builder.fmul(share, builder.fsub(east, west)))
            colour = builder.fadd(colour, constant(FLOAT, [0.5] * LANES))
            colours.append(builder.trunc(builder.fptosi(colour, eight(INT)), eight(BYTE)))
        for half in range(2):
            rgb = pick(builder, *colours[2 * half : 2 * half + 2], [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14])
            for begin, count in ((0, 8), (8, 4)):
                to = builder.add(builder.mul(place, ir.Constant(LONG, 3)), ir.Constant(LONG, 12 * half + begin))
                store(builder, out, to, pick(builder, rgb, rgb, range(begin, begin + count)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def show_luma(typing, texture, width, last_u, last_v, places, beyond, place, u0, v0, out, to):
    """The bilinear brightness of eight pixels from ``place`` on, as 8 bytes of ``out`` from ``to`` on.

    texture [h, width] uint8; all else as for `show`.
    """
    floats, longs = [types.float32] * 2, [types.int64] * 2
    signature = types.void(texture, types.int64, *floats, places, *longs, *floats, out, types.int64)

    def generate(context, builder, signature, given):
        texture, places, out = (data(context, builder, signature, given, k) for k in (0, 4, 9))
        width, last_u, last_v, place, u0, v0 = *given[1:4], *given[6:9]
        u, v = (load(builder, places, at, FLOAT) for at in (place, builder.add(place, given[5])))
        values = _between(builder, texture, width, 1, u, v, (u0, v0, last_u, last_v))
        store(builder, out, given[10], values[0])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def show_chroma(typing, texture, width, last_u, last_v, places, beyond, place, down, u0, v0, blue, red, to):
    """The two colour differences of 2 x 2 pixels each, eight times to the right from ``place`` on, the next row
    ``down`` numbers on: bilinear at the four pixels' mean place, as 8 bytes each of ``blue`` and ``red``.

    texture [h, width, 2] uint8; all else as for `show_luma`.
    """
    floats, longs = [types.float32] * 2, [types.int64] * 3
    signature = types.void(texture, types.int64, *floats, places, *longs, *floats, blue, red, types.int64)

    def generate(context, builder, signature, given):
        texture, places, blue, red = (data(context, builder, signature, given, k) for k in (0, 4, 10, 11))
        width, last_u, last_v, place, down, u0, v0 = *given[1:4], *given[6:10]

        def mean(place):
            here = [builder.add(place, ir.Constant(LONG, begin)) for begin in (0, LANES)]
            sums = [
                builder.fadd(load(builder, places, at, FLOAT), load(builder, places, builder.add(at, down), FLOAT))
                for at in here
            ]
            even, odd = (pick(builder, *sums, range(first, 2 * LANES, 2)) for first in (0, 1))
            return builder.fmul(builder.fadd(even, odd), constant(FLOAT, [0.25] * LANES))

        u, v = mean(place), mean(builder.add(place, given[5]))
        values = _between(builder, texture, width, 2, u, v, (u0, v0, last_u, last_v))
        for out, value in zip((blue, red), values, strict=True):
            store(builder, out, given[12], value)
        return context.get_dummy_value()

    return signature, generate


def _between(builder, texture, width, channels, u, v, look):
    """Each of the one or two ``channels`` of a ``texture`` [h, width, channels] at eight places, as eight bytes.

    u and v are without the offset: ``look`` is offset x, y, and how far they go.
    """
    (left, across), (top, down) = (_shifted(builder, *one) for one in ((u, look[0], look[2]), (v, look[1], look[3])))
    stride = splat(builder, builder.trunc(width, INT))
    first = builder.mul(builder.add(builder.mul(top, stride), left), constant(INT, [channels] * LANES))
    row = builder.mul(width, ir.Constant(LONG, channels))
    pair = ir.IntType(16 * channels)  # the left tap and the right one
    rows = [ir.Constant(eight(pair), ir.Undefined)] * 2
    for lane in range(LANES):
        number = ir.Constant(INT, lane)
        at = builder.sext(builder.extract_element(first, number), LONG)
        for k, place in enumerate((at, builder.add(at, row))):
            tap = builder.load(builder.bitcast(builder.gep(texture, [place]), pair.as_pointer()))
            tap.align = 1
            rows[k] = builder.insert_element(rows[k], tap, number)
    wide = [builder.zext(taps, eight(INT)) if channels == 1 else taps for taps in rows]

    def tap(taps, byte):
        shifted = builder.lshr(taps, constant(INT, [8 * byte] * LANES))
        return builder.sitofp(builder.and_(shifted, constant(INT, [255] * LANES)), eight(FLOAT))

    out = []
    for channel in range(channels):
        pairs = ((tap(taps, channel), tap(taps, channels + channel)) for taps in wide)
        above, below = (towards(builder, *pair, across) for pair in pairs)
        value = builder.fadd(towards(builder, above, below, down), constant(FLOAT, [0.5] * LANES))
        out.append(builder.trunc(builder.fptosi(value, eight(INT)), eight(BYTE)))
    return out


def towards(builder, one, other, share):
    return builder.fadd(one, builder.fmul(share, builder.fsub(other, one)))


def _long(value):
    return ir.Constant(LONG, value)


def split(builder, value, last):
    """``value`` within 0 to ``last``, in one lane or eight, as whole number and rest; what is no number becomes 0."""
    kinds = (INT, FLOAT) if value.type == FLOAT else (eight(INT), eight(FLOAT))
    zero = ir.Constant(kinds[1], 0.0 if value.type == FLOAT else [0.0] * LANES)
    value = builder.select(builder.fcmp_ordered(">", value, zero), value, zero)
    value = builder.select(builder.fcmp_ordered("<", value, last), value, last)
    whole = builder.fptosi(value, kinds[0])
    return whole, builder.fsub(value, builder.sitofp(whole, kinds[1]))


def _shifted(builder, value, offset, last):
    """`split` of eight lanes, of ``value`` + ``offset``."""
    return split(builder, builder.fadd(value, splat(builder, offset)), splat(builder, last))
