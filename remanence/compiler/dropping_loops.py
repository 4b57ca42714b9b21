"""The kernels of `dropping`. Blocks of 64 elements share 16 draws; an element stands `place` of them behind a block's
beginning, and takes 16 bits of draw `place % 16`."""

from __future__ import annotations

from typing import Any

from remanence.compiler.staged import staged
from remanence.compiler.values import Value, unsigned

__all__ = ["backward", "forward"]

_STRIDE, _FIRST, _SECOND, _LOW = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xFFFF


def _drawn(seed: Value, number: Any) -> Value:
    z = seed + unsigned(number) * _STRIDE
    z = (z ^ (z >> 30)) * _FIRST
    z = (z ^ (z >> 27)) * _SECOND
    return z ^ (z >> 31)


@staged
def forward(part, numbers, arrays, one):
    parts, count, seed, level = numbers[0], numbers[1], unsigned(numbers[2]), unsigned(numbers[3])
    x, y, scale = arrays[0], arrays[1], arrays[2][0]
    nothing, blocks = scale - scale, count // 64
    for block in range(part * blocks // parts, (part + 1) * blocks // parts):
        for i in range(16):
            bits, k = _drawn(seed, block * 16 + i), block * 64 + i
            y[k] = x[k] * (scale if bits & _LOW >= level else nothing)
            y[k + 16] = x[k + 16] * (scale if bits >> 16 & _LOW >= level else nothing)
            y[k + 32] = x[k + 32] * (scale if bits >> 32 & _LOW >= level else nothing)
            y[k + 48] = x[k + 48] * (scale if bits >> 48 >= level else nothing)
    if part == parts - 1:
        for k in range(blocks * 64, count):
            place = k - blocks * 64
            bits = _drawn(seed, blocks * 16 + place % 16)
            y[k] = x[k] * (scale if bits >> unsigned(place // 16 * 16) & _LOW >= level else nothing)


backward = forward
