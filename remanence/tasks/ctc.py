"""From probabilities of symbols a step to a text: connectionist temporal classification.

A path names a symbol or the blank at every step; its text is what is left when repeats are merged and blanks removed.
The probability of a text is the sum over all its paths (`losses.text_loss` learns by it).

    greedy        the text of the likeliest path, and where each of its symbols stands
    beam_search   the likeliest text, summed over paths, a language model asked for each new symbol

References:
    Graves, Fernández, Gomez & Schmidhuber 2006, Connectionist temporal classification, doi:10.1145/1143844.1143891;
    Hannun, Maas, Jurafsky & Ng 2014, First-pass large vocabulary continuous speech recognition using bi-directional
    recurrent DNNs, arXiv:1408.2873, algorithm 1 (prefix beam search, word bonus).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, log1p
from typing import NamedTuple, Protocol

import numpy as np

__all__ = ["BLANK", "Aligned", "Language", "Silent", "beam_search", "greedy", "log_softmax"]

BLANK = 0
_UNLIKELY = -7.0
"""Log-probability below which a symbol is not tried at a step, unless it is the likeliest."""


class Aligned(NamedTuple):
    """A text and where it stands.

    Args:
        symbols: its numbers.
        starts, stops: first step of each symbol, and the one behind its last.
    """

    symbols: tuple[int, ...]
    starts: tuple[int, ...]
    stops: tuple[int, ...]


def greedy(best: np.ndarray) -> Aligned:
    """The text of a path.

    Args:
        best: the symbol of each step, int `[step]`.

    Example:
        >>> greedy(np.array([0, 5, 5, 0, 5, 7, 7]))
        Aligned(symbols=(5, 5, 7), starts=(1, 4, 5), stops=(3, 5, 7))
    """
    changes = np.flatnonzero(np.diff(best, prepend=-1, append=-1))
    runs = [(int(best[start]), int(start), int(stop)) for start, stop in pairwise(changes)]
    kept = [run for run in runs if run[0] != BLANK]
    return Aligned(*(tuple(run[at] for run in kept) for at in range(3)))


class Language(Protocol):
    """What a text is worth to a language: asked symbol by symbol."""

    def begin(self) -> object:
        """The state before a text."""
        ...

    def follow(self, state: object, symbol: int) -> tuple[object, float]:
        """The state after a symbol, and what it adds to the text's score."""
        ...

    def end(self, state: object) -> float:
        """What it adds that the text ends here."""
        ...


class Silent:
    """A language in which all texts are worth the same."""

    def begin(self) -> object:
        return None

    def follow(self, state: object, symbol: int) -> tuple[object, float]:
        return None, 0.0

    def end(self, state: object) -> float:
        return 0.0


@dataclass(slots=True)
class _Prefix:
    """A beginning of a text.

    Args:
        blank, symbol: log-probability of all its paths that end in a blank, in its last symbol.
        state, worth: what the language makes of it.
    """

    blank: float
    symbol: float
    state: object
    worth: float

    @property
    def score(self) -> float:
        return _either(self.blank, self.symbol) + self.worth


def _either(left: float, right: float) -> float:
    """log(e^left + e^right)."""
    if left < right:
        left, right = right, left
    return left if right == -inf else left + log1p(exp(right - left))


def beam_search(chances: np.ndarray, width: int, language: Language | None = None) -> tuple[tuple[int, ...], float]:
    """The likeliest text, and its score: its log-probability and what it is worth to the language.

    Args:
        chances: log-probability of each symbol at each step `[step, symbol]`, the blank first.
        width: beginnings of a text that are followed from each step to the next.
        language: what texts are worth; None: all the same.

    Example:
        >>> path, score = beam_search(np.log([[0.6, 0.4], [0.6, 0.4]]), 4)
        >>> path, round(exp(score), 2)
        ((1,), 0.64)
    """
    language = language or Silent()
    beam: dict[tuple[int, ...], _Prefix] = {(): _Prefix(0.0, -inf, language.begin(), 0.0)}
    for step in chances:
        tried = [int(symbol) for symbol in np.flatnonzero(step >= min(_UNLIKELY, float(step.max())))]
        likely = {symbol: float(step[symbol]) for symbol in tried}
        beam = _advanced(beam, likely, language)
        if len(beam) > width:
            best = sorted(beam.items(), key=lambda item: -item[1].score)[:width]
            beam = dict(best)
    ended = {text: prefix.score + language.end(prefix.state) for text, prefix in beam.items()}
    best_text = max(ended, key=lambda text: ended[text])
    return best_text, ended[best_text]


def _advanced(
    beam: dict[tuple[int, ...], _Prefix], likely: dict[int, float], language: Language
) -> dict[tuple[int, ...], _Prefix]:
    """All beginnings after one more step."""
    found: dict[tuple[int, ...], _Prefix] = {}
    for text, prefix in beam.items():
        total = _either(prefix.blank, prefix.symbol)
        for symbol, chance in likely.items():
            if symbol == BLANK:
                kept = _entry(found, text, prefix)
                kept.blank = _either(kept.blank, total + chance)
                continue
            before = total
            if text and symbol == text[-1]:
                # A repeat is the same symbol, unless a blank stands between.
                kept = _entry(found, text, prefix)
                kept.symbol = _either(kept.symbol, prefix.symbol + chance)
                before = prefix.blank
            if before == -inf:
                continue
            longer = (*text, symbol)
            if longer not in found:
                state, worth = language.follow(prefix.state, symbol)
                found[longer] = _Prefix(-inf, -inf, state, prefix.worth + worth)
            kept = found[longer]
            kept.symbol = _either(kept.symbol, before + chance)
    return found


def _entry(found: dict[tuple[int, ...], _Prefix], text: tuple[int, ...], prefix: _Prefix) -> _Prefix:
    if text not in found:
        found[text] = _Prefix(-inf, -inf, prefix.state, prefix.worth)
    return found[text]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities along the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
