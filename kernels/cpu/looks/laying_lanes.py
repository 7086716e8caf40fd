# Written in LLVM's own terms for numba, which has no vectors; mypy cannot see them.
# mypy: ignore-errors
"""A signed picture added to planes, eight pixels in one go, in the terms of `kernels.cpu.lanes`.

The same holds: whoever changes this file deletes the caches of its callers (`*.nbi`).
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from kernels.cpu.lanes import BYTE, FLOAT, INT, LANES, LONG, constant, data, eight, load, pick, splat, store
from kernels.cpu.texture_lanes import split, towards

LEFT = 3  # of a picture's numbers the one that says how much is left of what was painted


@intrinsic
def lay_luma(typing, picture, wide, last_u, last_v, room, beyond, place, level, out, to):
    """A picture's first number is added to what its fourth leaves of how far eight bytes are from ``level``.

    picture [h, 4, wide] float32, looked at within 0 to last_u, last_v; room float32: where eight pixels look, across
    from ``place`` on and down ``beyond`` numbers later; out uint8, from ``to`` on.
    """
    floats, longs = [types.float32] * 2, [types.int64] * 2
    signature = types.void(picture, types.int64, *floats, room, *longs, types.float32, out, types.int64)

    def generate(context, builder, signature, given):
        picture, room, out = (data(context, builder, signature, given, k) for k in (0, 4, 8))
        wide, last_u, last_v, beyond, place, level, to = *given[1:4], *given[5:8], given[9]
        places = (load(builder, room, at, FLOAT) for at in (place, builder.add(place, beyond)))
        looked = _Looked(builder, picture, wide, places, (last_u, last_v))
        _add(builder, looked.number(0), looked.number(LEFT), splat(builder, level), out, to)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def lay_tints(typing, picture, wide, last_u, last_v, room, beyond, place, down, level, blue, red, to):
    """`lay_luma` of its second and third numbers for the tints of 2 x 2 pixels each, eight times to the right.

    They look where those of the four do that look anywhere, in the mean; the row below lies ``down`` numbers on.
    """
    floats, longs = [types.float32] * 2, [types.int64] * 3
    signature = types.void(picture, types.int64, *floats, room, *longs, types.float32, blue, red, types.int64)

    def generate(context, builder, signature, given):
        picture, room, blue, red = (data(context, builder, signature, given, k) for k in (0, 4, 9, 10))
        wide, last_u, last_v, beyond, place, down, level, to = *given[1:4], *given[5:9], given[11]
        nowhere = constant(FLOAT, [0.0] * LANES)
        sums = [nowhere] * 3  # across, down, and of how many pixels
        for row in (place, builder.add(place, down)):
            taps = [
                [load(builder, room, builder.add(at, ir.Constant(LONG, begin)), FLOAT) for begin in (0, LANES)]
                for at in (row, builder.add(row, beyond))
            ]
            for first in (0, 1):
                here = [pick(builder, *both, range(first, 2 * LANES, 2)) for both in taps]
                found = builder.or_(*(builder.fcmp_ordered("!=", one, nowhere) for one in here))
                counted = builder.uitofp(found, eight(FLOAT))
                sums = [builder.fadd(one, other) for one, other in zip(sums, (*here, counted), strict=True)]
        places = (builder.fdiv(one, sums[2]) for one in sums[:2])
        looked, level = _Looked(builder, picture, wide, places, (last_u, last_v)), splat(builder, level)
        left = looked.number(LEFT)
        for k, out in ((1, blue), (2, red)):
            _add(builder, looked.number(k), left, level, out, to)
        return context.get_dummy_value()

    return signature, generate


class _Looked:
    """What eight ``places`` see of a ``picture`` [h, 4, wide] float32; what is no number looks at its corner."""

    def __init__(self, builder, picture, wide, places, lasts) -> None:
        (left, self._across), (top, self._down) = (
            split(builder, place, splat(builder, last)) for place, last in zip(places, lasts, strict=True)
        )
        self._row = builder.shl(wide, ir.Constant(LONG, 2))
        stride = splat(builder, builder.trunc(self._row, INT))
        self._first = builder.add(builder.mul(top, stride), left)
        self._builder, self._picture, self._wide = builder, picture, wide

    def number(self, k):
        """The bilinear ``k``-th number."""
        builder, pair = self._builder, ir.VectorType(FLOAT, 2)
        rows = []
        for row in (0, 1):
            begin = builder.mul(self._wide, ir.Constant(LONG, k + 4 * row))
            lanes = []
            for lane in range(LANES):
                at = builder.sext(builder.extract_element(self._first, ir.Constant(INT, lane)), LONG)
                place = builder.gep(self._picture, [builder.add(at, begin)])
                taps = builder.load(builder.bitcast(place, pair.as_pointer()))
                taps.align = 4
                lanes.append(taps)
            while len(lanes) > 2:  # two, four, eight numbers
                size = 2 * lanes[0].type.count
                lanes = [pick(builder, *lanes[i : i + 2], range(size)) for i in range(0, len(lanes), 2)]
            left, right = (pick(builder, *lanes, range(first, 2 * LANES, 2)) for first in (0, 1))
            rows.append(towards(builder, left, right, self._across))
        return towards(builder, *rows, self._down)


def _add(builder, value, left, level, out, to):
    """``value`` and what is ``left`` of how far eight bytes of ``out`` are from ``level``, from ``to`` on."""
    before = builder.uitofp(load(builder, out, to, BYTE), eight(FLOAT))
    kept = builder.fmul(left, builder.fsub(before, level))
    value = builder.fadd(builder.fadd(builder.fadd(level, kept), value), constant(FLOAT, [0.5] * LANES))
    for edge, sign in ((0.0, ">"), (255.0, "<")):
        edge = constant(FLOAT, [edge] * LANES)
        value = builder.select(builder.fcmp_ordered(sign, value, edge), value, edge)
    store(builder, out, to, builder.trunc(builder.fptosi(value, eight(INT)), eight(BYTE)))
