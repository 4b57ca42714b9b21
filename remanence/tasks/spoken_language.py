"""What texts are worth to a language model of the training texts, asked symbol by symbol while a sound is decoded.

characters   each symbol, after the ones before it
words        each word when it ends, after the words before it; a word that training has not is worth as little as
             the model leaves for what it has never seen. Until it ends, what the most frequent word that begins
             so would be worth by itself stands in for it: a beginning of no word is left before it ends

References:
    Ortmanns, Ney & Eiden 1996, Language-model look-ahead for large vocabulary speech recognition, Proceedings of the
    Fourth International Conference on Spoken Language Processing (here by single words).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import log

import numpy as np

from remanence.data.symbols import END, Symbols
from remanence.tasks.kneser_ney import KneserNey, count_ngrams

__all__ = ["CharacterLanguage", "Weights", "WordLanguage"]

_UNKNOWN_WORD, _END_WORD = 0, 1
_REMEMBERED = 1 << 16
_LEAST = 1e-12


@dataclass(frozen=True)
class Weights:
    """How much a language counts beside the sound.

    Args:
        language: factor of the language's log-probability.
        bonus: added for every symbol (or word), which a language alone would make dear.
    """

    language: float
    bonus: float


class _Memory:
    """Log-probabilities of an n-gram model, remembered by context."""

    def __init__(self, texts: list[np.ndarray], order: int, size: int, end: int) -> None:
        ends = np.array([end])
        tokens = np.concatenate([ends, *(part for text in texts for part in (text, ends))])
        self.model = KneserNey(count_ngrams(tokens, order, size, end), size)
        self.reach = max(1, self.model.order - 1)
        self._known: dict[tuple[int, ...], np.ndarray] = {}

    def after(self, context: tuple[int, ...]) -> np.ndarray:
        """Log-probability of every next token."""
        if context not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self.model.distributions(np.array([context]), skip=len(context) - 1)[0, 0]
            self._known[context] = np.log(np.maximum(found, _LEAST))
        return self._known[context]


class CharacterLanguage:
    """A language model of symbols.

    Args:
        texts: numbers of each training text.
        size: numbers in use.
        order: symbols of the longest n-gram.
        weights: how much it counts.
    """

    def __init__(self, texts: Iterable[np.ndarray], size: int, order: int, weights: Weights) -> None:
        self._memory, self._weights = _Memory(list(texts), order, size, END), weights

    def begin(self) -> object:
        return (END,)

    def follow(self, state: object, symbol: int) -> tuple[object, float]:
        assert isinstance(state, tuple)
        worth = self._weights.language * float(self._memory.after(state)[symbol]) + self._weights.bonus
        return (*state, symbol)[-self._memory.reach :], worth

    def end(self, state: object) -> float:
        assert isinstance(state, tuple)
        return self._weights.language * float(self._memory.after(state)[END])


class WordLanguage:
    """A language model of words, which end at a space.

    Args:
        texts: the training texts.
        symbols: spells them.
        order: words of the longest n-gram.
        weights: how much it counts.
    """

    def __init__(self, texts: Iterable[str], symbols: Symbols, order: int, weights: Weights) -> None:
        words = [text.split() for text in texts]
        self._numbers = {word: number for number, word in enumerate(sorted({w for text in words for w in text}), 2)}
        coded = [np.array([self._numbers[word] for word in text], np.int64) for text in words]
        self._memory = _Memory(coded, order, 2 + len(self._numbers), _END_WORD)
        self._names = [symbols.name(number) for number in range(symbols.size)]
        # A word that is not known is spelled: every letter of it is one of so many.
        self._letter = log(max(2, symbols.size))
        self._weights = weights
        self._begun: dict[str, float] = {}
        counts = Counter(word for text in words for word in text)
        self._total = 1 + counts.total()
        # The most frequent first: the first word of a beginning is the one that stands.
        for word, count in counts.most_common():
            for length in range(1, len(word) + 1):
                self._begun.setdefault(word[:length], log(count / self._total))

    def begin(self) -> object:
        return (_END_WORD,), ""

    def follow(self, state: object, symbol: int) -> tuple[object, float]:
        assert isinstance(state, tuple)
        context, word = state
        name = self._names[symbol]
        if not name.isspace():
            return (context, word + name), self._ahead(word + name) - self._ahead(word)
        if not word:
            return state, 0.0
        number, worth = self._word(context, word)
        return ((*context, number)[-self._memory.reach :], ""), worth - self._ahead(word)

    def end(self, state: object) -> float:
        assert isinstance(state, tuple)
        context, word = state
        worth = 0.0
        if word:
            number, worth = self._word(context, word)
            worth -= self._ahead(word)
            context = (*context, number)[-self._memory.reach :]
        return worth + self._weights.language * float(self._memory.after(context)[_END_WORD])

    def _ahead(self, beginning: str) -> float:
        """What stands in for a word that has not ended; it is taken back when the word ends."""
        if not beginning:
            return 0.0
        chance = self._begun.get(beginning)
        if chance is None:
            chance = -log(self._total) - self._letter * len(beginning)
        return self._weights.language * chance + self._weights.bonus

    def _word(self, context: tuple[int, ...], word: str) -> tuple[int, float]:
        number = self._numbers.get(word, _UNKNOWN_WORD)
        chance = float(self._memory.after(context)[number])
        if number == _UNKNOWN_WORD:
            chance -= self._letter * len(word)
        return number, self._weights.language * chance + self._weights.bonus
