"""Decoding beside brute force: every path of small cases is written out and summed."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from math import exp, log

import numpy as np
import pytest
import torch

from remanence.data.symbols import FIRST, Symbols
from remanence.tasks.ctc import Aligned, beam_search, greedy, log_softmax
from remanence.tasks.spoken_language import CharacterLanguage, Weights, WordLanguage


def random_chances(steps: int, symbols: int, seed: int) -> np.ndarray:
    return log_softmax(np.random.default_rng(seed).normal(size=(steps, symbols)) * 1.5)


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    """The text of a path, as Graves et al. 2006 define it: merge repeats, then remove blanks."""
    merged = [symbol for at, symbol in enumerate(path) if at == 0 or path[at - 1] != symbol]
    return tuple(symbol for symbol in merged if symbol)


def every_text(chances: np.ndarray) -> dict[tuple[int, ...], float]:
    """Probability of each text: the sum over all its paths."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(chances.shape[1]), repeat=len(chances)):
        found[collapsed(path)] += exp(sum(chances[step, symbol] for step, symbol in enumerate(path)))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_text(seed: int) -> None:
    chances = random_chances(6, 3, seed)
    texts = every_text(chances)
    assert sum(texts.values()) == pytest.approx(1.0)
    best = max(texts, key=lambda text: texts[text])
    found, score = beam_search(chances, 1000)
    assert found == best and score == pytest.approx(log(texts[best]), abs=1e-9)
    # The same sum as torch's loss takes.
    target = torch.tensor([best or (1,)])
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(chances)[:, None], target, torch.tensor([6]), torch.tensor([len(best)]), reduction="sum"
    )
    assert float(loss) == pytest.approx(-score, abs=1e-9)


def test_a_beam_of_paths_beats_the_likeliest_path() -> None:
    # Graves' example: blank 0.6, a 0.4, twice. The likeliest path says nothing; "a" has three paths and 0.64.
    chances = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert greedy(chances.argmax(1)).symbols == ()
    found, score = beam_search(chances, 4)
    assert found == (1,) and exp(score) == pytest.approx(0.64)


def test_greedy_says_where_symbols_stand() -> None:
    assert greedy(np.array([3, 3, 0, 3, 4, 0, 0])) == Aligned((3, 3, 4), (0, 3, 4), (2, 4, 5))
    assert greedy(np.zeros(4, np.int64)) == Aligned((), (), ())
    assert greedy(np.zeros(0, np.int64)) == Aligned((), (), ())
    for seed in range(20):
        path = tuple(np.random.default_rng(seed).integers(0, 3, 9).tolist())
        assert greedy(np.array(path)).symbols == collapsed(path)


class Table:
    """A language that makes single texts dear: asked for their beginnings, it says what was added."""

    def __init__(self, worth: dict[int, float], end: float) -> None:
        self.worth, self.last = worth, end

    def begin(self) -> object:
        return 0

    def follow(self, state: object, symbol: int) -> tuple[object, float]:
        assert isinstance(state, int)
        return state + 1, self.worth[symbol] * (state + 1)

    def end(self, state: object) -> float:
        assert isinstance(state, int)
        return self.last * state


@pytest.mark.parametrize("seed", range(4))
def test_a_language_is_added_to_every_text(seed: int) -> None:
    chances = random_chances(5, 3, seed)
    language = Table({1: 0.7, 2: -0.4}, 0.3)

    def whole(text: tuple[int, ...]) -> float:
        return sum(language.worth[s] * (at + 1) for at, s in enumerate(text)) + language.last * len(text)

    texts = {text: log(chance) + whole(text) for text, chance in every_text(chances).items()}
    best = max(texts, key=lambda text: texts[text])
    found, score = beam_search(chances, 1000, language)
    assert found == best and score == pytest.approx(texts[best], abs=1e-9)


SYMBOLS = Symbols(kind="characters", tokens=("a", "b", " "))
TEXTS = ("ab a", "ab b", "a", "ab ab")


def coded(text: str) -> list[int]:
    return SYMBOLS.encode(text).tolist()


def worth_of(language: CharacterLanguage | WordLanguage, text: str) -> float:
    state, total = language.begin(), 0.0
    for symbol in coded(text):
        state, worth = language.follow(state, symbol)
        total += worth
    return total + language.end(state)


def test_characters_are_worth_their_log_probability() -> None:
    language = CharacterLanguage([SYMBOLS.encode(text) for text in TEXTS], SYMBOLS.size, 3, Weights(1.0, 0.0))
    # All texts of up to three symbols and longer ones share one: their probabilities sum to at most 1.
    short = ["".join(letters) for count in range(5) for letters in product("ab ", repeat=count)]
    total = sum(exp(worth_of(language, text)) for text in short)
    assert 0.6 < total <= 1.0 + 1e-9
    assert worth_of(language, "ab a") > worth_of(language, "ba a")
    weighed = CharacterLanguage([SYMBOLS.encode(text) for text in TEXTS], SYMBOLS.size, 3, Weights(0.5, 2.0))
    assert worth_of(weighed, "ab") == pytest.approx(0.5 * worth_of(language, "ab") + 2 * 2.0)


def test_words_are_worth_their_log_probability_when_they_end() -> None:
    language = WordLanguage(TEXTS, SYMBOLS, 2, Weights(1.0, 0.0))
    words = ["a", "b", "ab"]
    total = sum(exp(worth_of(language, " ".join(text))) for count in range(5) for text in product(words, repeat=count))
    assert 0.7 < total < 1.0
    assert worth_of(language, "ab ab") > worth_of(language, "ba ab")
    weighed = WordLanguage(TEXTS, SYMBOLS, 2, Weights(2.0, 0.3))
    assert worth_of(weighed, "ab a") == pytest.approx(2.0 * worth_of(language, "ab a") + 2 * 0.3)
    # Spaces in a row and at the ends make no words.
    assert worth_of(language, " ab  a ") == pytest.approx(worth_of(language, "ab a"))


def test_a_language_mends_what_was_misheard() -> None:
    # "ab" and "bb" sound alike at the first step; the training texts know one of them.
    first, second = coded("ab")
    chances = np.full((3, SYMBOLS.size), 0.002)
    chances[0, second], chances[0, first], chances[1, 0], chances[2, second] = 0.5, 0.45, 0.9, 0.9
    chances = np.log(chances / chances.sum(1, keepdims=True))
    assert beam_search(chances, 8)[0] == (second, second)
    language = WordLanguage(TEXTS, SYMBOLS, 2, Weights(1.0, 1.0))
    assert beam_search(chances, 8, language)[0] == (first, second)
    assert FIRST == 3 and first == 3


def test_a_beginning_of_no_word_is_left_before_it_ends() -> None:
    # With one beginning followed, "b" is heard first, and no word begins so.
    first, second = coded("ab")
    chances = np.full((3, SYMBOLS.size), 0.002)
    chances[0, second], chances[0, first], chances[1, 0], chances[2, second] = 0.5, 0.45, 0.9, 0.9
    chances = np.log(chances / chances.sum(1, keepdims=True))
    language = WordLanguage(["ab"] * 9, SYMBOLS, 2, Weights(1.0, 1.0))
    assert beam_search(chances, 1, language)[0] == (first, second)
