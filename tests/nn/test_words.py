"""Tokens by their characters: what may change a vector, and what may not."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from remanence.nn import affixes
from remanence.nn.affixes import AffixEncoder, kinds_of
from remanence.nn.convolution import neighbours
from remanence.nn.encoders import TokenEncoder
from remanence.nn.words import CharacterEncoder, WordEncoder
from remanence.sequences import Sequences

LETTERS = "abcdefghijklmnopABCDEFGHIJKLMNOP0123456789-#"


def _spelt(*words: str, width: int = 0) -> torch.Tensor:
    most = max(width, *map(len, words))
    return torch.tensor([[LETTERS.index(c) + 2 for c in word] + [0] * (most - len(word)) for word in words])


def _affixes() -> AffixEncoder:
    torch.manual_seed(0)
    return AffixEncoder(np.concatenate([[0, 5], kinds_of(LETTERS)]), 5).eval()


def test_affixes_see_ends_and_shape_and_not_what_lies_between() -> None:
    same, other = _affixes()(_spelt("abcdeffedcba", "abcdnoonedcba"[:4] + "gaag" + "dcba"))
    torch.testing.assert_close(same, other)
    for word in ("abcdefFedcba", "bbcdeffedcba", "abcdeffedcbb", "abcdeffedcbaa"):
        assert not torch.allclose(_affixes()(_spelt(word))[0], same), word


def test_shape_counts_equal_neighbours_once() -> None:
    encoder = _affixes()
    shape = encoder._codes(_spelt("ABcd", "Acd", "AcB", "12-a"), torch.tensor([4, 3, 3, 4]))[:, -2].tolist()
    assert shape[0] == shape[1] and len(set(shape)) == 3


def test_affixes_are_left_out_one_by_one_in_training_and_the_rest_makes_up_for_them() -> None:
    vectors = torch.nn.functional.one_hot(torch.arange(10)).float()
    encoder = AffixEncoder(np.concatenate([[0, 5], kinds_of(LETTERS)]), 10, left_out=0.25)
    encoder.load_state_dict({"table.weight": vectors.repeat_interleave(1 << 13, dim=0)})
    words = _spelt("abc").expand(4000, -1)
    assert torch.equal(encoder.eval()(words[:1]), torch.ones(1, 10))
    torch.manual_seed(0)
    found = encoder.train()(words)
    # Each feature is one of the parts: of eight beginnings and endings it is 0 or 4/3, shape and length always stay.
    assert found[:, :8].unique().tolist() == pytest.approx([0, 4 / 3])
    torch.testing.assert_close(found.mean(0), torch.ones(10), atol=0.05, rtol=0)
    assert not torch.equal(found[:, 0], found[:, 1]) and torch.equal(found[:, 8:], torch.ones(4000, 2))


@pytest.mark.parametrize("kind", ["convolution", "recurrent", "affixes"])
def test_width_of_the_table_changes_nothing_and_no_character_gives_zeros(kind: str) -> None:
    torch.manual_seed(0)
    encoder = _affixes() if kind == "affixes" else CharacterEncoder(60, 6, kind=kind).eval()
    words = _spelt("a", "Ab", "abcde")
    torch.testing.assert_close(encoder(torch.nn.functional.pad(words, (0, 4))), encoder(words))
    torch.testing.assert_close(encoder(words[:1, :1]), encoder(words)[:1])
    assert not encoder(torch.zeros(2, 3, dtype=torch.int64)).any() and encoder(torch.zeros(1, 0).long()).shape[0] == 1


def test_convolution_is_the_maximum_over_windows_of_three() -> None:
    torch.manual_seed(0)
    encoder = CharacterEncoder(60, 4).eval()
    word = _spelt("abca")
    vectors = torch.nn.functional.pad(encoder.vectors(word)[0], (0, 0, 1, 1))
    assert isinstance(encoder.reader, torch.nn.Conv1d) and encoder.reader.bias is not None
    weight, bias = encoder.reader.weight, encoder.reader.bias
    windows = [sum(weight[:, :, at] @ vectors[place + at] for at in range(3)) + bias for place in range(4)]
    torch.testing.assert_close(encoder(word)[0], torch.stack(windows).amax(0))


def test_neighbours_are_a_convolution_to_the_second_derivative() -> None:
    torch.manual_seed(0)
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((7, 3), (4, 3, 3), (4,))]
    rows, weight, bias = given
    expected = torch.nn.functional.conv1d(rows.T[None], weight, bias)[0].T
    torch.testing.assert_close(neighbours(*given), expected)
    assert torch.autograd.gradcheck(neighbours, given) and torch.autograd.gradgradcheck(neighbours, given)


def test_affixes_of_a_token_are_remembered_whatever_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, words = _affixes(), ("a", "ab", "Abc", "a", "cba")
    first = encoder(_spelt(*words))
    monkeypatch.setattr(encoder, "_codes", lambda *_: pytest.fail("worked out again"))
    assert torch.equal(encoder(_spelt(*words[::-1], width=9)), first.flip(0))
    monkeypatch.undo()
    monkeypatch.setattr(affixes, "_REMEMBERED", 3)
    assert torch.equal(encoder(_spelt("b", *words))[1:], first) and len(encoder._known) == 5
    assert torch.equal(encoder(_spelt(*words)), first)


def test_characters_are_read_under_transforms_and_autocast_and_copies_remember_nothing() -> None:
    words = _spelt("abc", "b", "Ab12")
    encoder = CharacterEncoder(60, 16).eval()
    expected = encoder(words)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoder(words).float(), expected, rtol=0.05, atol=0.05)
    for each in (encoder, _affixes()):
        names = dict(each.named_parameters())

        def total(weights: dict, each: torch.nn.Module = each) -> torch.Tensor:
            return torch.func.functional_call(each, weights, (words,)).square().sum()

        found = torch.func.grad(total)(names)
        theirs = torch.autograd.grad(each(words).square().sum(), [*names.values()])
        for one, other in zip(found.values(), theirs, strict=True):
            torch.testing.assert_close(one, other)
    affix = _affixes()
    affix(words)
    assert affix._known and not copy.deepcopy(affix)._known and torch.equal(copy.deepcopy(affix)(words), affix(words))


def test_words_that_come_more_than_once_are_each_read_where_they_stand() -> None:
    torch.manual_seed(0)
    encoder = WordEncoder(TokenEncoder(9, 3), CharacterEncoder(60, 4)).eval()
    words = _spelt("abc", "b", "abc", "B", "abcd", "b").view(2, 3, 4)
    tokens = torch.tensor([[2, 3, 2], [4, 5, 3]])
    lengths = torch.tensor([3, 2])
    assert encoder.characters is not None
    found = encoder(Sequences(torch.cat([tokens[..., None], words], dim=2), lengths), {})[0].data
    for row, length in enumerate(lengths.tolist()):
        for step in range(length):
            alone = encoder.characters(words[row, step][None])[0]
            torch.testing.assert_close(found[row, step, 3:], alone)
    # Behind a sequence's end stands what no character gives.
    assert not found[1, 2, 3:].any()


def test_the_use_of_a_word_has_a_vector_between_its_own_and_its_characters() -> None:
    torch.manual_seed(0)
    encoder = WordEncoder(TokenEncoder(9, 3), CharacterEncoder(60, 4), uses=5).eval()
    words, lengths = _spelt("abc", "b", "abc", "B").view(2, 2, 3), torch.tensor([2, 1])
    tokens, uses = torch.tensor([[2, 3], [4, 5]]), torch.tensor([[0, 4], [2, 4]])
    found = encoder(Sequences(torch.cat([tokens[..., None], uses[..., None], words], dim=2), lengths), {})[0].data
    assert encoder.uses is not None and encoder.output_size == found.shape[2] == 3 + 16 + 4
    torch.testing.assert_close(found[0, :, 3:19], encoder.uses.weight[[0, 4]])
    torch.testing.assert_close(found[1, 0, 3:19], encoder.uses.weight[2])
    assert not found[1, 1].any()
    plain = WordEncoder(encoder.tokens, encoder.characters).eval()
    without = plain(Sequences(torch.cat([tokens[..., None], words], dim=2), lengths), {})[0].data
    torch.testing.assert_close(found[..., [0, 1, 2, 19, 20, 21, 22]], without)
    assert WordEncoder(TokenEncoder(9, 3), None, uses=5).output_size == 19
