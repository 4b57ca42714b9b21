"""Runs of neighbouring tokens that several training texts share: those that are worth a vector of their own.

A run that stands in one text alone would only let a model know that text by heart (on Chinese reviews, vectors for such
runs undo all that runs are good for). Runs are not listed: a hash of each points into a mask of `2**BITS` bits.

References:
    Bloom 1970, Space/time trade-offs in hash coding with allowable errors, doi:10.1145/362686.362692 (one hash).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from functools import cached_property
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

__all__ = ["Runs", "follow", "learn_runs"]

BITS = 22
_TEXTS = 40
Codes = TypeVar("Codes", np.ndarray, Tensor)


class Runs(BaseModel):
    """Runs of 2 … `longest` tokens that are known.

    Args:
        longest: tokens of the longest run.
        mask: bits of the known runs' codes, packed, deflated, in base 64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    longest: int = Field(ge=2, le=8)
    mask: str

    @cached_property
    def known(self) -> np.ndarray:
        """Whether a run of code `c` is known, at `c % 2**BITS`: bool `[2**BITS]`."""
        packed = np.frombuffer(zlib.decompressobj().decompress(base64.b64decode(self.mask), 2**BITS // 8), np.uint8)
        return np.unpackbits(packed, count=2**BITS).astype(bool)

    def rows(self, most: int) -> np.ndarray:
        """Which row of a table belongs to a run of code `c`, at `c % 2**BITS`: int32 `[2**BITS]`.

        Rows 1, 2, … go to the known runs, in the order of their places; with more of them than `most` it begins anew.
        Row 0 is for what is not known.

        Example:
            >>> runs = learn_runs([(np.array([5, 6, 5, 6, 7]), np.array([0, 0, 1, 1, 1]))], longest=2)
            >>> rows = runs.rows(most=100)
            >>> [bool(rows[follow(np.array([b]), np.array([a]))[0] % 2**BITS]) for a, b in ((5, 6), (6, 7))]
            [True, False]
        """
        rank = np.cumsum(self.known, dtype=np.int32) - 1
        return np.where(self.known, rank % most + 1, 0).astype(np.int32)


def follow(code: Codes, before: Codes) -> Codes:
    """Codes of runs from those of their ends and the token before: odd constants, high bits kept, never negative.

    Args:
        code: codes of runs, or tokens (runs of one), int64.
        before: the token before each run, int64; 0 before a text begins.

    Example:
        >>> ab, ba = follow(np.array([3]), np.array([2])), follow(np.array([2]), np.array([3]))
        >>> bool(ab[0] != ba[0])
        True
    """
    mixed = code * 0x1E3779B1 + (before + 1) * 0x05EBCA77
    return ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D >> 12) & 0x7FFFFFFF


def learn_runs(slabs: Iterable[tuple[np.ndarray, np.ndarray]], longest: int) -> Runs:
    """Find the runs that at least two texts share.

    Args:
        slabs: tokens `[step]` of texts, one after the other, and the text each step belongs to, rising `[step]`.
        longest: tokens of the longest run, 2 … 8.

    Example:
        >>> runs = learn_runs([(np.array([5, 6, 5, 6, 7]), np.array([0, 0, 1, 1, 1]))], longest=2)
        >>> [bool(runs.known[follow(np.array([b]), np.array([a]))[0] % 2**BITS]) for a, b in ((5, 6), (6, 7))]
        [True, False]
    """
    once, twice = np.zeros(2**BITS, bool), np.zeros(2**BITS, bool)
    for tokens, texts in slabs:
        tokens = tokens.astype(np.int64)
        code = tokens
        for back in range(1, longest):
            before = np.zeros_like(tokens)
            before[back:] = np.where(texts[back:] == texts[:-back], tokens[:-back], 0)
            code = follow(code, before)
            # Sorted by place, then text: a run of another text right after one of the same place is shared.
            keys = np.sort(code % 2**BITS << _TEXTS | texts)
            places = keys >> _TEXTS
            first = np.diff(places, prepend=-1) > 0
            twice[places[~first & (np.diff(keys, prepend=-1) > 0)]] = True
            twice[places[first]] |= once[places[first]]
            once[places[first]] = True
    packed = zlib.compress(np.packbits(twice).tobytes(), 9)
    return Runs(longest=longest, mask=base64.b64encode(packed).decode("ascii"))
