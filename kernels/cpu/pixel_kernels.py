# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""From picture to picture on a plain CPU (numba): the warp, and a picture's bytes on their way out.

Arrays go in and out; `kernels.cpu.bridge` wraps them for tensors. Safe from many threads, without the GIL.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled


@compiled
def warp_grid(image, grid, occlusion, background, out):
    """Backward warp: out = image at the (upsampled) grid, times occlusion, over the background.

    image [H, W, C], grid [h, w, 2] in pixels of the image, occlusion [h, w], background and out [oh, ow, C], all
    float32. The grid is upsampled bilinearly with corners aligned to corners; the image's edge is repeated.
    """
    height, width, channels = out.shape
    gh, gw = grid.shape[0], grid.shape[1]
    last_x, last_y = np.float32(image.shape[1] - 1), np.float32(image.shape[0] - 1)
    one, zero = np.float32(1.0), np.float32(0.0)
    sy = np.float32((gh - 1.0) / (height - 1.0) if height > 1 else 0.0)
    sx = np.float32((gw - 1.0) / (width - 1.0) if width > 1 else 0.0)
    for y in range(height):
        gy = np.float32(y) * sy
        j = min(int(gy), gh - 1)
        j1, b = min(j + 1, gh - 1), gy - np.float32(j)
        for x in range(width):
            gx = np.float32(x) * sx
            i = min(int(gx), gw - 1)
            i1, a = min(i + 1, gw - 1), gx - np.float32(i)
            p00, p01, p10, p11 = (one - a) * (one - b), a * (one - b), (one - a) * b, a * b
            u = grid[j, i, 0] * p00 + grid[j, i1, 0] * p01 + grid[j1, i, 0] * p10 + grid[j1, i1, 0] * p11
            v = grid[j, i, 1] * p00 + grid[j, i1, 1] * p01 + grid[j1, i, 1] * p10 + grid[j1, i1, 1] * p11
            o = occlusion[j, i] * p00 + occlusion[j, i1] * p01 + occlusion[j1, i] * p10 + occlusion[j1, i1] * p11
            u = min(max(u, zero), last_x)
            v = min(max(v, zero), last_y)
            m, n = int(u), int(v)
            m1, n1 = min(m + 1, image.shape[1] - 1), min(n + 1, image.shape[0] - 1)
            c, d = u - np.float32(m), v - np.float32(n)
            q00, q01, q10, q11 = (one - c) * (one - d) * o, c * (one - d) * o, (one - c) * d * o, c * d * o
            for k in range(channels):
                value = image[n, m, k] * q00 + image[n, m1, k] * q01 + image[n1, m, k] * q10 + image[n1, m1, k] * q11
                out[y, x, k] = value + background[y, x, k] * (one - o)


