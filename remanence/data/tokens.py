"""Texts to tokens to numbers: characters, words, subwords, and the vocabulary.

characters   every character, white space as one space
words        lower-cased words and whole numbers; each Chinese, Japanese or Korean character and each mark alone
subwords     pieces of words learnt by byte-pair encoding (the `tokenizers` library)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from remanence.data.arrow import compute
from remanence.errors import MachineError

__all__ = [
    "LETTER",
    "PADDING",
    "UNKNOWN",
    "TokenKind",
    "Vocabulary",
    "choose_kind",
    "learn",
    "tokenizers_library",
    "words",
]

PADDING, UNKNOWN = 0, 1
_BETWEEN = -1
TokenKind = Literal["characters", "words", "subwords"]

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
LETTER = rf"(?:(?![{_CJK}])[^\W\d_])"
"""One letter of a script that is written in words."""
_WORD = re.compile(rf"\x00|{LETTER}+(?:['’]{LETTER}+)*|\d+|[^\s]")
# The same for texts of ASCII alone, twice as quick.
_PLAIN_WORD = re.compile(r"\x00|[a-z]+(?:'[a-z]+)*|\d+|[^\s]")
_HAS_CJK = re.compile(rf"[{_CJK}]")
_CODES = 0x110000
_RARE_FROM = 1000
"""With so many training texts a token seen once counts as unknown, so that the unknown token is trained too."""


class Vocabulary(BaseModel):
    """Tokens by number: 0 is padding, 1 stands for every unknown token, then the tokens, most frequent first.

    Example:
        >>> vocabulary = Vocabulary(kind="words", tokens=("a", "film"))
        >>> ids, lengths = vocabulary.encode(pa.array(["A good film", "a"]))
        >>> ids.tolist(), lengths.tolist()
        ([2, 1, 3, 2], [3, 1])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TokenKind
    tokens: tuple[str, ...]
    model: str = ""
    """The subword model as JSON of the `tokenizers` library; empty for characters and words."""

    @property
    def size(self) -> int:
        """Numbers in use, padding and unknown included: the rows of an embedding."""
        return len(self.tokens) + 2

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return _Numbers({token: number for number, token in enumerate(self.tokens, 2)} | {"\0": _BETWEEN})

    @cached_property
    def _characters(self) -> np.ndarray:
        table = np.full(_CODES, UNKNOWN, np.int32)
        for number, token in enumerate(self.tokens, 2):
            table[ord(token)] = number
        return table

    @cached_property
    def _subwords(self) -> Any:
        return tokenizers_library().Tokenizer.from_str(self.model)

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Number the tokens of texts.

        Returns:
            int32 `[tokens of all texts]`, and int64 `[text]`: how many belong to each.
        """
        if self.kind == "characters":
            codes, lengths = _codes(texts)
            return self._characters[codes], lengths
        if self.kind == "words":
            if not len(texts):
                return np.zeros(0, np.int32), np.zeros(0, np.int64)
            tokens = _cut(texts)
            ids = np.fromiter(map(self._numbers.__getitem__, tokens), np.int32, len(tokens))
            ends = np.append(np.flatnonzero(ids == _BETWEEN), len(ids))
            return ids[ids != _BETWEEN], np.diff(ends, prepend=-1) - 1
        return _subword_ids(self._subwords, texts)

    def pieces(self, text: str) -> list[str]:
        """A text cut as `encode` cuts it, each piece in the text's own letters, whether it is known or not.

        Example:
            >>> Vocabulary(kind="words", tokens=("a", "film")).pieces("A good film")
            ['a', 'good', 'film']
        """
        if self.kind == "characters":
            return [chr(code) for code in _codes(pa.array([text]))[0]]
        if self.kind == "words":
            return _cut(pa.array([text]))
        return [text[first:last] for first, last in self._subwords.encode(text).offsets]

    def numbers(self, tokens: Iterable[str]) -> np.ndarray:
        """Number tokens that are cut already, int32 `[token]`."""
        return np.array([self._numbers[token] for token in tokens], np.int32)

    def name(self, number: int) -> str:
        """The token of a number; `�` for an unknown one."""
        return self.tokens[number - 2] if number > UNKNOWN else "�" if number == UNKNOWN else ""


def choose_kind(texts: Iterable[str]) -> TokenKind:
    """Characters where texts are Chinese, Japanese or Korean, or hold hardly any spaces; otherwise words.

    Example:
        >>> choose_kind(["房间很大，很干净"]), choose_kind(["a very good film"])
        ('characters', 'words')
    """
    joined = "\n".join(texts)
    letters = max(1, sum(not letter.isspace() for letter in joined))
    cjk = len(_HAS_CJK.findall(joined))
    spaces = joined.count(" ")
    return "characters" if cjk > 0.2 * letters or spaces < 0.02 * letters else "words"


def words(texts: pa.Array) -> tuple[list[str], np.ndarray]:
    """Cut texts into words; all tokens in one list, and how many each text has, int64 `[text]`."""
    if not len(texts):
        return [], np.zeros(0, np.int64)
    tokens = _cut(texts)
    ends = np.array([place for place, token in enumerate(tokens) if token == "\0"] + [len(tokens)], np.int64)
    return [token for token in tokens if token != "\0"], np.diff(ends, prepend=-1) - 1


def _cut(texts: pa.Array) -> list[str]:
    """Words of all texts, a NUL between two texts."""
    joined = "\0".join(text.replace("\0", " ") for text in texts.to_pylist()).lower()
    return (_PLAIN_WORD if joined.isascii() else _WORD).findall(joined)


class _Numbers(dict[str, int]):
    """Numbers of tokens; what is not there is unknown."""

    def __missing__(self, token: str) -> int:
        return UNKNOWN


def learn(chunks: Iterator[pa.Array], kind: TokenKind, limit: int) -> Vocabulary:
    """Fit a vocabulary.

    Args:
        chunks: texts of the training part, and of nothing else.
        limit: most tokens to keep.
    """
    if kind == "subwords":
        return _learn_subwords(chunks, limit)
    texts, counts = 0, Counter[str]()
    codes = np.zeros(_CODES, np.int64)
    for chunk in chunks:
        texts += len(chunk)
        if kind == "characters":
            codes += np.bincount(_codes(chunk)[0], minlength=_CODES)
        else:
            counts.update(_cut(chunk))
    if kind == "characters":
        counts = Counter({chr(code): int(codes[code]) for code in np.flatnonzero(codes)})
    del counts["\0"]
    least = 2 if texts >= _RARE_FROM else 1
    kept = sorted(
        (token for token, count in counts.items() if count >= least), key=lambda token: (-counts[token], token)
    )
    return Vocabulary(kind=kind, tokens=tuple(kept[:limit]))


def _codes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Code points of all texts, white space as a space, and the length of each text."""
    lengths = compute.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    codes = np.frombuffer("".join(texts.to_pylist()).encode("utf-32-le"), np.uint32).astype(np.int64)
    white = (codes >= 9) & (codes <= 13) | (codes == 0x3000) | (codes == 0xA0)
    return np.where(white, 32, codes), lengths


