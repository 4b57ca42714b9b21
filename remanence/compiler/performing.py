"""The lines of a `program`, run; and what it calls for sequences of unequal length, besides kernels.

The last take four pointers: `lengths` are those of the sequences, `sizes` integers that do not change.
"""

from __future__ import annotations

from remanence.compiler.linking import call, pointed, shifted, words
from remanence.compiler.program import COPY, INTEGERS, LINE, PUT, ZERO
from remanence.compiler.staged import staged

__all__ = ["deal", "enter", "leave", "perform"]

_LINE, _INTEGERS = len(LINE), INTEGERS


@staged
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
            for word in range(lines[at + _INTEGERS]):
                filled[word] = 0
        elif what == COPY:
            _copy(words(to), words(second), shifted(lines, at + _INTEGERS))
        else:
            third = bases[lines[at + 5]] + lines[at + 6]
            fourth = bases[lines[at + 7]] + lines[at + 8]
            call(lines[at + _INTEGERS], (to, second, third, fourth))


@staged
def _copy(to, source, sizes):
    size, rows, there, here = sizes[0], sizes[1], sizes[2], sizes[3]
    for row in range(rows):
        for word in range(size):
            to[row * there + word] = source[row * here + word]


@staged
def deal(to, lengths, sizes, room):
    """Deal rows to threads, long and short ones alike; `to`: where bounds, counts, order and entries go (see `rows`);
    sizes: (batch, time, threads, whether read from the end); room: for time + 1 integers."""
    batch, time, parts, backwards = sizes[0], sizes[1], sizes[2], sizes[3]
    counts, order = parts + 1, parts + 1 + time * parts
    entry = order + batch
    to[0] = 0
    for part in range(parts):
        to[part + 1] = to[part] + (batch - part + parts - 1) // parts
    # How many are as long, then how many are longer, which is the place of the next one among the longest first.
    for length in range(time + 1):
        room[length] = 0
    for row in range(batch):
        room[lengths[row]] += 1
        to[entry + row] = lengths[row] if backwards else 0
    longer = 0
    for length in range(time, -1, -1):
        alike = room[length]
        room[length] = longer
        longer += alike
    for step in range(time):
        for part in range(parts):
            # Of length `step` or less are all behind the longer ones.
            to[counts + step * parts + part] = (room[step] - part + parts - 1) // parts
    for row in range(batch):
        place = room[lengths[row]]
        room[lengths[row]] += 1
        to[order + to[place % parts] + place // parts] = row


@staged
def enter(to, source, lengths, sizes):
    """Put states where sequences that are read from their end begin: entry `lengths[row]` of a row; sizes: (batch,
    words of an entry's row, those that count, whether there is a source; else zeros)."""
    batch, size, true, given = sizes[0], sizes[1], sizes[2], sizes[3]
    for row in range(batch):
        first = (lengths[row] * batch + row) * size
        for word in range(size):
            to[first + word] = source[row * true + word] if given and word < true else 0


@staged
def leave(to, source, lengths, sizes):
    """Take each sequence's state behind its last step; sizes: (batch, words of an entry's row, those that count,
    whether two entries are taken by turns)."""
    batch, size, true, turns = sizes[0], sizes[1], sizes[2], sizes[3]
    for row in range(batch):
        entry = lengths[row] & 1 if turns else lengths[row]
        first = (entry * batch + row) * size
        for word in range(true):
            to[row * true + word] = source[first + word]
