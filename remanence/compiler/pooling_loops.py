"""The kernels of `pooling`."""

from __future__ import annotations

from math import inf

from remanence.compiler.pointwise import absolute
from remanence.compiler.staged import staged
from remanence.compiler.vector import add_at, load, splat, store, where_positive

__all__ = ["backward", "forward"]


@staged
def forward(part, numbers, arrays, one):
    parts, batch, size, step, row = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    x, total, highest, place = arrays[0], arrays[1], arrays[2], arrays[3]
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        base = r * size
        for k in range(base, base + size, one):
            store(total, k, splat(x, 0.0))
            store(highest, k, splat(x, -inf))
            store(place, k, splat(x, 0.0))
        for t in range(min(numbers[6 + r], numbers[5])):
            here, at = splat(x, t), r * row + t * step - base
            for k in range(base, base + size, one):
                value, best = load(x, at + k), load(highest, k)
                add_at(total, k, value)
                store(place, k, where_positive(value - best, here, load(place, k)))
                # Neither above the other: they are alike, or one is no number, and so is what comes of it.
                alike = 0.5 * value + 0.5 * best
                store(highest, k, where_positive(value - best, value, where_positive(best - value, best, alike)))


@staged
def backward(part, numbers, arrays, one):
    parts, batch, size, step, row, time = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    dx, total, highest, place = arrays[0], arrays[1], arrays[2], arrays[3]
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        base = r * size
        for t in range(time):
            here, at = splat(dx, t), r * row + t * step - base
            if t < numbers[6 + r]:
                for k in range(base, base + size, one):
                    mine = where_positive(0.5 - absolute(load(place, k) - here), load(highest, k), splat(dx, 0.0))
                    store(dx, at + k, load(total, k) + mine)
            else:
                for k in range(base, base + size, one):
                    store(dx, at + k, splat(dx, 0.0))
