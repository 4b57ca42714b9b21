"""How texts without labels use a word: how often, and how often with a capital where no sentence begins.

A word that other texts write small is seldom a name, one that they always write with a capital mostly is; and what
they do not have at all is mostly a name, or a mistake. So little is told of each word that words a model was never
trained on are read as well as others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from remanence.data.sources import find
from remanence.data.texts import LongText
from remanence.errors import DataError

__all__ = ["USES_OF_WORDS", "Usage", "learn_usage", "read_usage"]

_SHARES = (0.05, 0.3, 0.7, 0.95)
"""Where the share of capitals passes from one kind to the next."""
_LEVELS = 9
USES_OF_WORDS = 1 + _LEVELS * (len(_SHARES) + 1)
"""Kinds of use: none at all, or one of nine levels of frequency and five shares of capitals."""
_MOST_WORDS = 1 << 17
_HELD = 1 << 20
_BEGINS = re.compile(r"[.!?…]['\"”’)\]]*\s+|[\r\n]+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class Usage(BaseModel):
    """Words of texts in lower case, and the kind of use of each.

    Args:
        words: sorted.
        kinds: of each word, 1 + 5 · level + share: the level is the binary logarithm of how often it stands there, 8 at
            most; the share that of capitals, 0 … 4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: tuple[str, ...]
    kinds: tuple[Annotated[int, Field(ge=1, lt=USES_OF_WORDS)], ...]

    @model_validator(mode="after")
    def _as_many(self) -> Usage:
        if len(self.words) != len(self.kinds):
            raise ValueError("expected a kind of use for each word")
        return self

    def of(self, forms: Iterable[str]) -> np.ndarray:
        """The kind of use of each token as it is written, int32; 0 for those that the texts do not have."""
        known = dict(zip(self.words, self.kinds, strict=True))
        return np.array([known.get(form.lower(), 0) for form in forms], np.int32)


def read_usage(paths: Iterable[str]) -> Usage:
    """Learn from text files (UTF-8).

    Raises:
        DataError: a file that cannot be read, or no words in any of them.
    """
    files = [find(Path(path)) for path in paths]
    usage = learn_usage(lines for file in files for lines in _whole_lines(LongText(file)))
    if not usage.words:
        raise DataError("no words in it", path=files[0], remedy="give texts of words, or leave --word-texts out")
    return usage


def _whole_lines(text: LongText) -> Iterator[str]:
    """A text in parts that end with a line; anywhere where a line is longer than a million characters."""
    held = ""
    for piece in text.pieces(0, 1 << 62):
        held += piece
        if len(held) >= _HELD:
            cut = held.rfind("\n") + 1 or len(held)
            yield held[:cut]
            held = held[cut:]
    yield held


def learn_usage(texts: Iterable[str]) -> Usage:
    """Count how texts write their words.

    A capital at the beginning of a sentence or a line says nothing, nor does a word all in capitals: these are left
    out.

    Example:
        >>> found = learn_usage(["We saw Ann. Ann saw us; we saw ANN and Ann."])
        >>> dict(zip(found.words, found.kinds))
        {'and': 1, 'ann': 10, 'saw': 6, 'us': 1, 'we': 1}
    """
    small, capital = Counter[str](), Counter[str]()
    for text in texts:
        for first, word in _words(text):
            if word == word.lower():
                small[word] += 1
            elif not first and not word.isupper():
                capital[word.lower()] += 1
    both = small + capital
    kept = sorted(sorted(both, key=lambda word: (-both[word], word))[:_MOST_WORDS])
    levels = [min(both[word].bit_length() - 1, _LEVELS - 1) for word in kept]
    shares = [int(np.searchsorted(_SHARES, capital[word] / both[word], "right")) for word in kept]
    kinds = tuple(1 + (len(_SHARES) + 1) * level + share for level, share in zip(levels, shares, strict=True))
    return Usage(words=tuple(kept), kinds=kinds)


def _words(text: str) -> Iterator[tuple[bool, str]]:
    """Words of a text, and whether each begins a sentence or a line."""
    for sentence in _BEGINS.split(text):
        for place, found in enumerate(_WORD.finditer(sentence)):
            yield place == 0, found.group()
