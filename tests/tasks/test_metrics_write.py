"""Scores of written texts against numbers worked by hand, and against other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from remanence.data.examples import Batch
from remanence.data.symbols import END
from remanence.data.text_side import fit_side
from remanence.nn.written import Written, packed
from remanence.sequences import Sequences
from remanence.settings import settings_from
from remanence.tasks import task
from remanence.tasks.metrics_write import WrittenMeter, corpus_scores, rouge_scores
from remanence.tasks.rouge import rouge_l, rouge_n, units
from tests.tasks import made

TRUE = ["the cat sat on the mat.", "a small dog runs home", "it rains"]
FOUND = ["the cat sat on a mat.", "a dog runs home", "the sun shines"]


def encoders(texts: list[str]):
    target = fit_side(lambda: iter([texts]), None, limit=1000)
    return made.pair_encoders(target=target, longest_answer=50)


def measured(found: list[str], true: list[str], whole=corpus_scores, costs: torch.Tensor | None = None):
    """Scores of texts, as a model would have written them, one batch of two and one of the rest, in any order."""
    chosen = encoders([*true, *found])
    meter = WrittenMeter(chosen, whole)
    for places in ([2, 0], [1]):
        sides = []
        for texts in (found, true):
            coded = [torch.tensor([*chosen.target.encode(texts[at]).tolist(), END]) for at in places]
            sides.append(torch.nn.utils.rnn.pad_sequence(coded, batch_first=True))
        written = Written(sides[0], torch.zeros(sides[0].shape), torch.zeros(*sides[0].shape, 4))
        forced = None if costs is None else costs[places][:, : sides[1].shape[1]]
        inputs = Sequences(torch.zeros(len(places), 4, dtype=torch.int64), torch.full((len(places),), 4))
        meter.update(packed(forced, written), Batch(inputs, sides[1], None, torch.tensor(places)))
    return meter.scores()


def test_scores_are_sacrebleus() -> None:
    scores = measured(FOUND, TRUE)
    assert scores.metrics["bleu"] == pytest.approx(BLEU().corpus_score(FOUND, [TRUE]).score)
    assert scores.metrics["chrf"] == pytest.approx(CHRF().corpus_score(FOUND, [TRUE]).score)
    each = [1 - CHRF().sentence_score(own, [right]).score / 100 for own, right in zip(FOUND, TRUE, strict=True)]
    np.testing.assert_allclose(scores.errors, each)
    assert scores.metrics["chrf_error"] == pytest.approx(np.mean(each)) and "nats" not in scores.metrics


def test_bleu_by_hand() -> None:
    # Four of five words, three of four pairs, two of three triples, one of two runs of four; as long as the truth.
    found = corpus_scores(["the cat sat on it"], ["the cat sat on mats"], False)
    assert found["bleu"] == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)


def test_chinese_is_scored_by_the_character() -> None:
    found, true = ["我明天去北京"] * 3, ["我明天去上海"] * 3
    assert measured(found, true).metrics["bleu"] == pytest.approx(BLEU(tokenize="zh").corpus_score(found, [true]).score)
    # Four of six characters, as one word none of one.
    assert corpus_scores(found, true, True)["bleu"] > corpus_scores(found, true, False)["bleu"]


def test_costs_are_a_mean_over_true_tokens() -> None:
    costs = torch.rand(3, 60, 3)
    scores = measured(FOUND, TRUE, costs=costs)
    chosen = encoders([*TRUE, *FOUND]).target
    lengths = [len(chosen.encode(text)) + 1 for text in TRUE]
    each = torch.cat([costs[at, :length, 0] for at, length in enumerate(lengths)])
    assert scores.metrics["nats"] == pytest.approx(each.mean().item(), rel=1e-5)


def test_rouge_by_hand() -> None:
    truth, own = ["police", "killed", "the", "gunman"], ["the", "gunman", "police", "killed"]
    assert rouge_n(own, truth, 1) == 1
    # "police killed" and "the gunman" of three pairs each.
    assert rouge_n(own, truth, 2) == pytest.approx(2 / 3)
    # Two words in order of four and four.
    assert rouge_l(own, truth) == pytest.approx(0.5)
    assert rouge_n(["a", "a"], ["a"], 1) == pytest.approx(2 / 3)
    assert rouge_l([], truth) == rouge_n(own, [], 2) == 0
    assert units("U.S. ships, 3号 楼") == ["u", "s", "ships", "3", "号", "楼"]


def test_rouge_is_that_of_torchmetrics() -> None:
    rouge = pytest.importorskip("torchmetrics.functional.text.rouge")
    random = np.random.default_rng(0)
    for _ in range(30):
        own, truth = (" ".join(random.choice(list("abcdef"), random.integers(1, 12))) for _ in range(2))
        counted = {f"rouge{kind}": rouge._rouge_n_score(own.split(), truth.split(), kind) for kind in (1, 2)}
        for name, length in (("rouge1", 1), ("rouge2", 2)):
            expected = counted[name]["fmeasure"].item()
            assert rouge_n(units(own), units(truth), length) == pytest.approx(expected, abs=1e-6)
        expected = rouge._rouge_l_score(own.split(), truth.split())["fmeasure"].item()
        assert rouge_l(units(own), units(truth)) == pytest.approx(expected, abs=1e-6)


def test_rouge_of_a_corpus_is_the_mean_over_texts() -> None:
    found = rouge_scores(["天气很好", "a b"], ["天气不好", "c d"], True)
    assert found["rouge1"] == pytest.approx(100 * (3 / 4 + 0) / 2)
    assert found["rouge2"] == pytest.approx(100 * (1 / 3 + 0) / 2)
    assert found["rougeL"] == pytest.approx(100 * (3 / 4 + 0) / 2)


def test_loss_smooths_and_counts_true_tokens_alone() -> None:
    chosen = settings_from({"smoothing": 0.1, "coverage": 2.0})
    target = torch.tensor([[5, END, 0], [4, 4, END]])
    told = torch.arange(18.0).reshape(2, 3, 3)
    batch = Batch(
        Sequences(torch.ones(2, 1, dtype=torch.int64), torch.ones(2, dtype=torch.int64)), target, None, target[0]
    )
    each = [
        0.9 * cost + 0.1 * spread + 2 * twice for cost, spread, twice in told.flatten(0, 1)[[0, 1, 3, 4, 5]].tolist()
    ]
    assert task("translate").loss(told, batch, chosen).item() == pytest.approx(np.mean(each))


def test_simple_models_by_hand() -> None:
    chosen = made.pair_encoders()
    train = made.pair_part([("abc", "f"), ("abd", "f."), ("fff", "f."), ("eee", "de")], chosen)
    new = made.pair_part([("abab", "a"), ("feee", "b")], chosen).batch(np.arange(2))
    answers = {}
    prepared = made.prepared(chosen, train, train, train)
    for name in ("translate", "summarise"):
        for model in task(name).baselines(prepared, settings_from({})):
            model.fit(train, train)
            answers[model.name] = [
                chosen.target.decode(row) for row in Written.read(model.predict(new)).tokens.tolist()
            ]
    assert answers["frequent-text"] == ["f.", "f."]
    assert answers["copy-source"] == ["abab", "feee"]
    # Texts of the training part are one, two, two and two long.
    assert answers["lead"] == ["ab", "fe"]
    # "abab" shares a and b with both of the first two, "feee" most with the last.
    assert answers["nearest-text"] == ["f", "de"]
