"""Kneser–Ney against counts worked by hand, a dictionary twin written from the formulas, and the law of sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from remanence.tasks.kneser_ney import KneserNey, count_ngrams

END = 2


def test_bigrams_worked_by_hand() -> None:
    # a b a b a a: after a comes b twice and a once, after b comes a twice. Too few for the estimated discounts, so
    # they are 0.5, 1, 1.5. a follows two different tokens, b one: single tokens (2 − 1)/3, (1 − 0.5)/3, and 1.5/3 is
    # left for the uniform 1/2.
    model = KneserNey(count_ngrams(np.array([0, 1, 0, 1, 0, 0]), 2, 2, end=9), 2)
    single = np.array([1 / 3 + 0.25, 0.5 / 3 + 0.25])
    found = model.distributions(np.array([[0, 1]]))[0]
    after_a = np.array([(1 - 0.5) / 3, (2 - 1) / 3]) + (0.5 + 1) / 3 * single
    after_b = np.array([(2 - 1) / 2, 0]) + 1 / 2 * single
    np.testing.assert_allclose(found, [after_a, after_b], atol=1e-12)


def test_discounts_are_those_of_the_paper() -> None:
    from remanence.tasks.kneser_ney import _discounts

    # n1 … n4 = 10, 5, 3, 2: Y = 10 / 20, D1 = 1 − 2 Y 5/10, D2 = 2 − 3 Y 3/5, D3 = 3 − 4 Y 2/3.
    counts = np.repeat([1, 2, 3, 4, 9], [10, 5, 3, 2, 4])
    np.testing.assert_allclose(_discounts(counts), [0.5, 1.1, 3 - 4 / 3])


def twin(tokens: list[int], order: int, size: int) -> Callable[[int, Sequence[int]], float]:
    """P(w | h) by dictionaries, one n-gram at a time."""
    from remanence.tasks.kneser_ney import _discounts

    grams = [Counter[tuple[int, ...]]() for _ in range(order + 1)]
    for i in range(len(tokens)):
        for k in range(1, min(order, i + 1) + 1):
            gram = tuple(tokens[i - k + 1 : i + 1])
            if END in gram[1:-1]:
                break
            if not (i == 0 and gram == (END,)):
                grams[k][gram] += 1
    adjusted = [Counter[tuple[int, ...]]() for _ in range(order)] + [grams[order]]
    for k in range(1, order):
        for gram in grams[k + 1]:
            adjusted[k][gram[1:]] += 1
        for gram, count in grams[k].items():
            if gram[0] == END and k > 1:
                adjusted[k][gram] = count
    rates = [_discounts(np.array(list(counts.values()) or [0])) for counts in adjusted]

    def taken(k: int, count: int) -> float:
        return float(rates[k][min(count, 3) - 1]) if count else 0.0

    def chance(token: int, history: Sequence[int]) -> float:
        k = len(history) + 1
        follow = {gram[-1]: n for gram, n in adjusted[k].items() if gram[:-1] == tuple(history) and n}
        below = chance(token, history[1:]) if history else 1 / size
        if not follow:
            return below
        count, total = follow.get(token, 0), sum(follow.values())
        return (count - taken(k, count)) / total + sum(taken(k, n) for n in follow.values()) / total * below

    return chance


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_every_probability_is_the_twins_and_they_sum_to_one(order: int, documents: bool) -> None:
    random, size = np.random.default_rng(order), 5
    tokens = random.integers(0, size, 150)
    tokens[tokens == END] = 1
    if documents:
        tokens[random.random(150) < 0.1] = END
        tokens[[0, -1]] = END
    model, chance = KneserNey(count_ngrams(tokens, order, size, END), size), twin(tokens.tolist(), order, size)
    history = random.integers(0, size, (3, 6))
    found = model.distributions(history)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-12)
    for row, step in np.ndindex(3, 6):
        seen = history[row, max(0, step + 2 - order) : step + 1].tolist() if order > 1 else []
        last_end = max((at for at, token in enumerate(seen) if token == END), default=0)
        expected = [chance(token, seen[last_end:]) for token in range(size)]
        np.testing.assert_allclose(found[row, step], expected, atol=1e-12)


def test_skipped_steps_and_cut_histories_change_nothing_else() -> None:
    random = np.random.default_rng(0)
    model = KneserNey(count_ngrams(random.integers(0, 4, 300), 4, 4, end=9), 4)
    history = random.integers(0, 4, (2, 9))
    whole = model.distributions(history)
    np.testing.assert_array_equal(model.distributions(history, skip=5), whole[:, 5:])
    cut = np.concatenate([np.full((2, 3), -1), history[:, :1]], axis=1)
    np.testing.assert_array_equal(model.distributions(cut)[:, -1], whole[:, 0])


def test_memory_is_bounded_by_stopping_at_shorter_ngrams() -> None:
    tokens = np.random.default_rng(0).integers(0, 50, 5000)
    assert len(count_ngrams(tokens, 6, 50, end=99)) == 6
    assert len(count_ngrams(tokens, 6, 50, end=99, most=8000)) == 3
