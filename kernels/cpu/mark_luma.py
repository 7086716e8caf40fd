# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""The invisible mark laid into a picture's luma (numba). `kernels.plain.marking_reference` is its definition."""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.plain.marking_reference import USUAL

CELL = USUAL.cell
BASE, GAIN, TOP = USUAL.base, USUAL.gain, USUAL.top
KNEE, FALL, LOW, LOUDEST = USUAL.knee, USUAL.fall, USUAL.low, USUAL.loudest
UNIT = 127.0  # what the pattern's largest number stands for


@compiled
def add_mark(luma, pattern):
    """Add ``pattern`` [H, W] int8 to ``luma`` [H, W] uint8 in place, more strongly where there is detail to hide it.

    Detail is the mean step to the left and upper neighbour within 8 x 8 pixels; at edges of more than `KNEE` there is
    less of the mark, where there is too much of it everywhere less; strengths are interpolated between the cells'
    middles. H and W are multiples of 8.
    """
    height, width = luma.shape
    down, across = height // CELL, width // CELL
    strength = np.empty((down + 2, across + 2), np.float32)
    power = np.float32(0)
    sums, steps = np.empty(across, np.int32), np.empty(width, np.int16)
    for j in range(down):
        for i in range(across):
            sums[i] = 0
        for y in range(CELL * j, CELL * j + CELL):
            row, upper = luma[y], luma[max(y - 1, 0)]
            steps[0] = abs(np.int16(row[0]) - np.int16(upper[0]))
            for x in range(1, width):
                here = np.int16(row[x])
                steps[x] = abs(here - np.int16(row[x - 1])) + abs(here - np.int16(upper[x]))
            for i in range(across):
                total = np.int32(0)
                for k in range(CELL):
                    total += np.int32(steps[CELL * i + k])
                sums[i] += total
        for i in range(across):
            detail = np.float32(1 / (CELL * CELL)) * np.float32(sums[i])
            level = min(np.float32(BASE) + np.float32(GAIN) * detail, np.float32(TOP))
            level = min(level, max(np.float32(TOP) - np.float32(FALL) * (detail - np.float32(KNEE)), np.float32(LOW)))
            strength[j + 1, i + 1] = level
            power += level * level
    share = min(np.float32(1), np.float32(LOUDEST) / np.sqrt(power / np.float32(down * across))) / np.float32(UNIT)
    for j in range(down + 2):
        for i in range(across + 2):
            strength[j, i] *= share
    for j in range(down):
        strength[j + 1, 0], strength[j + 1, across + 1] = strength[j + 1, 1], strength[j + 1, across]
    for i in range(across + 2):
        strength[0, i], strength[down + 1, i] = strength[1, i], strength[down, i]
    line = np.empty(across + 2, np.float32)
    half = CELL // 2
    for y in range(height):
        j, t = (y + half) // CELL, np.float32(((y + half) % CELL + 0.5) / CELL)
        for i in range(across + 2):
            line[i] = strength[j, i] + (strength[j + 1, i] - strength[j, i]) * t
        row, signs = luma[y], pattern[y]
        for i in range(across):
            first, middle, last = line[i], line[i + 1], line[i + 2]
            rise, fall = (middle - first) / np.float32(CELL), (last - middle) / np.float32(CELL)
            for k in range(half):
                x = CELL * i + k
                level = first + rise * np.float32(k + half + 0.5)
                value = np.float32(row[x]) + level * np.float32(signs[x]) + np.float32(0.5)
                row[x] = np.uint8(min(max(value, np.float32(16.0)), np.float32(235.0)))
            for k in range(half):
                x = CELL * i + half + k
                level = middle + fall * np.float32(k + 0.5)
                value = np.float32(row[x]) + level * np.float32(signs[x]) + np.float32(0.5)
                row[x] = np.uint8(min(max(value, np.float32(16.0)), np.float32(235.0)))
