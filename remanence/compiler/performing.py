"""The lines of a `program`, run."""

from __future__ import annotations

from numba import njit

from remanence.compiler.linking import call, pointed, words
from remanence.compiler.program import COPY, LINE, PUT, ZERO

__all__ = ["perform"]

_LINE = len(LINE)


@njit(inline="always")
def perform(lines, count, bases):
    """Run so many lines; `bases`: the addresses."""
    for line in range(count):
        at = line * _LINE
        what = lines[at]
        to = bases[lines[at + 1]] + lines[at + 2]
        second = bases[lines[at + 3]] + lines[at + 4]
        if what == PUT:
            pointed(bases, to)[0] = second
        elif what == ZERO:
            filled = words(to)
            for word in range(lines[at + 7]):
                filled[word] = 0
        elif what == COPY:
            size, rows, there, here = lines[at + 7], lines[at + 8], lines[at + 9], lines[at + 10]
            into, source = words(to), words(second)
            for row in range(rows):
                for word in range(size):
                    into[row * there + word] = source[row * here + word]
        else:
            third = bases[lines[at + 5]] + lines[at + 6]
            call(lines[at + 7], (to, second, third, lines[at + 8]))
