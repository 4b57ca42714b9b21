"""Interpolated Kneser–Ney n-grams with modified discounts, counted in sorted arrays.

With a(h w) the adjusted count of an n-gram (how often it occurs at the highest order; below, after how many different
tokens), and D1, D2, D3+ the discount for a count of 1, 2, 3 or more:

    P(w | h) = (a(h w) − D(a(h w))) / Σ a(h ·)  +  γ(h) P(w | h')        γ(h) = Σ_j D_j N_j(h ·) / Σ a(h ·)

where h' is h without its oldest token and N_j counts the tokens that follow h exactly j times (3: or more). Below the
single tokens lies the uniform distribution, so that everything has a probability.

An n-gram that begins with an end of a document has nothing before it; it keeps its plain count, as nothing could
precede it. No n-gram reaches over an end.

References:
    Kneser & Ney 1995, Improved backing-off for m-gram language modeling, doi:10.1109/ICASSP.1995.479394.
    Chen & Goodman 1999, An empirical study of smoothing techniques for language modeling, doi:10.1006/csla.1999.0128
    (equations 24–26 in the technical report TR-10-98: interpolation, discounts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["KneserNey", "NGrams", "count_ngrams"]

_NONE = -1
_ROWS = 1 << 13


@dataclass(frozen=True)
class NGrams:
    """The different n-grams of one order, sorted by context and token.

    Args:
        keys: context × size + token, rising, int64 `[n-gram]`; a context is the place of an (n − 1)-gram.
        counts: how often each occurs, int64 `[n-gram]`.
        suffix: place of each without its oldest token among the (n − 1)-grams, int64 `[n-gram]`.
        first: whether it begins with an end of a document, bool `[n-gram]`.
    """

    keys: np.ndarray
    counts: np.ndarray
    suffix: np.ndarray
    first: np.ndarray


def count_ngrams(tokens: np.ndarray, order: int, size: int, end: int, *, most: int = 1 << 62) -> list[NGrams]:
    """Count the n-grams of all orders up to `order`.

    Args:
        tokens: a text, or documents with an end before, between and after them, int `[token]`.
        order: the longest.
        size: numbers in use, 0 … size − 1.
        end: the number of an end.
        most: n-grams in all, from which no longer ones are counted: what bounds the memory.

    Returns:
        One entry for each order, from 1; fewer than asked for where there are no longer ones, or too many.

    Example:
        >>> one, two = count_ngrams(np.array([2, 0, 1, 0, 1]), 2, 3, end=2)
        >>> two.keys.tolist(), two.counts.tolist()
        ([1, 3, 6], [2, 1, 1])
    """
    tokens = tokens.astype(np.int64)
    begins = tokens == end
    every = np.arange(size)
    # An end that stands first is a context only; all others were predicted, too.
    counts = np.bincount(tokens[1:] if begins[:1].any() else tokens, minlength=size)
    found = [NGrams(every, counts, np.zeros(size, np.int64), every == end)]
    place, first, total = tokens, begins, size
    for length in range(2, order + 1):
        # Of each position, the place of the shorter n-gram that ends just before it, and may be gone on from.
        context = np.where(begins & (length > 2), _NONE, place)[:-1]
        here = np.flatnonzero(context >= 0) + 1
        keys, at, inverse, counts = np.unique(
            context[here - 1] * size + tokens[here], return_index=True, return_inverse=True, return_counts=True
        )
        total += len(keys)
        if not len(keys) or total > most:
            break
        started = np.concatenate([[False], first[:-1]])
        found.append(NGrams(keys, counts, place[here[at]], started[here[at]]))
        place, first = np.full(len(tokens), _NONE, np.int64), started
        place[here] = inverse
    return found


@dataclass(frozen=True)
class _Order:
    """What one order says after each context.

    Args:
        grams: its n-grams.
        starts: first n-gram of each context, and the number of n-grams, int64 `[context + 1]`.
        numbers: adjusted count less its discount, as a share of its context's, `[n-gram]`.
        left: what each context leaves to the order below `[context]`; NaN where nothing is known of it.
    """

    grams: NGrams
    starts: np.ndarray
    numbers: np.ndarray
    left: np.ndarray


class KneserNey:
    """A smoothed n-gram model.

    Args:
        counted: from `count_ngrams`: the orders 1 … n.
        size: numbers in use.

    Example:
        >>> model = KneserNey(count_ngrams(np.array([0, 1, 0, 1, 1]), 2, 2, end=9), 2)
        >>> bool(np.allclose(model.distributions(np.array([[0, 1, 1]])).sum(-1), 1))
        True
    """

    def __init__(self, counted: list[NGrams], size: int) -> None:
        self.order, self.size = len(counted), size
        adjusted = [_continuations(counted, k) for k in range(self.order - 1)] + [counted[-1].counts]
        self._single = _interpolated_single(adjusted[0])
        self._orders = [
            _order(grams, counts, size, len(shorter.keys))
            for shorter, grams, counts in zip(counted[:-1], counted[1:], adjusted[1:], strict=True)
        ]

    @property
    def parameters(self) -> int:
        """Different n-grams that it holds."""
        return len(self._single) + sum(len(order.numbers) for order in self._orders)

    def distributions(self, tokens: np.ndarray, skip: int = 0) -> np.ndarray:
        """Give the probability of every next token after each step of some texts.

        Args:
            tokens: int `[batch, time]`; a negative one cuts off what is before it.
            skip: steps at the start that are only looked back upon.

        Returns:
            float64 `[batch, time − skip, size]`; the last axis sums to 1.
        """
        contexts = [context[:, skip:].ravel() for context in self._contexts(tokens.astype(np.int64))]
        rows = tokens[:, skip:].size
        found = np.tile(self._single, (rows, 1))
        for start in range(0, rows, _ROWS):
            part = slice(start, start + _ROWS)
            self._refine(found[part], [context[part] for context in contexts])
        return found.reshape(len(tokens), -1, self.size)

    def _refine(self, found: np.ndarray, contexts: list[np.ndarray]) -> None:
        """Put order upon order over the single tokens' probabilities `[row, size]`, in place."""
        for context, order in zip(contexts, self._orders, strict=True):
            rows = np.flatnonzero((context >= 0) & ~np.isnan(order.left[context]))
            begin, stop = order.starts[context[rows]], order.starts[context[rows] + 1]
            found[rows] *= order.left[context[rows]][:, None]
            lengths = stop - begin
            of = np.repeat(rows, lengths)
            at = np.arange(len(of)) + np.repeat(begin - np.cumsum(lengths) + lengths, lengths)
            # A context is followed by each token once, so no place is added to twice.
            found[of, order.grams.keys[at] % self.size] += order.numbers[at]

    def _contexts(self, tokens: np.ndarray) -> list[np.ndarray]:
        """For each order from 2, the place of the context that ends at each step `[batch, time]`; −1: never seen."""
        places = [tokens]
        for order in self._orders[:-1]:
            before = np.concatenate([np.full((len(tokens), 1), _NONE), places[-1][:, :-1]], axis=1)
            wanted = before * self.size + tokens
            keys = order.grams.keys
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            places.append(np.where((before >= 0) & (tokens >= 0) & (keys[at] == wanted), at, _NONE))
        return places[: len(self._orders)]


