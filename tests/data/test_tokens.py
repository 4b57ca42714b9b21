"""Tokens: what a character, a word and a subword are, and what a vocabulary keeps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from remanence.data.tokens import PADDING, UNKNOWN, TokenKind, Vocabulary, choose_kind, learn, words


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's a FILM, isn't it?", ["it's", "a", "film", ",", "isn't", "it", "?"]),
        ("room 101 costs 3.50", ["room", "101", "costs", "3", ".", "50"]),
        ("服务很好，房间大。", [*"服务很好，房间大。"]),
        ("iPhone很好", ["iphone", "很", "好"]),
        ("clásicos  español", ["clásicos", "español"]),
        ("a_b", ["a", "_", "b"]),
        ("", []),
    ],
)
def test_words_are_cut(text: str, tokens: list[str]) -> None:
    found, lengths = words(pa.array([text, "x", text]))
    assert found == [*tokens, "x", *tokens]
    assert lengths.tolist() == [len(tokens), 1, len(tokens)]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["这个宾馆比较陈旧了，特价的房间也很一般。"], "characters"),
        (["a perfectly ordinary English sentence"], "words"),
        (["abcdefghijkl", "hgfedcbaabcd"], "characters"),
        (["これは映画です"], "characters"),
        (["une phrase en français"], "words"),
    ],
)
def test_kind_is_chosen_by_script_and_spaces(texts: list[str], kind: TokenKind) -> None:
    assert choose_kind(texts) == kind


def test_vocabulary_is_ordered_by_count_then_token() -> None:
    vocabulary = learn(iter([pa.array(["b b a", "c a b"])]), "words", 2)
    assert vocabulary.tokens == ("b", "a")
    assert vocabulary.size == 4
    ids, lengths = vocabulary.encode(pa.array(["a b c", "b"]))
    assert ids.tolist() == [3, 2, UNKNOWN, 2]
    assert lengths.tolist() == [3, 1]
    assert [vocabulary.name(number) for number in (PADDING, UNKNOWN, 2)] == ["", "�", "b"]


def test_order_of_training_texts_changes_nothing() -> None:
    texts = ["x y z", "y z", "z", "w"]
    forward, backward = (learn(iter([pa.array(order)]), "words", 100) for order in (texts, texts[::-1]))
    assert forward == backward


def test_characters_match_a_plain_loop() -> None:
    texts = ["好 的\n吧", "𠀀a", "b" * 63, "", "a"]
    vocabulary = learn(iter([pa.array(texts[:2])]), "characters", 100)
    numbers = {token: number for number, token in enumerate(vocabulary.tokens, 2)}
    expected = [numbers.get(" " if letter == "\n" else letter, UNKNOWN) for text in texts for letter in text]
    ids, lengths = vocabulary.encode(pa.array(texts))
    assert ids.tolist() == expected
    assert lengths.tolist() == [len(text) for text in texts]


@pytest.mark.parametrize(("texts", "kept"), [(999, True), (1000, False)])
def test_tokens_seen_once_are_unknown_in_large_sets(texts: int, kept: bool) -> None:
    vocabulary = learn(iter([pa.array(["common"] * (texts - 1) + ["rare"])]), "words", 100)
    assert ("rare" in vocabulary.tokens) == kept


def test_subwords_cut_unseen_words_into_known_pieces() -> None:
    pytest.importorskip("tokenizers")
    vocabulary = learn(iter([pa.array(["playing played player", "walking walked walker"])]), "subwords", 40)
    again = Vocabulary.model_validate_json(vocabulary.model_dump_json())
    ids, lengths = again.encode(pa.array(["walking", "playing walker"]))
    assert len(ids) == lengths.sum()
    assert "".join(again.name(int(number)) for number in ids) == "walkingplayingwalker"
    assert (ids > UNKNOWN).all()
    assert ids.max() < again.size
    assert again.encode(pa.array(["≠"]))[0].tolist() == [UNKNOWN]


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_empty_chunk_has_no_tokens(kind: TokenKind) -> None:
    ids, lengths = Vocabulary(kind=kind, tokens=("a",)).encode(pa.array([], pa.string()))
    assert (len(ids), len(lengths)) == (0, 0)
    assert ids.dtype == np.int32


@pytest.mark.parametrize("kind", ["characters", "words", "subwords"])
def test_pieces_are_those_that_are_numbered(kind: TokenKind) -> None:
    if kind == "subwords":
        pytest.importorskip("tokenizers")
    vocabulary = learn(iter([pa.array(["good film 好的", "a film"])]), kind, 40)
    for text in ["Good  film, 不好 \t的 ≠≠ Éx", "a", "𠮷 12 don't 3.5"]:
        ids, _ = vocabulary.encode(pa.array([text]))
        pieces = vocabulary.pieces(text)
        assert len(pieces) == len(ids)
        for piece, number in zip(pieces, ids.tolist(), strict=True):
            assert number == UNKNOWN or piece.lower() == vocabulary.name(number)
        kept = "".join(text.split()).lower()
        assert "".join("".join(pieces).split()).lower() == kept
