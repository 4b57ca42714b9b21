"""Texts to numbers and back without loss: what a language model reads and writes.

characters   every character as it stands, line ends among them
words        words with the space before them, numbers, marks; a word that is not known is spelled in characters
subwords     pieces of words over bytes, learnt by byte-pair encoding (the `tokenizers` library); nothing is unknown

`tokens.Vocabulary` folds case and white space, which helps a classifier; here the pieces put together are the text.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from remanence.data.tokens import LETTER, TokenKind, tokenizers_library

__all__ = ["END", "FIRST", "PADDING", "SHOWN_END", "UNKNOWN", "Symbols", "learn_symbols"]

PADDING, UNKNOWN, END, FIRST = 0, 1, 2, 3
SHOWN_END = "⏎"
_CODES = 0x110000
_MANY = 1000
"""With so many different characters, those seen once count as unknown, so that the unknown one is trained too."""
_SPELLED = 4096
"""Most characters that words which are not known may be spelled with."""

# Every character is matched by one branch, so that the pieces joined are the text.
_PIECE = re.compile(rf" ?{LETTER}+(?:['’]{LETTER}+)*| ?\d+|\s|\S")


class Symbols(BaseModel):
    """Pieces of text by number: 0 is padding, 1 what is not known, 2 the end of a document, then the pieces.

    Example:
        >>> symbols = learn_symbols(["the cat sat; the cat"], "words", 100)
        >>> numbers = symbols.encode("the cat ate")
        >>> symbols.decode(numbers), [symbols.name(n) for n in numbers.tolist()]
        ('the cat ate', ['t', 'h', 'e', ' cat', ' ', 'a', 't', 'e'])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TokenKind
    tokens: tuple[str, ...]
    model: str = ""
    """The subword model as JSON of the `tokenizers` library; empty for characters and words."""

    def __eq__(self, other: object) -> bool:
        # Pydantic would compare what is kept for later, too, and arrays have no one answer.
        return isinstance(other, Symbols) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash((self.kind, self.tokens, self.model))

    @property
    def size(self) -> int:
        """Numbers in use, the first three included: rows of an embedding, answers of a model."""
        return FIRST + len(self.tokens)

    @cached_property
    def characters(self) -> np.ndarray:
        """Characters that each number stands for, int64 `[vocab]`; an end of a document counts as one."""
        # Counting the bytes that begin a character shares one split over several pieces out exactly.
        counts = [sum(byte & 0xC0 != 0x80 for byte in piece) for piece in self._bytes]
        return np.array(counts, np.int64)

    @cached_property
    def _bytes(self) -> tuple[bytes, ...]:
        if self.kind == "subwords":
            back = {sign: byte for byte, sign in enumerate(_byte_signs())}
            pieces = tuple(bytes(back[sign] for sign in token) for token in self.tokens)
        else:
            pieces = tuple(token.encode() for token in self.tokens)
        return (b"", "�".encode(), b"\n", *pieces)

    @cached_property
    def _codes(self) -> np.ndarray:
        table = np.full(_CODES, UNKNOWN, np.int32)
        for number, token in enumerate(self.tokens, FIRST):
            if len(token) == 1:
                table[ord(token)] = number
        return table

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens, FIRST)}

    @cached_property
    def _subwords(self) -> Any:
        return tokenizers_library().Tokenizer.from_str(self.model)

    def encode(self, text: str) -> np.ndarray:
        """Number the pieces of a text, int32 `[piece]`."""
        if self.kind == "characters":
            return self._codes[_code_points(text)]
        if self.kind == "subwords":
            return np.array(self._subwords.encode(text, add_special_tokens=False).ids, np.int32) + FIRST
        numbers: list[int] = []
        known = self._numbers
        for piece in _PIECE.findall(text):
            number = known.get(piece)
            if number is None:
                numbers.extend(self._codes[_code_points(piece)].tolist())
            else:
                numbers.append(number)
        return np.array(numbers, np.int32)

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers; `�` for what is not known, a line end for the end of a document."""
        return "".join(self.stream(numbers))

    def stream(self, numbers: Iterable[int]) -> Iterator[str]:
        """The text of each number as it comes; of a character in several pieces, with the last of them."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for number in numbers:
            yield decoder.decode(self._bytes[number])
        if rest := decoder.decode(b"", final=True):
            yield rest

    def name(self, number: int) -> str:
        """What a number is called in figures and tables."""
        return SHOWN_END if number == END else self._bytes[number].decode("utf-8", "replace")


def learn_symbols(texts: Iterable[str], kind: TokenKind, limit: int) -> Symbols:
    """Fit the pieces.

    Args:
        texts: of the training part, and of nothing else.
        limit: most pieces to keep (of subwords: the 256 bytes included).
    """
    if kind == "subwords":
        return _learn_subwords(texts, limit)
    codes = np.zeros(_CODES, np.int64)
    pieces = Counter[str]()
    for text in texts:
        codes += np.bincount(_code_points(text), minlength=_CODES)
        if kind == "words":
            pieces.update(_PIECE.findall(text))
    seen = np.flatnonzero(codes)
    least = 2 if len(seen) > _MANY else 1
    characters = {chr(code): int(codes[code]) for code in seen if codes[code] >= least}
    if kind == "characters":
        return Symbols(kind=kind, tokens=tuple(_frequent(characters, limit)))
    spelled = _frequent(characters, min(_SPELLED, limit))
    words = {piece: count for piece, count in pieces.items() if count > 1 and len(piece) > 1}
    return Symbols(kind=kind, tokens=(*spelled, *_frequent(words, limit - len(spelled))))


def _frequent(counts: dict[str, int], limit: int) -> list[str]:
    """Names by falling count; equal ones in their own order, so that a vocabulary is the same everywhere."""
    return sorted(counts, key=lambda name: (-counts[name], name))[: max(limit, 0)]


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)


def _learn_subwords(texts: Iterable[str], limit: int) -> Symbols:
    library = tokenizers_library()
    model = library.Tokenizer(library.models.BPE())
    model.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = library.trainers.BpeTrainer(
        vocab_size=max(limit, 256), show_progress=False, min_frequency=2,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    model.train_from_iterator(texts, trainer)
    names = {number: token for token, number in model.get_vocab().items()}
    return Symbols(kind="subwords", tokens=tuple(names[number] for number in range(len(names))), model=model.to_str())


def _byte_signs() -> list[str]:
    """The sign by which byte-level subwords write each byte: itself where it prints, else one from 256 upwards."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printing else next(others)) for byte in range(256)]
