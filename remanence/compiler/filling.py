"""The lists of rows that a thread's tiles read, written a few steps at a time (see `rows`)."""

from __future__ import annotations

from remanence.compiler.rows import HEAD, LISTS
from remanence.compiler.staged import staged

__all__ = ["fill"]

_LISTS = len(LISTS)
_TIME, _BATCH, _PARTS, _MOST, _SIGN, _KEEP = (HEAD.index(n) for n in ("time", "batch", "parts", "most", "sign", "keep"))
_X_TIME, _X_ROW, _E_TIME, _E_ROW = (HEAD.index(name) for name in ("x_time", "x_row", "e_time", "e_row"))


@staged
def fill(numbers, bounds, part, first, last):
    """Write the lists of a thread for the steps from `first` to before `last`; `bounds`: where those begin."""
    time, batch, parts, most = numbers[_TIME], numbers[_BATCH], numbers[_PARTS], numbers[_MOST]
    counts = bounds + parts + 1
    order = counts + time * parts
    rows = order + numbers[bounds + part]
    entry = order + batch
    at = entry + batch + most * (1 + part * _LISTS)
    sign, keep = numbers[_SIGN], numbers[_KEEP]
    for t in range(first, last):
        for r in range(numbers[counts + t * parts + part]):
            b = numbers[rows + r]
            start = numbers[entry + b] + sign * t
            place = min(start, start + sign)
            numbers[at] = place * numbers[_X_TIME] + b * numbers[_X_ROW]
            numbers[at + most] = start * batch + b
            numbers[at + 2 * most] = (start + sign) * batch + b
            numbers[at + 3 * most] = place * batch + b
            numbers[at + 4 * most] = place * batch + b if keep else b
            numbers[at + 5 * most] = place * numbers[_E_TIME] + b * numbers[_E_ROW]
            at += 1
