"""Which rows a thread works on at a few steps, and where each lies: the lists that tiles read.

A kernel's integers are `HEAD`, one size each, then

    bounds   [threads + 1]        where each thread's rows begin in `order`
    counts   [time, threads]      rows alive at each step; within a thread the longest sequences come first
    order    [batch]              places in the batch
    entry    [batch]              the entry of a state that a sequence starts from: 0; reversed, its length
    own      [most]               0, 1, 2, …
    lists    [threads, 6, most]   written by `filling.fill`:

    reading    offset of the input          starting, following   rows of the states before and after the step
    places     row of a step's arrays       keeping    the same, or one row a sequence where nothing is kept
    arriving   offset of the output's gradient
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["HEAD", "LISTS", "Rows", "lists_source", "numbers"]

HEAD = [
    *("spread", "gather", "sums", "fill", "time", "batch", "parts", "most", "sign", "keep"),
    *("x_time", "x_row", "e_time", "e_row", "want_x", "z_size"),
]
"""A kernel's first integers."""
LISTS = ("reading", "starting", "following", "places", "keeping", "arriving")
"""Names of the lists, in the order that `fill` writes them."""


@dataclass(frozen=True)
class Rows:
    """How a batch is dealt.

    Args:
        time: steps.
        order: places in the batch, thread by thread.
        bounds: `[threads + 1]`.
        counts: `[time, threads]`.
        entry: `[batch]`.
    """

    time: int
    order: np.ndarray
    bounds: np.ndarray
    counts: np.ndarray
    entry: np.ndarray

    @property
    def parts(self) -> int:
        """Threads."""
        return len(self.bounds) - 1

    @cached_property
    def longest(self) -> int:
        """Rows of the thread that has most."""
        return int(np.diff(self.bounds).max())

    @classmethod
    def whole(cls, batch: int, time: int, parts: int, *, backwards: bool) -> Rows:
        """Deal sequences of equal length; others are dealt by `performing.deal`."""
        bounds = np.linspace(0, batch, parts + 1).astype(np.int64)
        entry = np.full(batch, time if backwards else 0, np.int64)
        counts = np.broadcast_to(np.diff(bounds), (time, parts))
        return cls(time, np.arange(batch), bounds, counts, entry)


def numbers(head: Mapping[str, int], sizes: list[int], rows: Rows) -> np.ndarray:
    """A kernel's integers: what `head` does not say is 0; it says `most`, at least the rows of a thread."""
    known, most = {"time": rows.time, "batch": len(rows.order), "parts": rows.parts, **head}, head["most"]
    listed = [np.array([known.get(name, 0) for name in HEAD] + sizes, np.int64), rows.bounds, rows.counts.reshape(-1)]
    listed += [rows.order, rows.entry, np.arange(most), np.empty(rows.parts * len(LISTS) * most, np.int64)]
    return np.concatenate(listed)


def lists_source(sizes: int) -> list[str]:
    """Where the lists of `rows` begin."""
    lines = [
        f"    bounds = {len(HEAD) + sizes}",
        "    counts = bounds + parts + 1",
        "    lists = counts + time * parts + 2 * batch",
        "    ids = shifted(numbers, counts + time * parts + numbers[bounds + part])",
        "    own = shifted(numbers, lists)",
    ]
    return lines + [
        f"    {name} = shifted(own, most * (1 + part * {len(LISTS)} + {n}))" for n, name in enumerate(LISTS)
    ]
