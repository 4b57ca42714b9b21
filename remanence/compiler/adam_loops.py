"""The kernels of `adam`."""

from __future__ import annotations

from numba import njit

from remanence.compiler.pointwise import sqrt
from remanence.compiler.vector import load, splat, store

__all__ = ["backward", "forward"]


@njit(inline="always")
def forward(part, numbers, arrays, one):
    parts, count, size, averaged = numbers[0], numbers[1], numbers[2], numbers[3]
    weights, first, second, mean, factors = arrays[0], arrays[1], arrays[2], arrays[3], arrays[4]
    for r in range(part * count // parts, (part + 1) * count // parts):
        base, at = numbers[4 + r] * size, numbers[4 + count + r] * 8
        kept, moved, floor = factors[at], factors[at + 1], factors[at + 2]
        smaller, narrower = factors[at + 3], factors[at + 4]
        of_mean, of_weight, of_move = factors[at + 5], factors[at + 6], factors[at + 7]
        for k in range(base, base + size, one):
            weight, slope, square = load(weights, k), load(first, k), load(second, k)
            move = slope / (sqrt(square) + splat(weights, floor))
            if averaged:
                store(mean, k, of_mean * load(mean, k) + of_weight * weight + of_move * move)
            store(weights, k, kept * weight + moved * move)
            store(first, k, smaller * slope)
            store(second, k, narrower * square)


@njit(inline="always")
def backward(part, numbers, arrays, one):
    parts, count, size, averaged = numbers[0], numbers[1], numbers[2], numbers[3]
    weights, first, second, mean, gradients, factors = arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5]
    kept, rate, widened, floor = factors[0], factors[1], factors[2], factors[3]
    one_beta, two_beta, of_mean = factors[4], factors[5], factors[6]
    for r in range(part * count // parts, (part + 1) * count // parts):
        base, here = numbers[4 + r] * size, r * size
        for k in range(0, size, one):
            gradient = load(gradients, here + k)
            slope = one_beta * load(first, base + k) + (1 - one_beta) * gradient
            square = two_beta * load(second, base + k) + (1 - two_beta) * (gradient * gradient)
            move = slope / (widened * sqrt(square) + splat(weights, floor))
            weight = kept * load(weights, base + k) - rate * move
            store(weights, base + k, weight)
            store(first, base + k, slope)
            store(second, base + k, square)
            if averaged:
                store(mean, base + k, of_mean * load(mean, base + k) + (1 - of_mean) * weight)
