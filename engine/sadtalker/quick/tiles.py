"""Pictures [H + 2, W + 2, C] with a border of zeros, into tiles in Winograd's basis and back, and what comes after.

C is a multiple of sixteen. A tile is 4 x 4 pixels and sees 6 x 6; tiles of a stretch of rows from ``top`` on are
counted row by row. ``addresses`` [36] tells where their products [tiles, O] lie, a place of the basis each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.contracts import FloatArray
from engine.sadtalker.quick.lane_transforms import LANES, into_basis, out_of_basis, out_of_six
from kernels.cpu.compiled import compiled

IntArray = npt.NDArray[np.int64]


@compiled
def cut(picture: FloatArray, first: int, top: int, tiles: FloatArray) -> None:
    """Channels from ``first`` on into ``tiles`` [36, n, channels]."""
    _, columns, channels = picture.shape
    _, count, some = tiles.shape
    across = (columns - 2) // 4
    source, target = picture.reshape(-1), tiles.reshape(-1)
    half = np.empty(36 * LANES, np.float32)
    for tile in range(count):
        corner = (4 * (top + tile // across) * columns + 4 * (tile % across)) * channels + first
        for lane in range(0, some, LANES):
            for j in range(6):
                into_basis(source, corner + j * channels + lane, columns * channels, half, LANES * j, 6 * LANES)
            for i in range(6):
                into_basis(half, 6 * LANES * i, LANES, target, (6 * i * count + tile) * some + lane, count * some)


@compiled(inline="always")
def _pixels(addresses: IntArray, place: int, half: FloatArray, pixels: FloatArray) -> None:
    """Sixteen channels of a tile's 4 x 4 pixels."""
    for i in range(6):
        out_of_six(addresses, 6 * i, place, half, 4 * LANES * i, LANES)  # type: ignore[call-arg]  # numba gives the first
    for b in range(4):
        out_of_basis(half, LANES * b, 4 * LANES, pixels, LANES * b, 4 * LANES)