@compiled
def rgb_to_i420(rgb, out):
    """BT.601 limited range: rgb [H, W, 3] uint8 or float in [0, 255] -> out [H * 3 // 2, W] uint8 (Y, then U, then V).

    Chroma is the mean of each 2x2 block, laid out row after row as libav reads yuv420p.
    """
    height, width = rgb.shape[0], rgb.shape[1]
    flat = out.reshape(-1)
    half = width // 2
    u_at = height * width
    v_at = u_at + (height // 2) * half
    for y in range(0, height, 2):
        for x in range(0, width, 2):
            r_sum = g_sum = b_sum = 0.0
            for dy in range(2):
                for dx in range(2):
                    r = np.float32(rgb[y + dy, x + dx, 0])
                    g = np.float32(rgb[y + dy, x + dx, 1])
                    b = np.float32(rgb[y + dy, x + dx, 2])
                    r_sum += r
                    g_sum += g
                    b_sum += b
                    luma = 16.5 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0
                    flat[(y + dy) * width + x + dx] = np.uint8(min(max(luma, 16.0), 235.0))
            r_sum *= 0.25
            g_sum *= 0.25
            b_sum *= 0.25
            u = 128.5 + (-37.797 * r_sum - 74.203 * g_sum + 112.0 * b_sum) / 255.0
            v = 128.5 + (112.0 * r_sum - 93.786 * g_sum - 18.214 * b_sum) / 255.0
            at = (y // 2) * half + x // 2
            flat[u_at + at] = np.uint8(min(max(u, 16.0), 240.0))
            flat[v_at + at] = np.uint8(min(max(v, 16.0), 240.0))


@compiled
def bytes_to_i420(rgb, out):
    """`rgb_to_i420` of bytes [H, W, 3] in whole numbers, within 1 of it: twice as fast."""
    height, width = rgb.shape[0], rgb.shape[1]
    half, flat = width // 2, out.reshape(-1)
    size, quarter = height * width, (height // 2) * half
    luma = flat[:size].reshape(height, width)
    blue = flat[size : size + quarter].reshape(height // 2, half)
    red = flat[size + quarter : size + 2 * quarter].reshape(height // 2, half)
    for y in range(height):
        row, to = rgb[y], luma[y]
        for x in range(width):
            r, g, b = np.int32(row[x, 0]), np.int32(row[x, 1]), np.int32(row[x, 2])
            to[x] = np.uint8((16829 * r + 33039 * g + 6416 * b + (16 << 16) + (1 << 15)) >> 16)
    for j in range(height // 2):
        upper, lower, u, v = rgb[2 * j], rgb[2 * j + 1], blue[j], red[j]
        for i in range(half):
            r, g, b = np.int32(upper[2 * i, 0]), np.int32(upper[2 * i, 1]), np.int32(upper[2 * i, 2])
            r, g, b = r + upper[2 * i + 1, 0], g + upper[2 * i + 1, 1], b + upper[2 * i + 1, 2]
            r, g, b = r + lower[2 * i, 0], g + lower[2 * i, 1], b + lower[2 * i, 2]
            r, g, b = r + lower[2 * i + 1, 0], g + lower[2 * i + 1, 1], b + lower[2 * i + 1, 2]
            u[i] = np.uint8((-9714 * r - 19070 * g + 28784 * b + (512 << 16) + (1 << 17)) >> 18)
            v[i] = np.uint8((28784 * r - 24103 * g - 4681 * b + (512 << 16) + (1 << 17)) >> 18)


def planes_of(i420):
    """Planar I420 [H * 3 // 2, W] as luma [H, W] and the two colour differences [H / 2, W / 2], which share memory."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    flat, quarter = i420.reshape(-1), height * width // 4
    blue, red = flat[4 * quarter :].reshape(2, height // 2, width // 2)
    return flat[: 4 * quarter].reshape(height, width), blue, red


@compiled
def texture_planes(rgb, reach, bright, tinted):
    """rgb [h, w, 3] uint8 -> bright [h, w], tinted [h, w, 2] uint8: what `bytes_to_i420` makes of each pixel.

    ``reach``: how far from the mean place of 2 x 2 pixels of a picture each of them lies in the texture, where that is
    a pixel or more: tinted is the mean of four places so far away, as theirs is. Where it is 0, the four pixels of a
    square that begins at even coordinates are rounded together, so that their mean is what `bytes_to_i420` makes of it.
    h and w are even.
    """
    height, width = bright.shape
    exact = np.empty((height, width, 2), np.int32)  # 65536 times as much
    for y in range(height):
        for x in range(width):
            r, g, b = np.int32(rgb[y, x, 0]), np.int32(rgb[y, x, 1]), np.int32(rgb[y, x, 2])
            bright[y, x] = np.uint8((16829 * r + 33039 * g + 6416 * b + (16 << 16) + (1 << 15)) >> 16)
            exact[y, x, 0] = -9714 * r - 19070 * g + 28784 * b + (128 << 16)
            exact[y, x, 1] = 28784 * r - 24103 * g - 4681 * b + (128 << 16)
    for y in range(height):
        above, below = max(y - reach, 0), min(y + reach, height - 1)
        for x in range(width):
            left, right = max(x - reach, 0), min(x + reach, width - 1)
            for k in range(2):
                four = exact[above, left, k] + exact[above, right, k] + exact[below, left, k] + exact[below, right, k]
                tinted[y, x, k] = (four + (1 << 17)) >> 18
    for y in range(0, height if reach == 0 else 0, 2):
        for x in range(0, width, 2):
            for k in range(2):
                whole = given = np.int32(0)
                for n in range(4):
                    whole += exact[y + n // 2, x + n % 2, k]
                    given += tinted[y + n // 2, x + n % 2, k]
                lack, n = 4 * ((whole + (1 << 17)) >> 18) - given, 0
                while lack != 0:
                    step = 1 if lack > 0 else -1
                    tinted[y + n // 2, x + n % 2, k] += step
                    lack, n = lack - step, (n + 1) % 4


@compiled
def to_rgb24(picture, out):
    """picture [3, H, W] float32 in [0, 1] -> out [H, W, 3] uint8, rounded; NaN becomes 0."""
    height, width = out.shape[0], out.shape[1]
    for y in range(height):
        for x in range(width):
            for k in range(3):
                value = picture[k, y, x] * np.float32(255.0) + np.float32(0.5)
                if not value > 0.0:  # also NaN
                    value = np.float32(0.0)
                out[y, x, k] = np.uint8(min(value, np.float32(255.0)))