def tokenizers_library() -> Any:
    """The package that learns subwords.

    Raises:
        MachineError: it is not installed.
    """
    try:
        import tokenizers
    except ImportError:
        raise MachineError(
            "subwords need the package 'tokenizers'", remedy='pip install "remanence[subwords]"'
        ) from None
    return tokenizers


def _learn_subwords(chunks: Iterator[pa.Array], limit: int) -> Vocabulary:
    library = tokenizers_library()
    model = library.Tokenizer(library.models.BPE(unk_token="[UNK]"))
    model.normalizer = library.normalizers.Lowercase()
    model.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    trainer = library.trainers.BpeTrainer(vocab_size=limit + 1, special_tokens=["[UNK]"], show_progress=False)
    model.train_from_iterator((text for chunk in chunks for text in chunk.to_pylist()), trainer)
    names = {number: token for token, number in model.get_vocab().items()}
    tokens = tuple(names[number] for number in range(1, len(names)))
    return Vocabulary(kind="subwords", tokens=tokens, model=model.to_str())


def _subword_ids(model: Any, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    coded = [found.ids for found in model.encode_batch(texts.to_pylist())]
    lengths = np.array([len(ids) for ids in coded], np.int64)
    # The library's number 0 is its unknown token; ours is 1.
    return np.fromiter((number + 1 for ids in coded for number in ids), np.int32, int(lengths.sum())), lengths
