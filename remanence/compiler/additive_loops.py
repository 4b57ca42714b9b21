"""The kernels of `additive`."""

from __future__ import annotations

from remanence.compiler.pointwise import tanh
from remanence.compiler.staged import staged
from remanence.compiler.vector import add_at, lane_sum, load, splat, store

__all__ = ["backward", "forward"]


@staged
def forward(part, numbers, arrays, one):
    parts, batch, queries, steps, size = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    q, m, v, e = arrays[0], arrays[1], arrays[2], arrays[3]
    for row in range(part * batch // parts, (part + 1) * batch // parts):
        for t in range(row * queries, (row + 1) * queries):
            for s in range(numbers[5 + row]):
                total = splat(v, 0.0)
                for k in range(0, size, one):
                    total = total + load(v, k) * tanh(load(q, t * size + k) + load(m, (row * steps + s) * size + k))
                e[t * steps + s] = lane_sum(total)


@staged
def backward(part, numbers, arrays, one):
    parts, batch, queries, steps, size = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    q, m, v, d, dq, dm, dv = arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5], arrays[6]
    for row in range(part * batch // parts, (part + 1) * batch // parts):
        for t in range(row * queries, (row + 1) * queries):
            for k in range(0, size, one):
                query, weight = load(q, t * size + k), load(v, k)
                of_query, of_weight = splat(v, 0.0), splat(v, 0.0)
                for s in range(numbers[5 + row]):
                    at = (row * steps + s) * size + k
                    y = tanh(query + load(m, at))
                    score = splat(v, d[t * steps + s])
                    of_weight = of_weight + score * y
                    inner = score * weight * (1.0 - y * y)
                    of_query = of_query + inner
                    add_at(dm, at, inner)
                store(dq, t * size + k, of_query)
                add_at(dv, part * size + k, of_weight)
