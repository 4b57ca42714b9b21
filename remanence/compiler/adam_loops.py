"""The kernels of `adam`. Features beyond the last whole register of a row are taken one by one."""

from __future__ import annotations

from remanence.compiler.pointwise import sqrt
from remanence.compiler.staged import staged
from remanence.compiler.vector import load, splat, store

__all__ = ["backward", "forward"]


@staged
def forward(part, numbers, arrays, one):
    parts, count, size, averaged = numbers[0], numbers[1], numbers[2], numbers[3]
    weights, first, second, mean, factors = arrays[0], arrays[1], arrays[2], arrays[3], arrays[4]
    for r in range(part * count // parts, (part + 1) * count // parts):
        base, at = numbers[4 + r] * size, numbers[4 + count + r] * 8
        whole = base + size // one * one
        kept, moved, floor = factors[at], factors[at + 1], factors[at + 2]
        smaller, narrower = factors[at + 3], factors[at + 4]
        of_mean, of_weight, of_move = factors[at + 5], factors[at + 6], factors[at + 7]
        for k in range(base, whole, one):
            weight, slope, square = load(weights, k), load(first, k), load(second, k)
            move = slope / (sqrt(square) + splat(weights, floor))
            if averaged:
                store(mean, k, of_mean * load(mean, k) + of_weight * weight + of_move * move)
            store(weights, k, kept * weight + moved * move)
            store(first, k, smaller * slope)
            store(second, k, narrower * square)
        for k in range(whole, base + size):
            short = first[k] / (sqrt(second[k]) + floor)
            if averaged:
                mean[k] = of_mean * mean[k] + of_weight * weights[k] + of_move * short
            weights[k] = kept * weights[k] + moved * short
            first[k] *= smaller
            second[k] *= narrower


@staged
def backward(part, numbers, arrays, one):
    parts, count, size, averaged = numbers[0], numbers[1], numbers[2], numbers[3]
    weights, first, second, mean, gradients, factors = arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5]
    kept, rate, widened, floor = factors[0], factors[1], factors[2], factors[3]
    one_beta, one_left, two_beta, two_left = factors[4], factors[5], factors[6], factors[7]
    of_mean, new_mean = factors[8], factors[9]
    for r in range(part * count // parts, (part + 1) * count // parts):
        base = numbers[4 + r] * size
        here, whole = r * size - base, base + size // one * one
        for k in range(base, whole, one):
            gradient = load(gradients, here + k)
            slope = one_beta * load(first, k) + one_left * gradient
            square = two_beta * load(second, k) + two_left * (gradient * gradient)
            weight = kept * load(weights, k) - rate * (slope / (widened * sqrt(square) + splat(weights, floor)))
            store(weights, k, weight)
            store(first, k, slope)
            store(second, k, square)
            if averaged:
                store(mean, k, of_mean * load(mean, k) + new_mean * weight)
        for k in range(whole, base + size):
            given = gradients[here + k]
            first[k] = one_beta * first[k] + one_left * given
            second[k] = two_beta * second[k] + two_left * (given * given)
            weights[k] = kept * weights[k] - rate * (first[k] / (widened * sqrt(second[k]) + floor))
            if averaged:
                mean[k] = of_mean * mean[k] + new_mean * weights[k]
