"""Symbols lose nothing, whatever the text and however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.data.symbols import END, FIRST, UNKNOWN, Symbols, learn_symbols

TEXTS = ["Hello  wörld\r\n\n我一直呆在中国,……会说 it's 3,14 _x_ 😀\tend ", "the cat sat; the cat ate. The cat's hat"]
KINDS = ("characters", "words", "subwords")


@pytest.mark.parametrize("kind", KINDS)
def test_text_comes_back_as_it_was(kind) -> None:
    symbols = learn_symbols(TEXTS, kind, 400)
    for text in (*TEXTS, "", " ", "\n"):
        numbers = symbols.encode(text)
        assert symbols.decode(numbers.tolist()) == text
        assert int(symbols.characters[numbers].sum()) == len(text)
        assert numbers.dtype == "int32" and (numbers >= FIRST).all()


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab 'c\n你好1é-", max_size=30))
def test_words_not_seen_are_spelled(text: str) -> None:
    symbols = learn_symbols(["ab c\n你好1é-' ab bc ab"], "words", 400)
    numbers = symbols.encode(text)
    assert symbols.decode(numbers.tolist()) == text
    assert int(symbols.characters[numbers].sum()) == len(text)


def test_a_character_never_seen_is_unknown_and_counts_as_one() -> None:
    for kind in ("characters", "words"):
        symbols = learn_symbols(["abc abc"], kind, 400)
        numbers = symbols.encode("abz")
        assert numbers.tolist().count(UNKNOWN) == 1 and symbols.decode(numbers.tolist()) == "ab�"
        assert int(symbols.characters[numbers].sum()) == 3


def test_pieces_are_the_most_frequent_ones() -> None:
    assert learn_symbols(["aabbbc"], "characters", 2).tokens == ("b", "a")
    words = learn_symbols(["the cat the cat", " the dog"], "words", 400).tokens
    assert words[-2:] == (" cat", " the") and "dog" not in words


def test_many_different_characters_leave_rare_ones_unknown() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 1200)))
    symbols = learn_symbols([text, text[:1100]], "characters", 30000)
    assert len(symbols.tokens) == 1100 and symbols.encode(text[1150]).tolist() == [UNKNOWN]


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_outlive_json(kind) -> None:
    symbols = learn_symbols(TEXTS, kind, 300)
    again = Symbols.model_validate_json(symbols.model_dump_json())
    assert again == symbols and again.encode(TEXTS[1]).tolist() == symbols.encode(TEXTS[1]).tolist()


def test_a_character_of_several_pieces_is_told_with_its_last() -> None:
    symbols = learn_symbols(["abc"], "subwords", 256)
    numbers = symbols.encode("中a").tolist()
    assert len(numbers) == 4 and list(symbols.stream(numbers)) == ["", "", "中", "a"]
    assert symbols.decode(numbers[:2]) == "�"
    assert symbols.decode([END]) == "\n"
