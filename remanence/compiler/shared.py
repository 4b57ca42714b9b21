"""Source of what all kernels share: it is compiled once, not in each of them.

The tiles are most of the machine code. `TILES` is the module of one dtype's tiles, `FOR_ALL` that of the loop over
threads and of what runs programs; a kernel is given the addresses of the tiles as integers.
"""

from __future__ import annotations

__all__ = ["FOR_ALL", "TILES"]

TILES = '''"""Written by remanence: the tiles of matrix products in one dtype, compiled once for all kernels."""

from remanence.compiler import filling, panels, tile
from remanence.compiler.compiling import compiled
from remanence.compiler.values import {dtype}, INT, Pointer

DATA, LIST, LONG = Pointer.of({dtype}), Pointer.of(INT), INT
BASES = Pointer.of(DATA)
WIDTH = {width}


@compiled(DATA, LIST, LONG, DATA, LIST, LONG, DATA, DATA, *[LONG] * 4)
def spread(c, c_list, c_stride, a, a_list, a_stride, packed, start, count, depth, columns, mode):
    tile.spread((c, c_list, c_stride), (a, a_list, a_stride), packed, start, WIDTH, (count, depth, columns, mode))


@compiled(DATA, LONG, DATA, LIST, LONG, DATA, LIST, LONG, *[LONG] * 3)
def gather(c, c_stride, a, a_list, a_stride, d, d_list, d_stride, count, units, columns):
    tile.gather((c, c_stride), (a, a_list, a_stride), (d, d_list, d_stride), WIDTH, (count, units, columns))


@compiled(DATA, DATA, LIST, LONG, LONG, LONG)
def sums(c, d, d_list, d_stride, count, columns):
    tile.sums(c, (d, d_list, d_stride), WIDTH, (count, columns))


@compiled(LIST, LONG, LONG, LONG, LONG)
def fill(numbers, bounds, part, first, last):
    filling.fill(numbers, bounds, part, first, last)


@compiled(LONG, LIST, BASES)
def pack(part, table, bases):
    panels.pack(part, table, bases, WIDTH)


@compiled(LONG, LIST, BASES)
def collect(part, table, bases):
    panels.collect(part, table, bases, WIDTH)
'''
"""Source of the module of what all kernels of a dtype share."""

FOR_ALL = '''"""Written by remanence: what calls of all kernels share: the program around one, what each thread runs."""

from remanence.compiler import performing
from remanence.compiler.compiling import compiled
from remanence.compiler.linking import answer, call
from remanence.compiler.values import INT, SHORT, Pointer

NUMBERS, WORDS = Pointer.of(INT), Pointer.of(SHORT)


@compiled(NUMBERS)
def launch(given):
    kernel, numbers, arrays, parts = given[0], given[1], given[2], given[3]
    part, threads = answer(given[4]), answer(given[5])
    while part < parts:
        call(kernel, (part, numbers, arrays))
        part += threads


@compiled(NUMBERS, INT, NUMBERS)
def perform(lines, count, bases):
    performing.perform(lines, count, bases)


@compiled(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def deal(to, lengths, sizes, room):
    performing.deal(to, lengths, sizes, room)


@compiled(WORDS, WORDS, NUMBERS, NUMBERS)
def enter(to, source, lengths, sizes):
    performing.enter(to, source, lengths, sizes)


@compiled(WORDS, WORDS, NUMBERS, NUMBERS)
def leave(to, source, lengths, sizes):
    performing.leave(to, source, lengths, sizes)
'''
"""Source of the launcher and of what runs programs. The launcher is given the kernel's three, the number of parts, and
OpenMP's two questions."""
