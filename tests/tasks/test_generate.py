"""The task that goes on: its costs, its metrics over tokenisers, what it refuses, and that it learns."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from remanence.errors import SettingError
from remanence.settings import settings_from
from remanence.tasks import task
from remanence.tasks.baselines_generate import KeyFrequency, KeyTransitions, NGram, Unigram
from remanence.tasks.kneser_ney import KneserNey
from remanence.tasks.metrics_generate import FrameMeter, TokenMeter, costs
from tests.tasks import made


def test_a_uniform_model_costs_the_logarithm_of_its_choices() -> None:
    data = made.made_documents()
    batch = data.test.batch(np.arange(3))
    size = data.encoders.symbols.size
    meter = TokenMeter(data.encoders)
    meter.update(torch.zeros(3, batch.inputs.time, size), batch)
    scores = meter.scores()
    assert scores.metrics["nats"] == pytest.approx(math.log(size))
    assert scores.metrics["perplexity"] == pytest.approx(size)
    assert scores.metrics["bits"] == pytest.approx(math.log2(size)) == scores.metrics["bits_per_character"]
    assert len(scores.errors) == int(batch.inputs.lengths.sum())


def test_a_token_of_several_characters_is_shared_out() -> None:
    from remanence.data.symbols import Symbols

    symbols = Symbols(kind="words", tokens=("a", "b", " abc"))
    encoders = made.generate_encoders(symbols=symbols)
    batch = made.made_documents().test.batch(np.array([0]))
    target = torch.tensor([[3, 5, 2]])
    batch = replace(batch, inputs=made.Sequences(torch.tensor([[2, 3, 5]]), torch.tensor([3])), target=target)
    meter = TokenMeter(encoders)
    meter.update(torch.zeros(1, 3, symbols.size), batch)
    metrics = meter.scores().metrics
    # Three tokens of log 6 each; 1 + 4 + 1 characters.
    assert metrics["nats"] == pytest.approx(math.log(6))
    assert metrics["nats_per_character"] == pytest.approx(3 * math.log(6) / 6)


def test_a_frame_costs_the_sum_over_its_keys() -> None:
    data = made.made_music()
    batch = data.test.batch(np.array([0, 1]))
    output = torch.full((2, batch.inputs.time, 88), 0.3)
    chance = 1 / (1 + math.exp(-0.3))
    sounding = batch.target.sum(2)
    expected = -sounding * math.log(chance) - (88 - sounding) * math.log(1 - chance)
    torch.testing.assert_close(costs(output, batch), torch.where(batch.inputs.mask(), expected, 0.0), rtol=1e-5, atol=0)
    meter = FrameMeter()
    meter.update(output, batch)
    steps = int(batch.inputs.lengths.sum())
    assert meter.scores().metrics["nll"] == pytest.approx(float(expected[batch.inputs.mask()].sum()) / steps)
    assert meter.scores().metrics["frame_accuracy"] == pytest.approx(float(sounding.sum()) / (88 * steps))


def test_simple_models_are_what_was_counted() -> None:
    data = made.made_music()
    sounds = torch.cat([data.train.batch(np.array([i])).target[0] for i in range(len(data.train))])
    before = torch.cat([data.train.batch(np.array([i])).inputs.data[0] for i in range(len(data.train))])
    batch = data.test.batch(np.array([0]))
    frequency, transitions = KeyFrequency(), KeyTransitions()
    frequency.fit(data.train, data.valid)
    transitions.fit(data.train, data.valid)
    share = (sounds.sum(0) + 0.5) / (len(sounds) + 1)
    torch.testing.assert_close(frequency.predict(batch).sigmoid()[0, 0], share)
    step, key = (batch.inputs.data[0] > 0).nonzero()[0].tolist()
    on = before[:, key] > 0
    share = (sounds[on, key].sum() + 0.5) / (on.sum() + 1)
    torch.testing.assert_close(transitions.predict(batch).sigmoid()[0, step, key], share)


def test_ngrams_beat_single_tokens_where_one_tells_the_next() -> None:
    data = made.made_stream()
    size = data.encoders.symbols.size
    found = {}
    for model in (Unigram(size), NGram(size)):
        model.fit(data.train, data.valid)
        meter = TokenMeter(data.encoders)
        for index in data.test.order(1, 0, 0):
            batch = data.test.batch(index)
            meter.update(model.predict(batch), batch)
            assert torch.allclose(model.predict(batch).exp().sum(-1), torch.ones(()), atol=1e-5)
        found[model.name] = meter.scores().metrics["nats"]
    assert found["kneser-ney"] < 0.75 * found["unigram"]


def test_what_has_no_chance_costs_infinitely_much_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made.made_documents()
    ngram = NGram(data.encoders.symbols.size)
    ngram.fit(data.train, data.valid)
    certain = KneserNey.distributions

    def bold(model: KneserNey, tokens: np.ndarray, skip: int = 0) -> np.ndarray:
        found = certain(model, tokens, skip)
        return np.where(found == found.max(-1, keepdims=True), 1.0, 0.0)

    monkeypatch.setattr(KneserNey, "distributions", bold)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ngram.predict(data.test.batch(np.array([0])))
    assert sorted(found.unique().tolist()) == [-math.inf, 0.0]


def test_reading_from_both_ends_is_refused() -> None:
    data = made.made_stream()
    found = task("generate")
    with pytest.raises(SettingError, match="--bidirectional"):
        found.model(data.encoders, found.defaults(data, settings_from({"bidirectional": True})))


def test_tied_vectors_are_one_matrix() -> None:
    data = made.made_stream()
    found = task("generate")
    counts = []
    for tied in (False, True):
        settings = found.defaults(data, settings_from({"hidden": 6, "embedding": 6, "tied": tied}))
        model = found.model(data.encoders, settings)
        counts.append(sum(weights.numel() for weights in model.parameters()))
    assert counts[0] - counts[1] == 6 * data.encoders.symbols.size
