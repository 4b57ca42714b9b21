"""Problems that are made, not measured: each tells, at any length, whether a network remembers.

    adding    numbers drawn from 0 … 1, two of them marked, one in each half: the answer is the sum of the two.
              Always answering 1 has a mean squared error of 1/6. Rows of steps, for `regress`.
    copy      ten letters, then blanks, then a sign, and at the last ten steps the letters in their order: a label a
              step. Without memory 7 in 8 of the last ten are wrong. Rows of lists, for `tag`.

References:
    Hochreiter & Schmidhuber 1997, section 5.4 (adding), doi:10.1162/neco.1997.9.8.1735; both in the form of Arjovsky,
    Shah & Bengio 2016, sections 4.1 and 4.2, arXiv:1511.06464.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from remanence.errors import SettingError

__all__ = ["BLANK", "LETTERS", "PROBLEMS", "RECALLED", "SIGN", "adding", "copy_memory", "problem_rows"]

PROBLEMS = ("adding", "copy")
LETTERS = "abcdefgh"
BLANK, SIGN = "_", ">"
RECALLED = 10
_SHARES = (0.8, 0.1)
_SLAB_STEPS = 1 << 18
_LONGEST, _MOST = 1 << 20, 10**7


def adding(sequences: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers and marks `[sequence, step]`, and the sum of the two marked numbers `[sequence]`.

    Example:
        >>> numbers, marks, sums = adding(3, 8, np.random.default_rng(0))
        >>> marks.sum(1).tolist(), bool(np.allclose((numbers * marks).sum(1), sums))
        ([2, 2, 2], True)
    """
    numbers = random.random((sequences, length))
    marks = np.zeros((sequences, length), np.int8)
    rows = np.arange(sequences)
    marks[rows, random.integers(0, length // 2, sequences)] = 1
    marks[rows, random.integers(length // 2, length, sequences)] = 1
    return numbers, marks, (numbers * marks).sum(1)


def copy_memory(sequences: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What is read and what is to be answered, symbols `[sequence, length + 20]`.

    From reading a letter to writing it are `length + 10` steps.

    Example:
        >>> read, answer = copy_memory(1, 3, np.random.default_rng(0))
        >>> "".join(read[0, 10:]), "".join(answer[0, :13]), bool((read[0, :10] == answer[0, 13:]).all())
        ('__>__________', '_____________', True)
    """
    letters = np.array(list(LETTERS))[random.integers(0, len(LETTERS), (sequences, RECALLED))]
    read = np.full((sequences, length + 2 * RECALLED), BLANK)
    answer = read.copy()
    read[:, :RECALLED] = letters
    read[:, length + RECALLED - 1] = SIGN
    answer[:, length + RECALLED :] = letters
    return read, answer


def problem_rows(name: str, *, sequences: int, length: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of a problem, as a file of them holds them; the same seed gives the same.

    Args:
        name: `adding`: a row a step (sequence, number, marked, sum, split); `copy`: a row a sequence (tokens, labels,
            split).
        sequences: of all parts; 80 % are marked train, 10 % valid, 10 % test.
        length: steps of a sequence (adding), or blanks to bridge (copy).
        seed: of the draws.

    Raises:
        SettingError: no such problem, or a number out of range.
    """
    if name not in PROBLEMS:
        raise SettingError(f"no such problem '{name}'", name="problem", remedy=f"one of {', '.join(PROBLEMS)}")
    for what, value, least, most in (("sequences", sequences, 10, _MOST), ("length", length, 2, _LONGEST)):
        if not least <= value <= most:
            raise SettingError(f"expected {least:,} … {most:,}, came {value:,}", name=what)
    return _rows(name, sequences, length, np.random.default_rng(seed))


def _rows(name: str, sequences: int, length: int, random: np.random.Generator) -> Iterator[dict[str, Any]]:
    slab = max(1, _SLAB_STEPS // length)
    for first in range(0, sequences, slab):
        count = min(slab, sequences - first)
        parts = [_part(first + place, sequences) for place in range(count)]
        if name == "copy":
            read, answer = copy_memory(count, length, random)
            for tokens, labels, part in zip(read.tolist(), answer.tolist(), parts, strict=True):
                yield {"tokens": tokens, "labels": labels, "split": part}
            continue
        numbers, marks, sums = adding(count, length, random)
        for place, part in enumerate(parts):
            shared = {"sum": float(sums[place]), "split": part}
            for number, mark in zip(numbers[place].tolist(), marks[place].tolist(), strict=True):
                yield {"sequence": first + place, "number": number, "marked": mark, **shared}


def _part(place: int, sequences: int) -> str:
    train, valid = (round(share * sequences) for share in _SHARES)
    return "train" if place < train else "valid" if place < train + valid else "test"
