"""One side of a pair of texts as numbers: what is read, or what is to be written.

TextSide     how texts of a side become numbers and back, fitted on the training part; goes to JSON
TokenStore   the numbers of many texts, one after the other, spilled to disk where they are many

Cut into words or subwords, every word has its space before it, the first one too: it is the same word anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from remanence.data.spills import Spill, gather
from remanence.data.symbols import END, PADDING, UNKNOWN, Symbols, learn_symbols
from remanence.data.tokens import TokenKind, choose_kind

__all__ = ["TextSide", "TokenStore", "fit_side", "store_texts"]

Texts = Callable[[], Iterator[list[str]]]
_LOOKED_AT = 1000
"""Texts that the guess of a kind looks at."""


class TextSide(BaseModel):
    """How the texts of one side become numbers.

    Args:
        symbols: their pieces by number.
        lower: texts are read, and written, in lower case.
        script: `characters` where the training texts are Chinese, Japanese or Korean: how their words are counted.

    Example:
        >>> side = fit_side(lambda: iter([["A dog runs in.", "A dog sat."]]), "words", limit=100, lower=True)
        >>> numbers = side.encode("A dog sits")
        >>> [side.symbols.name(number) for number in numbers.tolist()], side.decode(numbers)
        ([' a', ' dog', ' ', 's', 'i', 't', 's'], 'a dog sits')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["text"] = "text"
    symbols: Symbols
    lower: bool = False
    script: Literal["words", "characters"] = "words"

    def encode(self, text: str) -> np.ndarray:
        """Number the pieces of a text, int32 `[piece]`."""
        text = text.lower() if self.lower else text
        return self.symbols.encode(text if self.symbols.kind == "characters" else " " + text)

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers, up to the first end; padding is passed over."""
        kept: list[int] = []
        for number in numbers:
            if number == END:
                break
            if number != PADDING:
                kept.append(int(number))
        return self.symbols.decode(kept).strip()

    def pieces(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """What each number is called in figures and tables, without the space before it."""
        return tuple(self.symbols.name(int(number)).strip() or "␣" for number in numbers)


def fit_side(texts: Texts, kind: TokenKind | None, *, limit: int, lower: bool = False) -> TextSide:
    """Fit how texts become numbers.

    Args:
        texts: gives the texts of the training part, some at a time, and nothing else.
        kind: how they are cut; None: characters for Chinese, Japanese and Korean, else words.
        limit: most pieces to keep.
        lower: read them in lower case.
    """
    head = list(islice((text for batch in texts() for text in batch), _LOOKED_AT))
    script = choose_kind(head)
    kind = kind or script
    before = "" if kind == "characters" else " "

    def pieces() -> Iterator[str]:
        for batch in texts():
            joined = "\n".join(before + text for text in batch)
            yield joined.lower() if lower else joined

    symbols = learn_symbols(pieces(), kind, limit)
    return TextSide(symbols=symbols, lower=lower, script="characters" if script == "characters" else "words")


@dataclass(frozen=True)
class TokenStore:
    """Tokens of many texts, one after the other.

    Args:
        tokens: int32 `[token]`.
        offsets: where each text begins, and where the last one ends, int64 `[text + 1]`.

    Example:
        >>> store = TokenStore(np.array([5, 6, 7], np.int32), np.array([0, 2, 3]))
        >>> store.padded(np.array([1, 0]), end=True).tolist()
        [[7, 2, 0], [5, 6, 2]]
    """

    tokens: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 `[text]`."""
        return np.diff(self.offsets)

    def of(self, place: int) -> np.ndarray:
        """The tokens of one text."""
        return np.asarray(self.tokens[self.offsets[place] : self.offsets[place + 1]])

    def padded(self, places: np.ndarray, *, most: int | None = None, end: bool = False) -> Tensor:
        """The tokens of texts side by side, int64 `[text, token]`, 0 behind the last.

        Args:
            places: which texts, in this order.
            most: tokens kept of each.
            end: put the sign of an end behind each.
        """
        starts, lengths = self.offsets[places], self.offsets[places + 1] - self.offsets[places]
        if most is not None:
            lengths = np.minimum(lengths, most)
        steps = np.arange(int(lengths.max(initial=0)) + int(end))
        rows = np.minimum(starts[:, None] + steps, max(len(self.tokens) - 1, 0))
        found = gather(self.tokens, rows) if len(self.tokens) else np.zeros(rows.shape, np.int32)
        tokens = np.where(steps < lengths[:, None], found, PADDING).astype(np.int64)
        if end:
            tokens[np.arange(len(places)), lengths] = END
        return torch.from_numpy(tokens)

    def unknown(self, place: int) -> list[bool]:
        """Which tokens of a text were not seen in training."""
        return (self.of(place) == UNKNOWN).tolist()


def store_texts(texts: Iterable[list[str]], encode: Callable[[str], np.ndarray]) -> TokenStore:
    """Number all texts."""
    tokens, lengths = Spill(np.int32), Spill(np.int64)
    for batch in texts:
        coded = [encode(text) for text in batch]
        lengths.append(np.array([len(numbers) for numbers in coded], np.int64))
        tokens.append(np.concatenate([np.zeros(0, np.int32), *coded]))
    return TokenStore(tokens.finish(), np.concatenate([[0], np.cumsum(lengths.finish())]).astype(np.int64))
