# Written in LLVM's own terms for numba, which has no vectors; mypy cannot see them.
# mypy: ignore-errors
"""Eight pixels, or eight points of one pixel, in one go: what the loops of the other kernels do at their innermost.

numba compiles loops a pixel at a time wherever a store depends on a comparison, so these steps are written with LLVM's
vectors, which become AVX, SSE or NEON as the machine has it. Arrays are C-contiguous and not checked: callers see to it
that eight numbers lie from each place on. Whoever changes this file deletes the caches of its callers (`*.nbi`): numba
looks at a caller's own file only.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = SAMPLES = 8
INSIDE = 1e-5  # how far below zero a barycentric may fall and still count: shared edges leave no gap
# Eight points of a pixel, no two in one row or column (offsets from its centre).
SAMPLE_X = (np.array([-7, -5, -3, -1, 1, 3, 5, 7]) / 16).astype(np.float64)
SAMPLE_Y = (np.array([1, -5, 5, -1, -7, 7, -3, 3]) / 16).astype(np.float64)

BIT, BYTE, INT, LONG = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()


def _eight(kind: ir.Type) -> ir.VectorType:
    return ir.VectorType(kind, LANES)


def _constant(kind: ir.Type, values: list[float]) -> ir.Constant:
    return ir.Constant(ir.VectorType(kind, len(values)), list(values))


def _splat(builder, value):
    """One number in eight lanes."""
    nothing = ir.Constant(_eight(value.type), ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(one, nothing, _constant(INT, [0] * LANES))


def _pick(builder, first, second, lanes):
    """Lanes of two vectors as one; numbers from the first's length on are the second's."""
    return builder.shuffle_vector(first, second, _constant(INT, lanes))


def _data(context, builder, signature, given, k):
    """A pointer to the numbers of the k-th argument, an array."""
    return context.make_array(signature.args[k])(context, builder, given[k]).data


def _load(builder, data, place, kind):
    """Eight numbers from ``place`` on, as they lie."""
    value = builder.load(builder.bitcast(builder.gep(data, [place]), _eight(kind).as_pointer()))
    value.align = 1 if kind is BYTE else 4
    return value


def _store(builder, data, place, value):
    stored = builder.store(value, builder.bitcast(builder.gep(data, [place]), value.type.as_pointer()))
    stored.align = 1 if value.type.element is BYTE else 4


def _put(builder, data, place, value, where):
    """Store lanes for which ``where`` holds; the others keep what they have."""
    before = _load(builder, data, place, value.type.element)
    _store(builder, data, place, builder.select(where, value, before))


@intrinsic
def nearest(typing, depth, which, planes, beyond, place, low, high, z, zx, u, ux, v, vx, f):
    """Where a triangle is nearer, its depth, number and texture x, y are written to eight pixels from ``place`` on.

    Lanes from ``low`` to before ``high`` are its own. z, u and v are those of lane 0 and grow by zx, ux, vx a lane;
    depth float32, which int32, planes float32 of ``beyond`` numbers each.
    """
    signature = types.void(depth, which, planes, *[types.int64] * 4, *[types.float32] * 6, types.int32)

    def generate(context, builder, signature, given):
        depth, which, planes = (_data(context, builder, signature, given, k) for k in range(3))
        beyond, place, low, high, z, zx, u, ux, v, vx, f = given[3:]
        lane, step = _constant(INT, range(LANES)), _constant(FLOAT, [float(k) for k in range(LANES)])
        low, high = (_splat(builder, builder.trunc(edge, INT)) for edge in (low, high))

        def along(value, grows):
            return builder.fadd(_splat(builder, value), builder.fmul(_splat(builder, grows), step))

        depths, before = along(z, zx), _load(builder, depth, place, FLOAT)
        inside = builder.and_(builder.icmp_signed(">=", lane, low), builder.icmp_signed("<", lane, high))
        nearer = builder.and_(inside, builder.fcmp_ordered("<", depths, before))
        _store(builder, depth, place, builder.select(nearer, depths, before))
        _put(builder, which, place, _splat(builder, f), nearer)
        _put(builder, planes, place, along(u, ux), nearer)
        _put(builder, planes, builder.add(place, beyond), along(v, vx), nearer)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def nearest_points(typing, depth, which, window, slot, w0, w1, w2, w1x, w1y, w2x, w2y, z, zx, zy, f):
    """`nearest` for the eight points of pixel ``slot``, where ``window`` [n, 8] uint8 is not 0.

    w0, w1, w2 and z are barycentrics and depth at its centre; w1x ... zy how they grow along x and y.
    """
    signature = types.void(depth, which, window, types.int64, *[types.float64] * 10, types.int32)

    def generate(context, builder, signature, given):
        depth, which, window = (_data(context, builder, signature, given, k) for k in range(3))
        w0, w1, w2, w1x, w1y, w2x, w2y, z, zx, zy, f = given[4:]
        place = builder.mul(given[3], ir.Constant(LONG, SAMPLES))
        right, down = (_constant(DOUBLE, offsets.tolist()) for offsets in (SAMPLE_X, SAMPLE_Y))

        def at_points(value, along_x, along_y):
            across = builder.fadd(_splat(builder, value), builder.fmul(_splat(builder, along_x), right))
            return builder.fadd(across, builder.fmul(_splat(builder, along_y), down))

        w0x, w0y = (builder.fneg(builder.fadd(*pair)) for pair in ((w1x, w2x), (w1y, w2y)))
        nearer = builder.icmp_unsigned("!=", _load(builder, window, place, BYTE), _constant(BYTE, [0] * SAMPLES))
        low = _constant(DOUBLE, [-INSIDE] * SAMPLES)
        for weight in ((w0, w0x, w0y), (w1, w1x, w1y), (w2, w2x, w2y)):
            nearer = builder.and_(nearer, builder.fcmp_ordered(">=", at_points(*weight), low))
        depths = builder.fptrunc(at_points(z, zx, zy), _eight(FLOAT))
        before = _load(builder, depth, place, FLOAT)
        nearer = builder.and_(nearer, builder.fcmp_ordered("<", depths, before))
        _store(builder, depth, place, builder.select(nearer, depths, before))
        _put(builder, which, place, _splat(builder, f), nearer)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def ends(typing, which, places, place, beyond, down, last, most, jump):
    """1 where a surface may end in eight pixels from ``place`` on, to the right of one or below it; else 0.

    which int32, places float32 of ``beyond`` numbers a plane; the row below lies ``down`` numbers on, and to the right
    of the ``last`` pixels of a row comes nothing. Triangles from ``most`` on, and none, are always suspect; so is a
    step in the texture of more than ``jump``, or one that is no number.
    """
    signature = types.int64(which, places, *[types.int64] * 3, types.boolean, types.int32, types.float32)

    def generate(context, builder, signature, given):
        which, places = (_data(context, builder, signature, given, k) for k in range(2))
        place, beyond, down, last, most, jump = given[2:]
        most, far = _splat(builder, most), _splat(builder, jump)
        beside = ir.Constant(LONG, LANES)
        found = _constant(BIT, [0] * LANES)
        for at in (place, builder.add(place, down)):
            seen = builder.icmp_unsigned(">=", _load(builder, which, at, INT), most)
            found = builder.or_(found, seen)
        for at in (place, builder.add(place, beyond)):
            here, below = _load(builder, places, at, FLOAT), _load(builder, places, builder.add(at, down), FLOAT)
            after = builder.add(at, builder.select(last, ir.Constant(LONG, LANES - 1), beside))
            after = _splat(builder, builder.load(builder.gep(places, [after])))
            for other in (below, _pick(builder, here, after, range(1, LANES + 1))):
                step = builder.fsub(here, other)
                found = builder.or_(found, builder.fcmp_unordered(">", step, far))
                found = builder.or_(found, builder.fcmp_unordered("<", step, builder.fneg(far)))
        any_ = builder.icmp_unsigned("!=", builder.bitcast(found, BYTE), ir.Constant(BYTE, 0))
        return builder.zext(any_, LONG)

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
        texture, places, out = (_data(context, builder, signature, given, k) for k in (0, 4, 9))
        width, last_u, last_v, place, u0, v0 = *given[1:4], *given[6:9]
        (left, across), (top, down) = (
            _split(builder, _load(builder, places, at, FLOAT), offset, last)
            for at, offset, last in ((place, u0, last_u), (builder.add(place, given[5]), v0, last_v))
        )
        stride = _splat(builder, builder.trunc(width, INT))
        first = builder.shl(builder.add(builder.mul(top, stride), left), _constant(INT, [2] * LANES))
        row = builder.shl(width, ir.Constant(LONG, 2))
        pairs = []  # of each pixel: the left and the right tap, red, green, blue and a fourth each
        for lane in range(LANES):
            at = builder.sext(builder.extract_element(first, ir.Constant(INT, lane)), LONG)
            taps = (_load(builder, texture, place, BYTE) for place in (at, builder.add(at, row)))
            above, below = (builder.uitofp(tap, _eight(FLOAT)) for tap in taps)
            share = _pick(builder, down, down, [lane] * LANES)
            pairs.append(builder.fadd(above, builder.fmul(share, builder.fsub(below, above))))
        colours = []  # of two pixels each
        for lane in range(0, LANES, 2):
            two = pairs[lane], pairs[lane + 1]
            west = _pick(builder, *two, [0, 1, 2, 3, 8, 9, 10, 11])
            east = _pick(builder, *two, [4, 5, 6, 7, 12, 13, 14, 15])
            share = _pick(builder, across, across, [lane] * 4 + [lane + 1] * 4)
            colour = builder.fadd(west, builder.fmul(share, builder.fsub(east, west)))
            colour = builder.fadd(colour, _constant(FLOAT, [0.5] * LANES))
            colours.append(builder.trunc(builder.fptosi(colour, _eight(INT)), _eight(BYTE)))
        for half in range(2):
            rgb = _pick(builder, *colours[2 * half : 2 * half + 2], [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14])
            for begin, count in ((0, 8), (8, 4)):
                to = builder.add(builder.mul(place, ir.Constant(LONG, 3)), ir.Constant(LONG, 12 * half + begin))
                _store(builder, out, to, _pick(builder, rgb, rgb, range(begin, begin + count)))
        return context.get_dummy_value()

    return signature, generate


def _split(builder, value, offset, last):
    """``value`` + ``offset`` within 0 to ``last``, as whole number and rest; what is no number becomes 0."""
    zero, last = _constant(FLOAT, [0.0] * LANES), _splat(builder, last)
    value = builder.fadd(value, _splat(builder, offset))
    value = builder.select(builder.fcmp_ordered(">", value, zero), value, zero)
    value = builder.select(builder.fcmp_ordered("<", value, last), value, last)
    whole = builder.fptosi(value, _eight(INT))
    return whole, builder.fsub(value, builder.sitofp(whole, _eight(FLOAT)))
