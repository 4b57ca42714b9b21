"""The kernel of `warping`: sequences are dealt to threads, each of which has two rows of the table to itself."""

from __future__ import annotations

from math import inf

from remanence.compiler.linking import shifted
from remanence.compiler.staged import staged

__all__ = ["backward", "forward"]

_HEAD = 6


@staged
def _distance(left, right, sizes, most, rows):
    """D(n, m), or infinity once no path can be below `most`; sizes: (n, m, width of the band, features)."""
    n, m, width, features = sizes
    before, after = rows
    for j in range(m + 1):
        before[j] = inf
    before[0] = 0.0
    i, best = 1, 0.0
    while i <= n and best <= most:
        for j in range(m + 1):
            after[j] = inf
        middle, best = i * m // n, inf
        for j in range(max(1, middle - width), min(m, middle + width) + 1):
            cost = 0.0
            for k in range(features):
                step = left[(i - 1) * features + k] - right[(j - 1) * features + k]
                cost += step * step
            after[j] = cost + min(before[j], min(after[j - 1], before[j - 1]))
            best = min(best, after[j])
        before, after = after, before
        i += 1
    return inf if best > most else before[m]


@staged
def forward(part, numbers, arrays, one):
    parts, count, known, time, others, features = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    values, looked, place, apart = arrays[0], arrays[1], arrays[3], arrays[4]
    lengths = shifted(numbers, _HEAD)
    theirs = shifted(lengths, count)
    widths = shifted(theirs, known)
    rows = shifted(arrays[2], part * 2 * (others + 1)), shifted(arrays[2], (part * 2 + 1) * (others + 1))
    for row in range(part * count // parts, (part + 1) * count // parts):
        least, n = inf, lengths[row]
        place[row] = 0.0
        if n > 0:
            for other in range(known):
                m = theirs[other]
                if m > 0:
                    # A path must be able to go from corner to corner: at least the steps between two rows of a steep
                    # band.
                    longer, shorter = max(n, m), min(n, m)
                    sizes = n, m, max(widths[longer], longer // shorter + 1), features
                    left = shifted(values, row * time * features)
                    found = _distance(left, shifted(looked, other * others * features), sizes, least, rows)
                    if found < least:
                        least = found
                        place[row] = other
        apart[row] = least


backward = forward
