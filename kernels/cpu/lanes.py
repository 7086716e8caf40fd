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
FAR = float(np.float32(3.0e38))  # the depth where nothing is
INSIDE = 1e-5  # how far below zero a barycentric may fall and still count: shared edges leave no gap
# Eight points of a pixel, no two in one row or column (offsets from its centre).
SAMPLE_X = (np.array([-7, -5, -3, -1, 1, 3, 5, 7]) / 16).astype(np.float64)
SAMPLE_Y = (np.array([1, -5, 5, -1, -7, 7, -3, 3]) / 16).astype(np.float64)

BIT, BYTE, INT, LONG = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()


def eight(kind: ir.Type) -> ir.VectorType:
    return ir.VectorType(kind, LANES)


def constant(kind: ir.Type, values: list[float]) -> ir.Constant:
    return ir.Constant(ir.VectorType(kind, len(values)), list(values))


def splat(builder, value):
    """One number in eight lanes."""
    nothing = ir.Constant(eight(value.type), ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(one, nothing, constant(INT, [0] * LANES))


def pick(builder, first, second, lanes):
    """Lanes of two vectors as one; numbers from the first's length on are the second's."""
    return builder.shuffle_vector(first, second, constant(INT, lanes))


def data(context, builder, signature, given, k):
    """A pointer to the numbers of the k-th argument, an array."""
    return context.make_array(signature.args[k])(context, builder, given[k]).data


def load(builder, data, place, kind):
    """Eight numbers from ``place`` on, as they lie."""
    value = builder.load(builder.bitcast(builder.gep(data, [place]), eight(kind).as_pointer()))
    value.align = 1 if kind is BYTE else 4
    return value


def store(builder, data, place, value):
    stored = builder.store(value, builder.bitcast(builder.gep(data, [place]), value.type.as_pointer()))
    stored.align = 1 if value.type.element is BYTE else 4


def put(builder, data, place, value, where):
    """Store lanes for which ``where`` holds; the others keep what they have."""
    before = load(builder, data, place, value.type.element)
    store(builder, data, place, builder.select(where, value, before))


@intrinsic
def nearest(typing, depth, which, planes, beyond, place, low, high, z, zx, u, ux, v, vx, f):
    """Where a triangle is nearer, its depth, number and texture x, y are written to eight pixels from ``place`` on.

    Returns whether another was seen there before, in any of them.
    Lanes from ``low`` to before ``high`` are its own. z, u and v are those of lane 0 and grow by zx, ux, vx a lane;
    depth float32, which int32, planes float32 of ``beyond`` numbers each.
    """
    signature = types.boolean(depth, which, planes, *[types.int64] * 4, *[types.float32] * 6, types.int32)

    def generate(context, builder, signature, given):
        depth, which, planes = (data(context, builder, signature, given, k) for k in range(3))
        beyond, place, low, high, z, zx, u, ux, v, vx, f = given[3:]
        lane, step = constant(INT, range(LANES)), constant(FLOAT, [float(k) for k in range(LANES)])
        low, high = (splat(builder, builder.trunc(edge, INT)) for edge in (low, high))

        def along(value, grows):
            return builder.fadd(splat(builder, value), builder.fmul(splat(builder, grows), step))

        depths, before = along(z, zx), load(builder, depth, place, FLOAT)
        inside = builder.and_(builder.icmp_signed(">=", lane, low), builder.icmp_signed("<", lane, high))
        nearer = builder.and_(inside, builder.fcmp_ordered("<", depths, before))
        store(builder, depth, place, builder.select(nearer, depths, before))
        put(builder, which, place, splat(builder, f), nearer)
        put(builder, planes, place, along(u, ux), nearer)
        put(builder, planes, builder.add(place, beyond), along(v, vx), nearer)
        twice = builder.and_(inside, builder.fcmp_ordered("<", before, constant(FLOAT, [FAR] * LANES)))
        return builder.icmp_unsigned("!=", builder.bitcast(twice, BYTE), ir.Constant(BYTE, 0))

    return signature, generate


@intrinsic
def nearest_points(typing, depth, which, window, slot, w0, w1, w2, w1x, w1y, w2x, w2y, z, zx, zy, f):
    """`nearest` for the eight points of pixel ``slot``, where ``window`` [n, 8] uint8 is not 0.

    w0, w1, w2 and z are barycentrics and depth at its centre; w1x ... zy how they grow along x and y.
    """
    signature = types.void(depth, which, window, types.int64, *[types.float64] * 10, types.int32)

    def generate(context, builder, signature, given):
        depth, which, window = (data(context, builder, signature, given, k) for k in range(3))
        w0, w1, w2, w1x, w1y, w2x, w2y, z, zx, zy, f = given[4:]
        place = builder.mul(given[3], ir.Constant(LONG, SAMPLES))
        right, down = (constant(DOUBLE, offsets.tolist()) for offsets in (SAMPLE_X, SAMPLE_Y))

        def at_points(value, along_x, along_y):
            across = builder.fadd(splat(builder, value), builder.fmul(splat(builder, along_x), right))
            return builder.fadd(across, builder.fmul(splat(builder, along_y), down))

        w0x, w0y = (builder.fneg(builder.fadd(*pair)) for pair in ((w1x, w2x), (w1y, w2y)))
        nearer = builder.icmp_unsigned("!=", load(builder, window, place, BYTE), constant(BYTE, [0] * SAMPLES))
        low = constant(DOUBLE, [-INSIDE] * SAMPLES)
        for weight in ((w0, w0x, w0y), (w1, w1x, w1y), (w2, w2x, w2y)):
            nearer = builder.and_(nearer, builder.fcmp_ordered(">=", at_points(*weight), low))
        depths = builder.fptrunc(at_points(z, zx, zy), eight(FLOAT))
        before = load(builder, depth, place, FLOAT)
        nearer = builder.and_(nearer, builder.fcmp_ordered("<", depths, before))
        store(builder, depth, place, builder.select(nearer, depths, before))
        put(builder, which, place, splat(builder, f), nearer)
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
        which, places = (data(context, builder, signature, given, k) for k in range(2))
        place, beyond, down, last, most, jump = given[2:]
        most, far = splat(builder, most), splat(builder, jump)
        beside = ir.Constant(LONG, LANES)
        found = constant(BIT, [0] * LANES)
        for at in (place, builder.add(place, down)):
            seen = builder.icmp_unsigned(">=", load(builder, which, at, INT), most)
            found = builder.or_(found, seen)
        for at in (place, builder.add(place, beyond)):
            here, below = load(builder, places, at, FLOAT), load(builder, places, builder.add(at, down), FLOAT)
            after = builder.add(at, builder.select(last, ir.Constant(LONG, LANES - 1), beside))
            after = splat(builder, builder.load(builder.gep(places, [after])))
            for other in (below, pick(builder, here, after, range(1, LANES + 1))):
                step = builder.fsub(here, other)
                found = builder.or_(found, builder.fcmp_unordered(">", step, far))
                found = builder.or_(found, builder.fcmp_unordered("<", step, builder.fneg(far)))
        any_ = builder.icmp_unsigned("!=", builder.bitcast(found, BYTE), ir.Constant(BYTE, 0))
        return builder.zext(any_, LONG)

    return signature, generate