@compiled
def lay(addresses: IntArray, bias: FloatArray, slope: float, add: bool, top: int, count: int, out: FloatArray) -> None:
    """Products and ``bias`` [O] into a picture, or added to it; what is below zero times ``slope``."""
    _, columns, channels = out.shape
    across = (columns - 2) // 4
    half, pixels = np.empty(24 * LANES, np.float32), np.empty(16 * LANES, np.float32)
    for tile in range(count):
        y, x = 4 * (top + tile // across) + 1, 4 * (tile % across) + 1
        for lane in range(0, channels, LANES):
            _pixels(addresses, tile * channels + lane, half, pixels)
            shift = bias[lane : lane + LANES]
            for pixel in range(16):
                to = out[y + pixel // 4, x + pixel % 4, lane : lane + LANES]
                for c in range(LANES):
                    value = pixels[LANES * pixel + c] + shift[c]
                    value = max(value, slope * value)
                    to[c] = to[c] + value if add else value


@compiled
def told(
    addresses: IntArray,
    bias: FloatArray,
    slope: float,
    picture: FloatArray,
    smaller: int,
    mean: FloatArray,
    spread: FloatArray,
    top: int,
    count: int,
    out: FloatArray,
) -> None:
    """A picture's channels less ``mean`` times ``spread`` [C], scaled and shifted by products [tiles, 2 C].

    ``picture`` is 2 ** ``smaller`` times smaller than ``out``.
    """
    _, columns, channels = out.shape
    across = (columns - 2) // 4
    half = np.empty(24 * LANES, np.float32)
    scales, shifts = np.empty(16 * LANES, np.float32), np.empty(16 * LANES, np.float32)
    for tile in range(count):
        y, x = 4 * (top + tile // across), 4 * (tile % across)
        for lane in range(0, channels, LANES):
            place = 2 * tile * channels + lane
            _pixels(addresses, place, half, scales)
            _pixels(addresses, place + channels, half, shifts)
            gain, base = bias[lane : lane + LANES], bias[channels + lane : channels + lane + LANES]
            middle, wide = mean[lane : lane + LANES], spread[lane : lane + LANES]
            for pixel in range(16):
                row, column = y + pixel // 4, x + pixel % 4
                seen = picture[(row >> smaller) + 1, (column >> smaller) + 1, lane : lane + LANES]
                to = out[row + 1, column + 1, lane : lane + LANES]
                for c in range(LANES):
                    value = (seen[c] - middle[c]) * wide[c] * (scales[LANES * pixel + c] + gain[c])
                    value += shifts[LANES * pixel + c] + base[c]
                    to[c] = max(value, slope * value)


@compiled
def told_past(
    addresses: IntArray,
    bias: FloatArray,
    picture: FloatArray,
    smaller: int,
    mean: FloatArray,
    spread: FloatArray,
    top: int,
    count: int,
    scaled: FloatArray,
    out: FloatArray,
) -> None:
    """As `told` of products [tiles, C + O], but C scaled channels [H, W, C] and O shifted ones, a picture, apart."""
    _, columns, outputs = out.shape
    across = (columns - 2) // 4
    channels = scaled.shape[2]
    half, pixels = np.empty(24 * LANES, np.float32), np.empty(16 * LANES, np.float32)
    for tile in range(count):
        y, x = 4 * (top + tile // across), 4 * (tile % across)
        for lane in range(0, channels + outputs, LANES):
            _pixels(addresses, tile * (channels + outputs) + lane, half, pixels)
            base = bias[lane : lane + LANES]
            for pixel in range(16):
                row, column = y + pixel // 4, x + pixel % 4
                if lane >= channels:
                    to = out[row + 1, column + 1, lane - channels : lane - channels + LANES]
                    for c in range(LANES):
                        to[c] = pixels[LANES * pixel + c] + base[c]
                    continue
                seen = picture[(row >> smaller) + 1, (column >> smaller) + 1, lane : lane + LANES]
                to = scaled[row, column, lane : lane + LANES]
                middle, wide = mean[lane : lane + LANES], spread[lane : lane + LANES]
                for c in range(LANES):
                    to[c] = (seen[c] - middle[c]) * wide[c] * (pixels[LANES * pixel + c] + base[c])


@compiled
def spreads(picture: FloatArray, mean: FloatArray, spread: FloatArray) -> None:
    """Instance norm's mean and one over its deviation, a channel each, of what lies inside the border."""
    rows, columns, channels = picture.shape
    total, row_sum = np.zeros(channels, np.float64), np.empty(channels, np.float32)
    for moment in range(2):
        total[:] = 0.0
        for row in range(1, rows - 1):
            row_sum[:] = 0.0
            for column in range(1, columns - 1):
                here = picture[row, column]
                if moment == 0:
                    for c in range(channels):
                        row_sum[c] += here[c]
                else:
                    for c in range(channels):
                        row_sum[c] += (here[c] - mean[c]) * (here[c] - mean[c])
            for c in range(channels):
                total[c] += row_sum[c]
        for c in range(channels):
            value = total[c] / ((rows - 2) * (columns - 2))
            if moment == 0:
                mean[c] = value
            else:
                spread[c] = 1.0 / np.sqrt(value + 1e-5)


@compiled
def repeated(answers: FloatArray, first: int, phases: IntArray, out: FloatArray) -> None:
    """Each pixel of ``out`` has one of the answers of the small pixel that it repeats, [h + 2, w + 2, many].

    ``phases`` [t] tells which, of max + 1 each way, for t pixels each way of a small one; they lie from ``first`` on.
    """
    rows, columns, channels = out.shape
    times, many = len(phases), phases.max() + 1
    for row in range(rows - 2):
        for column in range(columns - 2):
            which = phases[row % times] * many + phases[column % times]
            seen = answers[row // times + 1, column // times + 1]
            to = out[row + 1, column + 1]
            for c in range(channels):
                to[c] = seen[first + which * channels + c]
