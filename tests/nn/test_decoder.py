"""Decoder and attention against slow twins written from the papers, the beam against every text there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from remanence.data.symbols import END, PADDING, UNKNOWN
from remanence.errors import SettingError
from remanence.nn.attention import Attention
from remanence.nn.beam import Carried, search
from remanence.nn.decoder import Decoder, WritingOptions
from remanence.nn.encoders import TokenEncoder
from remanence.nn.recurrent import Recurrent
from remanence.nn.written import UNKNOWN_COST, Written, forced_part, packed
from remanence.sequences import Sequences

VOCABULARY, HIDDEN, BATCH, SOURCE = 7, 5, 3, 6


def sources(batch: int = BATCH) -> Sequences:
    torch.manual_seed(1)
    return Sequences(torch.randn(batch, SOURCE, 4, dtype=torch.float64), torch.tensor([6, 1, 4][:batch]))


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


@pytest.mark.parametrize("coverage", [False, True])
@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_attention_is_the_papers_formula(kind: str, coverage: bool) -> None:
    steps = sources()
    attention = Attention(kind, HIDDEN, 4, 3, coverage=coverage).double()
    if attention.covered is not None:
        torch.nn.init.normal_(attention.covered)
    queries = torch.randn(BATCH, 2, HIDDEN, dtype=torch.float64)
    covered = torch.rand(BATCH, 2, SOURCE, dtype=torch.float64) if coverage else None
    found = attention(queries, attention.remember(steps), covered).detach().numpy()
    named = {name: value.detach().numpy() for name, value in attention.named_parameters()}
    for row, length in enumerate(steps.lengths.tolist()):
        for step in range(2):
            q, scores = queries[row, step].numpy(), []
            for s in range(length):
                m = steps.data[row, s].numpy()
                k = 0.0 if covered is None else float(covered[row, step, s])
                w = named.get("covered", np.zeros(1))
                if kind == "additive":
                    inner = named["query.weight"] @ q + named["query.bias"] + named["keys.weight"] @ m + w * k
                    scores.append(float((named["score.weight"] @ np.tanh(inner))[0]))
                else:
                    scores.append(float(q @ named["keys.weight"] @ m + w[0] * k))
            np.testing.assert_allclose(found[row, step, :length], softmax(np.array(scores)), atol=1e-12)
            assert not found[row, step, length:].any()


def test_a_source_without_steps_gets_no_weight() -> None:
    steps = Sequences(torch.zeros(2, 3, 4), torch.tensor([0, 2]))
    attention = Attention("additive", HIDDEN, 4, 3)
    weights = attention(torch.zeros(2, 1, HIDDEN), attention.remember(steps))
    torch.testing.assert_close(weights, torch.tensor([[[0.0, 0, 0]], [[0.5, 0.5, 0]]]))


def test_an_unknown_attention_is_refused() -> None:
    with pytest.raises(SettingError, match="none, additive, multiplicative"):
        Attention("addditive", 1, 1, 1)


def decoder(cell: str = "lstm", layers: int = 1, copied: Tensor | None = None, **changes) -> tuple[Recurrent, Decoder]:
    torch.manual_seed(2)
    options = WritingOptions(copied=copied, **changes)
    encoder = Recurrent(cell, 4, HIDDEN, layers=layers, bidirectional=True)
    tokens = TokenEncoder(VOCABULARY, 3)
    read = 3 + (HIDDEN if options.input_feeding else 0)
    head = Decoder(encoder, tokens, Recurrent(cell, read, HIDDEN, layers=layers), VOCABULARY, options=options)
    for name, value in head.named_parameters():
        if name.endswith("covered"):
            torch.nn.init.constant_(value, 0.7)
    return encoder.double(), head.double()


WAYS = [
    {},
    {"attention": "additive", "cell": "gru"},
    {"attention": "none", "layers": 2},
    {"attention": "additive", "copied": torch.tensor([0, 1, 4, 5, 1])},
    {"cell": "rnn", "tied": True},
]
NUMBERS = Sequences(torch.tensor([[2, 3, 4, 2, 2, 3], [4, 0, 0, 0, 0, 0], [3, 3, 1, 2, 0, 0]]), torch.tensor([6, 1, 4]))
TARGET = torch.tensor([[3, 4, END, 0], [5, END, 0, 0], [6, 6, 3, END]])


def read(encoder: Recurrent, head: Decoder, target: Tensor | None = TARGET) -> Tensor:
    done = encoder(sources())
    return head(Sequences(done.output, sources().lengths), done.state, NUMBERS, target)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_all_steps_at_once_give_what_one_after_the_other_gives(way: dict) -> None:
    encoder, head = decoder(**way)
    done = encoder(sources())
    source = head._source(Sequences(done.output, sources().lengths), done.state, NUMBERS)
    tokens = torch.cat([torch.full((BATCH, 1), END), TARGET[:, :-1]], dim=1)
    whole, single = head._at_once(source, tokens), head._one_by_one(source, tokens)
    torch.testing.assert_close(whole.vectors, single.vectors, rtol=0, atol=1e-12)
    torch.testing.assert_close(whole.weights, single.weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(whole.covered.expand_as(whole.weights), single.covered, rtol=0, atol=1e-12)


def test_copied_tokens_share_the_chance_with_written_ones() -> None:
    copied = torch.tensor([0, 1, 4, 5, 1])
    encoder, head = decoder(attention="additive", copied=copied)
    done = encoder(sources())
    source = head._source(Sequences(done.output, sources().lengths), done.state, NUMBERS)
    spoken = head._at_once(source, TARGET)
    found = head._chances(source.copied, spoken).exp().detach().numpy()
    assert head.gate is not None and spoken.own is not None
    logits = head.readout(Sequences(spoken.vectors, torch.full((BATCH,), 4))).detach().numpy()
    for row, step in product(range(BATCH), range(4)):
        own, weights = spoken.own[row, step].item(), spoken.weights[row, step].detach().numpy()
        expected = own * softmax(logits[row, step])
        for s in range(int(NUMBERS.lengths[row])):
            expected[copied[NUMBERS.data[row, s]]] += (1 - own) * weights[s]
        np.testing.assert_allclose(found[row, step], expected, atol=1e-9)
        assert expected.sum() == pytest.approx(1)


def test_costs_are_those_of_the_true_tokens_and_coverage_counts_what_was_attended_to_twice() -> None:
    encoder, head = decoder(attention="additive", coverage=True)
    head.train()
    told = read(encoder, head)
    assert told.shape == (BATCH, 4, 3)
    done = encoder(sources())
    source = head._source(Sequences(done.output, sources().lengths), done.state, NUMBERS)
    carried = head._begin(source, 1)
    for row, text in enumerate(TARGET.tolist()):
        carried, before = head._begin(source, 1), END
        seen = np.zeros(SOURCE)
        for step, token in enumerate(text[: text.index(END) + 1]):
            one, carried = head._step(source, torch.full((BATCH, 1), before), carried)
            chances = head._chances(None, one)[row, 0]
            weights = one.weights[row, 0].detach().numpy()
            expected = [-chances[token].item(), -chances.mean().item(), np.minimum(weights, seen).sum()]
            np.testing.assert_allclose(told[row, step].detach().numpy(), expected, atol=1e-12)
            seen, before = seen + weights, token
        assert not told[row, text.index(END) + 1 :].any()


def test_scheduled_sampling_reads_what_it_wrote() -> None:
    encoder, head = decoder(sampling=0.999999)
    head.train()
    torch.manual_seed(3)
    own = read(encoder, head)
    head.options = WritingOptions()
    true = read(encoder, head)
    # The first step reads the same; then the likeliest token stands in place of the true one.
    torch.testing.assert_close(own[:, 0], true[:, 0])
    assert not torch.allclose(own[:, 1], true[:, 1])


@pytest.mark.parametrize("way", [*WAYS, {"input_feeding": True, "attention": "additive", "coverage": True}], ids=str)
def test_what_is_written_is_the_likeliest_of_all_texts(way: dict) -> None:
    """A beam wide enough for every beginning finds the best of all texts of up to three tokens."""
    longest, tokens = 3, [number for number in range(VOCABULARY) if number not in (PADDING, UNKNOWN)]
    encoder, head = decoder(**way, beam=40, longest=longest, penalty=0.9)
    written = Written.read(read(encoder, head, None))
    texts = [text for length in range(longest) for text in product([n for n in tokens if n != END], repeat=length)]
    # A text that is cut off at the limit counts as well, without its end.
    cut = list(product([n for n in tokens if n != END], repeat=longest))
    head.train()
    for row in range(BATCH):
        best = max(
            [(_score(encoder, head, (*text, END), row), (*text, END)) for text in texts]
            + [(_score(encoder, head, text, row), text) for text in cut]
        )
        found = tuple(token for token in written.tokens[row].tolist() if token)
        assert found == best[1]
        assert written.chances[row].sum().item() / ((5 + len(found)) / 6) ** 0.9 == pytest.approx(best[0])


def _score(encoder: Recurrent, head: Decoder, text: tuple[int, ...], row: int) -> float:
    target = torch.tensor([text]).expand(BATCH, -1)
    cost, _, _ = forced_part(read(encoder, head, target), len(text))
    return -cost[row].sum().item() / ((5 + len(text)) / 6) ** 0.9


def chain(table: Tensor):
    """A model whose next token depends on the last one alone."""

    def step(tokens: Tensor, carried: Carried) -> tuple[Tensor, Tensor, Carried]:
        return table[tokens].log(), torch.zeros(*tokens.shape, 1), carried

    return step


def test_a_beam_finds_what_greed_misses() -> None:
    # From the beginning (2) token 3 is likelier, but what follows it is not; 4 is followed for sure.
    table = torch.zeros(5, 5)
    table[2] = torch.tensor([0, 0, 0, 0.6, 0.4])
    table[3] = torch.tensor([0, 0, 0.5, 0.3, 0.2])
    table[4] = torch.tensor([0, 0, 1.0, 0, 0])
    begin = {"none": torch.zeros(1, 1, 1)}
    greedy = search(chain(table), begin, width=1, longest=5)
    assert greedy.tokens.tolist() == [[3, END]]
    wide = search(chain(table), {"none": torch.zeros(1, 2, 1)}, width=2, longest=5)
    assert wide.tokens.tolist() == [[4, END]]
    torch.testing.assert_close(wide.chances, torch.tensor([[0.4, 1.0]]).log())


def test_a_text_that_never_ends_is_cut() -> None:
    table = torch.zeros(4, 4)
    table[:, 3] = 1.0
    written = search(chain(table), {"none": torch.zeros(2, 3, 1)}, width=3, longest=4)
    assert written.tokens.tolist() == [[3, 3, 3, 3]] * 2


def test_answers_hold_costs_and_texts_of_unequal_length() -> None:
    written = Written(torch.tensor([[5, END]]), torch.tensor([[-0.5, -0.25]]), torch.rand(1, 2, 3))
    costs = torch.rand(1, 4, 3)
    whole = packed(costs, written)
    assert whole.shape == (1, 4, 8)
    back = Written.read(whole)
    assert back.tokens.tolist() == [[5, END, 0, 0]]
    torch.testing.assert_close(back.alignment[:, :2], written.alignment)
    torch.testing.assert_close(torch.stack(forced_part(whole, 4), -1), costs)
    cost, _, _ = forced_part(packed(None, written), 5)
    assert cost.tolist() == [[UNKNOWN_COST] * 5]
