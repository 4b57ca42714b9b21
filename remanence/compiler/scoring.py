"""Rows of scores, which are logarithms, inside kernels: filled up to whole registers, their highest, their sums."""

from __future__ import annotations

from remanence.compiler.pointwise import exp, log
from remanence.compiler.staged import staged
from remanence.compiler.values import Value
from remanence.compiler.vector import lane_sum, load, splat, store, where_positive

__all__ = ["LEAST", "any_of_three", "exponentials", "filled", "peak", "whole_sum"]

LEAST = -1e30
"""A score without a chance."""


@staged
def filled(into, source, at, count, row):
    """Copy so many scores; the rest of the row has no chance."""
    for c in range(count):
        into[c] = source[at + c]
    for c in range(count, row):
        into[c] = LEAST


@staged
def peak(of, row, spare, one):
    """The highest of a row of scores; `spare`: room for a register."""
    best = load(of, 0)
    for k in range(one, row, one):
        value = load(of, k)
        best = where_positive(value - best, value, best)
    store(spare, 0, best)
    highest = spare[0]
    for c in range(1, one):
        highest = max(highest, spare[c])
    return highest


@staged
def exponentials(to, of, below, row, one):
    """`to = exp(of - below)`."""
    for k in range(0, row, one):
        store(to, k, exp(load(of, k) - below))


@staged
def whole_sum(of, row, spare, one):
    """The score of any one of a row, in every lane."""
    highest, sums = splat(of, peak(of, row, spare, one)), splat(of, 0.0)
    for k in range(0, row, one):
        sums = sums + exp(load(of, k) - highest)
    return highest + log(splat(of, lane_sum(sums)))


def any_of_three(first: Value, second: Value, third: Value) -> Value:
    """The score of any one of three, lane by lane."""
    highest = where_positive(first - second, first, second)
    highest = where_positive(third - highest, third, highest)
    return highest + log(exp(first - highest) + exp(second - highest) + exp(third - highest))