def _continuations(counted: list[NGrams], k: int) -> np.ndarray:
    """After how many different tokens each n-gram of a lower order occurs; how often, where nothing can precede it."""
    grams, longer = counted[k], counted[k + 1]
    different = np.bincount(longer.suffix, minlength=len(grams.keys))
    # A single end is no n-gram at the start of a document but the answer at the end of one.
    return np.where(grams.first, grams.counts, different) if k else different


def _discounts(counts: np.ndarray) -> np.ndarray:
    """D1, D2, D3+ from how many n-grams have a count of 1, 2, 3, 4 (Chen & Goodman, equation 26)."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(np.float64)
    if not n.all():
        # Too few n-grams to estimate from: half of each count's step.
        return np.array([0.5, 1.0, 1.5])
    share = n[0] / (n[0] + 2 * n[1])
    raw = np.array([j - (j + 1) * share * n[j] / n[j - 1] for j in (1, 2, 3)])
    return np.clip(raw, 0.0, [1.0, 2.0, 3.0])


def _less(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts less their discounts, and the discounts."""
    taken = np.concatenate([[0.0], _discounts(counts)])[np.minimum(counts, 3)]
    return counts - taken, taken


def _interpolated_single(counts: np.ndarray) -> np.ndarray:
    """Probabilities of single tokens, over the uniform distribution."""
    total, uniform = counts.sum(), 1 / len(counts)
    if not total:
        return np.full(len(counts), uniform)
    rest, taken = _less(counts)
    return rest / total + taken.sum() / total * uniform


def _order(grams: NGrams, counts: np.ndarray, size: int, contexts: int) -> _Order:
    owner = grams.keys // size
    total = np.bincount(owner, weights=counts, minlength=contexts)
    rest, taken = _less(counts)
    left = np.bincount(owner, weights=taken, minlength=contexts)
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=contexts))])
    with np.errstate(invalid="ignore", divide="ignore"):
        return _Order(grams, starts, rest / total[owner], left / total)
