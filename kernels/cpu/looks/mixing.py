# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Differences mixed into a texture, two at a time and sixteen bytes in one go (numba, LLVM's vectors)."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from kernels.cpu.compiled import compiled

BYTES = 16  # in one go
BYTE, SHORT = ir.VectorType(ir.IntType(8), BYTES), ir.VectorType(ir.IntType(16), BYTES)


@intrinsic
def mix_sixteen(typing, texture, first, second, out, place, much, more):
    """out = texture + (much * first + more * second + 32) / 64, held to bytes, for sixteen bytes from ``place`` on.

    texture and out uint8, first and second int8, all flat and not checked; much and more int16.
    """
    signature = types.void(texture, first, second, out, types.int64, types.int16, types.int16)

    def generate(context, builder, signature, given):
        place = given[4]

        def pointer(k):
            data = context.make_array(signature.args[k])(context, builder, given[k]).data
            return builder.bitcast(builder.gep(data, [place]), BYTE.as_pointer())

        def loaded(k, widened):
            value = builder.load(pointer(k))
            value.align = 1
            return widened(value, SHORT)

        def splat(value):
            one = builder.insert_element(ir.Constant(SHORT, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), BYTES), [0] * BYTES)
            return builder.shuffle_vector(one, ir.Constant(SHORT, ir.Undefined), zeros)

        def every(number):
            return ir.Constant(SHORT, [number] * BYTES)

        parts = [builder.mul(loaded(k, builder.sext), splat(given[share])) for k, share in ((1, 5), (2, 6))]
        added = builder.ashr(builder.add(builder.add(*parts), every(32)), every(6))
        value = builder.add(loaded(0, builder.zext), added)
        value = builder.select(builder.icmp_signed(">", value, every(0)), value, every(0))
        value = builder.select(builder.icmp_signed("<", value, every(255)), value, every(255))
        stored = builder.store(builder.trunc(value, BYTE), pointer(3))
        stored.align = 1
        return context.get_dummy_value()

    return signature, generate


@compiled
def mix(texture, first, much, second, more, spans, channels, out):
    """A ``texture`` with ``much`` and ``more`` 128ths of two differences, into ``out``: flat bytes, some a pixel.

    The differences are int8 in steps of two; ``much`` + ``more`` are 128 at most. ``spans`` [n, 2] int64 name the
    pixels that are mixed, from and to before, sixteen at least; elsewhere ``out`` keeps what it has.
    """
    for n in range(spans.shape[0]):
        begin, end = spans[n, 0] * channels, spans[n, 1] * channels - BYTES
        for place in range(begin, end, BYTES):
            mix_sixteen(texture, first, second, out, place, much, more)
        mix_sixteen(texture, first, second, out, end, much, more)
