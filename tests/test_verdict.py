import numpy as np
import pytest

from remanence.verdict import Candidate, judge

GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.normal(0, 0.1, size=500)


def _candidate(name, kind, level, seeds=3, valid=None):
    spread = GENERATOR.normal(0, 0.002, size=(seeds, 1))
    return Candidate(name, kind, level if valid is None else valid, level + NOISE + spread)


def test_verdict_memory_helps_with_interval_and_ranking():
    verdict = judge(
        [
            _candidate("naive", "trivial", 1.3),
            _candidate("ridge", "simple", 1.0),
            _candidate("rnn", "recurrent", 0.9),
            _candidate("lstm", "recurrent", 0.77),
            _candidate("gru", "recurrent", 0.772),
        ],
        metric="MAE",
        block=5,
    )
    assert verdict.finding == "memory helps"
    assert verdict.sentence.startswith("memory helps: LSTM beats the best simple model (ridge) by 23 % [2")
    assert "LSTM and GRU cannot be told apart" in verdict.sentence
    assert "LSTM beats RNN (1" in verdict.sentence
    assert "记忆有用" in verdict.sentence_zh and "分不出高下" in verdict.sentence_zh


def test_verdict_a_random_walk_has_no_memory_to_use():
    verdict = judge(
        [
            _candidate("naive", "trivial", 1.0),
            _candidate("ridge", "simple", 1.01),
            _candidate("lstm", "recurrent", 1.02),
        ],
        metric="MAE",
        block=1,
    )
    assert verdict.finding == "memory does not help"
    assert verdict.sentence.startswith("memory does not help: no model beats the last value")


def test_verdict_a_random_walk_is_one_even_where_drift_looked_better_on_validation():
    verdict = judge(
        [
            _candidate("naive", "trivial", 1.0),
            _candidate("drift", "trivial", 1.05, valid=0.95),
            _candidate("lstm", "recurrent", 1.03),
        ],
        metric="mae",
        block=1,
    )
    assert verdict.finding == "memory does not help"
    assert "no model beats the last value" in verdict.sentence


def test_verdict_a_pure_trend_is_no_random_walk():
    verdict = judge(
        [
            _candidate("naive", "trivial", 1.0),
            _candidate("drift", "trivial", 0.5),
            _candidate("lstm", "recurrent", 0.52),
        ],
        metric="mae",
        block=1,
    )
    assert "no model beats drift" in verdict.sentence
    assert "random walk" not in verdict.sentence


def test_verdict_shuffled_labels_leave_nothing_to_learn():
    errors = [GENERATOR.integers(0, 2, size=(1, 400)).astype(float) for _ in range(3)]
    verdict = judge(
        [
            Candidate("majority class", "trivial", 0.5, errors[0]),
            Candidate("bag of words", "simple", 0.5, errors[1]),
            Candidate("lstm", "recurrent", 0.49, errors[2]),
        ],
        metric="error rate",
        block=1,
    )
    assert verdict.finding == "nothing to learn"
    assert "nothing to learn" in verdict.sentence


def test_verdict_simple_model_wins():
    verdict = judge(
        [
            _candidate("naive", "trivial", 1.5),
            _candidate("ridge", "simple", 0.8),
            _candidate("lstm", "recurrent", 1.0),
        ],
        metric="MAE",
        block=1,
    )
    assert verdict.finding == "memory does not help"
    assert "ridge beats LSTM by 20 % [" in verdict.sentence


def test_verdict_a_gain_under_one_percent_is_none():
    verdict = judge(
        [
            _candidate("naive", "trivial", 1.5),
            _candidate("ridge", "simple", 1.0),
            _candidate("lstm", "recurrent", 0.994, seeds=1),
        ],
        metric="MAE",
        block=1,
    )
    assert verdict.finding == "memory does not help"


def test_verdict_chooses_the_recurrent_model_on_validation_not_on_test():
    """The model with the best test error but the worse validation error must not be the one that is judged."""
    lucky = _candidate("gru", "recurrent", 0.5, valid=2.0)
    verdict = judge(
        [_candidate("naive", "trivial", 1.0), lucky, _candidate("lstm", "recurrent", 0.9)],
        metric="MAE",
        block=1,
    )
    assert verdict.best_recurrent == "lstm"
    assert "by 10 %" in verdict.sentence


def test_verdict_perfect_scores_do_not_divide_by_zero():
    perfect = [
        Candidate(n, k, 0.0, np.zeros((1, 20))) for n, k in (("majority class", "trivial"), ("lstm", "recurrent"))
    ]
    verdict = judge(perfect, metric="error rate", block=1)
    assert verdict.finding != "memory helps" and "nan" not in verdict.sentence


def test_verdict_shows_no_negative_zero():
    pair = [_candidate("naive", "trivial", 1.0, seeds=1), _candidate("lstm", "recurrent", 1.0001, seeds=1)]
    assert "−0" not in judge(pair, metric="mae", block=1).sentence.replace("−0.", "")


def test_verdict_needs_both_sides():
    with pytest.raises(ValueError, match="recurrent"):
        judge([_candidate("naive", "trivial", 1.0)], metric="MAE", block=1)
