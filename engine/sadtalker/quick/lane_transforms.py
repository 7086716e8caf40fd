# Written in LLVM's own terms for numba, which has no vectors; mypy cannot see them.
# mypy: ignore-errors
"""Six numbers in or out of Winograd's basis along one axis, for sixteen channels in one go.

As vectors of LLVM's, for numba makes none of loops whose arrays might overlap (kernels/cpu/lanes.py has more of that).
Arrays are C-contiguous and not checked: callers see to it that sixteen channels lie at each place. Whoever changes this
file deletes the caches of `tiles.py` (`*.nbi`): numba looks at a caller's own file only.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from engine.sadtalker.quick.winograd import INPUT_AXIS, OUTPUT_AXIS

LANES = 16
FLOAT, LONG = ir.FloatType(), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
FUSED = ("contract",)  # a product and a sum may be one instruction


def _at(builder, data, place):
    return builder.bitcast(builder.gep(data, [place]), VECTOR.as_pointer())


def _six(builder, data, place, step):
    """Vectors at ``place``, and ``step`` numbers on, and so forth."""
    found = []
    for _ in range(6):
        value = builder.load(_at(builder, data, place))
        value.align = 4
        found.append(value)
        place = builder.add(place, step)
    return found


def _multiplied(builder, matrix, values):
    """The rows of ``matrix`` times ``values``; nothing is spent on zeros."""
    rows = []
    for row in matrix:
        total = None
        for share, value in zip(row, values, strict=True):
            if share == 0.0:
                continue
            if share != 1.0:
                value = builder.fmul(value, ir.Constant(VECTOR, [float(share)] * LANES), flags=FUSED)
            total = value if total is None else builder.fadd(total, value, flags=FUSED)
        rows.append(total)
    return rows


def _stored(builder, data, place, step, values):
    for value in values:
        builder.store(value, _at(builder, data, place)).align = 4
        place = builder.add(place, step)


def _along(matrix):
    """An intrinsic: six vectors of ``source`` from ``place`` on, ``step`` apart, through ``matrix`` into ``target``."""

    def through(typing, source, place, step, target, to, beyond):
        signature = types.void(source, types.int64, types.int64, target, types.int64, types.int64)

        def generate(context, builder, signature, given):
            data, out = (context.make_array(signature.args[k])(context, builder, given[k]).data for k in (0, 3))
            values = _six(builder, data, given[1], given[2])
            _stored(builder, out, given[4], given[5], _multiplied(builder, matrix, values))
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(through)


into_basis = _along(INPUT_AXIS)
out_of_basis = _along(OUTPUT_AXIS)


@intrinsic
def out_of_six(typing, addresses, first, place, target, to, beyond):
    """`out_of_basis` of ``place`` in six arrays of their own, of which ``addresses`` [n] int64 tells where they lie."""
    signature = types.void(addresses, types.int64, types.int64, target, types.int64, types.int64)

    def generate(context, builder, signature, given):
        lies, out = (context.make_array(signature.args[k])(context, builder, given[k]).data for k in (0, 3))
        values = []
        for number in range(6):
            address = builder.load(builder.gep(lies, [builder.add(given[1], ir.Constant(LONG, number))]))
            value = builder.load(_at(builder, builder.inttoptr(address, FLOAT.as_pointer()), given[2]))
            value.align = 4
            values.append(value)
        _stored(builder, out, given[4], given[5], _multiplied(builder, OUTPUT_AXIS, values))
        return context.get_dummy_value()

    return signature, generate
