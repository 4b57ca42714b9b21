"""A call as a program: what is done around a kernel, and the kernel, as lines of integers that one compiled function
runs. They are written once for all calls of a shape; a call brings nothing but addresses.

Behind a loop that filled the processor's caches each line of Python takes ten times as long as in a tight loop, and a
foreign call is a dozen of them.

    ZERO   fill with zeros                PUT    write an address, or a number
    COPY   rows of numbers                CALL   a function of four places

A place is a base, which is a place in the call's list of addresses, and so many bytes behind it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from remanence.compiler import threads
from remanence.compiler.kernel import shared_by_all

__all__ = ["CALL", "COPY", "FIRST", "INTEGERS", "LINE", "NOWHERE", "PUT", "WORD", "ZERO", "Place", "Program"]

ZERO, COPY, PUT, CALL = range(4)
LINE = (
    "what",
    *("to", "to_behind", "second", "second_behind", "third", "third_behind", "fourth", "fourth_behind"),
    *"abcd",
)
"""A line: what to do, four places, and four integers: of ZERO the words; of COPY the words of a row, the rows, and the
words from one row to the next there and here; of CALL the function."""
INTEGERS = LINE.index("a")
WORD = 4
"""Bytes of what is counted in."""

Place = tuple[int, int]
NOWHERE, _BASES, FIRST = range(3)
"""Bases: address 0, where integers and what never moves are told from; the list of addresses itself; and the first one
that a call brings."""


@lru_cache(maxsize=1)
def _perform() -> Any:
    kinds = ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p
    return ctypes.CFUNCTYPE(None, *kinds)(shared_by_all()["perform"])


class Program:
    """Lines, in the order in which they are run.

    Args:
        room: where a few integers may be written: bytes behind `base`, grown by what is asked for.
    """

    def __init__(self, base: int, room: int) -> None:
        self._lines: list[tuple[int, ...]] = []
        self._base, self.room = base, room
        self._held: list[np.ndarray] = []

    def held(self, numbers: np.ndarray) -> Place:
        """Integers that no call changes."""
        self._held.append(numbers)
        return NOWHERE, numbers.ctypes.data

    def space(self, count: int) -> Place:
        """Room for so many integers, which each call finds as the last one left them, or anything."""
        begin = self.room
        self.room += -(-count // 8) * 64
        return self._base, begin

    def zero(self, to: Place, size: int) -> None:
        """Fill so many bytes."""
        if size:
            self._line(ZERO, to, numbers=(size // WORD,))

    def copy(self, to: Place, source: Place, size: int, rows: int = 1, strides: tuple[int, int] = (0, 0)) -> None:
        """Copy rows of so many bytes; strides: bytes from one row to the next there and here."""
        self._line(COPY, to, source, numbers=(size // WORD, rows, *(stride // WORD for stride in strides)))

    def put(self, to: Place, value: Place) -> None:
        """Write an address: a number where the base is one, or `NOWHERE`."""
        self._line(PUT, to, value)

    def call(self, function: int, *places: Place) -> None:
        """Call a C function of up to four addresses, or numbers."""
        self._line(CALL, *places, numbers=(function,))

    def launch(self, function: int, parts: int, numbers: Place, arrays: Place = (_BASES, 0)) -> None:
        """Run all parts of a kernel; arrays: by default the call's own list of addresses."""
        if parts == 1:
            self.call(function, (NOWHERE, 0), numbers, arrays)
            return
        given, (parallel, launcher, *questions) = self.space(6), threads.entrances()
        values = [(NOWHERE, function), numbers, arrays, *((NOWHERE, n) for n in (parts, *questions))]
        for place, value in enumerate(values):
            self.put((given[0], given[1] + 8 * place), value)
        self.call(parallel, (NOWHERE, launcher), given, (NOWHERE, parts))

    def _line(self, what: int, *places: Place, numbers: tuple[int, ...] = ()) -> None:
        line = [what, *(number for place in places for number in place)]
        line += [0] * (INTEGERS - len(line))
        self._lines.append((*line, *numbers, *[0] * (len(LINE) - INTEGERS - len(numbers))))

    def ready(self) -> Program:
        """No line is added any more."""
        self._written = np.array(self._lines, np.int64)
        self._at = self._written.ctypes.data
        return self

    def run(self, addresses: Sequence[int]) -> None:
        """Run it all, with the addresses from `FIRST` on."""
        bases = (ctypes.c_int64 * (FIRST + len(addresses)))(0, 0, *addresses)
        bases[_BASES] = ctypes.addressof(bases)
        _perform()(self._at, len(self._lines), bases)
