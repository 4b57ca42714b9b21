"""Baselines against what they are by definition, worked by hand or by a library."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

from remanence.compiler.warping import nearest
from remanence.errors import SettingError
from remanence.settings import settings_from
from remanence.tasks import task
from remanence.tasks.baselines_classify import BagOfPairs, BagOfWords, Majority, NearestNeighbour, SummaryStatistics
from remanence.tasks.baselines_forecast import Drift, Mean, Naive, RidgeAutoregression, SeasonalNaive
from tests.tasks import made

OPTIONS = settings_from({"normalise": "last"})
RISING = np.arange(12.0)


def _point(kind: type, rows: np.ndarray = RISING, **changes) -> list[float]:
    encoders = made.forecast_encoders(**changes)
    part = made.MadeForecast(encoders, rows)
    baseline = kind(encoders, OPTIONS)
    baseline.fit(part, part)
    return baseline.predict(part.batch(np.array([0])))[0, :, 0].tolist()


def test_simple_forecasts_by_hand() -> None:
    # The context is 0 … 5, the horizon 6, 7, 8, the season 4.
    assert _point(Naive) == [5, 5, 5]
    assert _point(SeasonalNaive) == [2, 3, 4]
    assert _point(Drift) == pytest.approx([6, 7, 8])
    assert _point(Mean) == [2.5, 2.5, 2.5]
    assert _point(SeasonalNaive, season=2, horizon=5) == [4, 5, 4, 5, 4]


def test_simple_forecasts_step_over_missing_values() -> None:
    # 0 1 2 – – 5 – , the flag beside each value: the season before the second step (4) is missing.
    values = np.array([0.0, 1, 2, 0, 0, 5, 0, 7, 8, 9])
    flags = np.array([0.0, 0, 0, 1, 1, 0, 1, 0, 0, 0])
    rows = np.stack([values, flags], axis=1)
    changes = {"missing": "mask", "context": 7}
    assert _point(Naive, rows, **changes) == [5, 5, 5]
    assert _point(SeasonalNaive, rows, **changes) == [5, 5, 5]
    assert _point(Mean, rows, **changes) == [2, 2, 2]
    # One step each way: at 5 after five steps, one of them behind the last value.
    assert _point(Drift, rows, **changes) == pytest.approx([7, 8, 9])


def test_seasonal_naive_refuses_a_context_without_a_season() -> None:
    with pytest.raises(SettingError, match="--context"):
        _point(SeasonalNaive, context=3)


def test_ridge_finds_a_linear_law_and_matches_sklearn() -> None:
    encoders = made.forecast_encoders()
    data = made.made_forecast()
    baseline = RidgeAutoregression(encoders, settings_from({"normalise": "none"}))
    baseline.fit(data.train, data.valid)
    every = data.train.batch(np.arange(len(data.train)))
    inputs = every.inputs.data[..., 0].double().numpy()
    ridge = baseline._ridge
    scale = ((inputs - inputs.mean(0)) ** 2).sum(0).mean()
    theirs = SklearnRidge(alpha=ridge.penalty * scale).fit(inputs, every.target[..., 0].double().numpy())
    batch = data.test.batch(np.arange(9))
    expected = theirs.predict(batch.inputs.data[..., 0].double().numpy())
    np.testing.assert_allclose(baseline.predict(batch)[..., 0].numpy(), expected, atol=1e-5)


def test_ridge_uses_what_is_known_of_the_future() -> None:
    # The target is the known column one to three steps ahead: the context alone knows nothing of it.
    random = np.random.default_rng(5)
    known = random.standard_normal(400)
    rows = np.stack([known, known], axis=1)
    encoders = made.forecast_encoders(known=("plan",))
    train, valid, test = (made.MadeForecast(encoders, rows[a:b]) for a, b in ((0, 250), (250, 320), (320, 400)))
    for normalise in ("none", "last", "window"):
        baseline = RidgeAutoregression(encoders, settings_from({"normalise": normalise}))
        baseline.fit(train, valid)
        batch = test.batch(np.arange(20))
        error = (baseline.predict(batch) - batch.target).abs().mean()
        assert error < 0.05, normalise


def test_quantiles_of_a_baseline_cover_what_they_say() -> None:
    random = np.random.default_rng(6)
    rows = random.standard_normal(3000)
    encoders = made.forecast_encoders()
    parts = [made.MadeForecast(encoders, rows[a:b]) for a, b in ((0, 1000), (1000, 2000), (2000, 3000))]
    settings = settings_from({"quantiles": "0.1,0.9"})
    baseline = Mean(encoders, settings)
    baseline.fit(parts[0], parts[1])
    meter = task("forecast").meter(encoders, settings)
    batch = parts[2].batch(np.arange(len(parts[2])))
    meter.update(baseline.predict(batch), batch)
    assert meter.scores().metrics["coverage_0.8"] == pytest.approx(0.8, abs=0.05)


def test_majority_gives_training_frequencies() -> None:
    part = made.MadeClassify(made.text_encoders(), [np.array([2])] * 4, [0, 0, 0, 1])
    baseline = Majority(2)
    baseline.fit(part, part)
    answer = baseline.predict(part.batch(np.arange(3)))
    np.testing.assert_allclose(answer.exp().numpy(), [[0.75, 0.25]] * 3, rtol=1e-6)


def _error(baseline, data) -> float:
    baseline.fit(data.train, data.valid)
    batch = data.test.batch(np.arange(len(data.test)))
    return float((baseline.predict(batch).argmax(1) != batch.target).double().mean())


def test_bag_of_words_learns_what_occurs_and_not_where() -> None:
    random = np.random.default_rng(7)

    def data(rule):
        parts = []
        for count in (300, 100, 200):
            texts = [random.integers(2, 10, 12).astype(np.int64) for _ in range(count)]
            parts.append(made.MadeClassify(made.text_encoders(), texts, [rule(text) for text in texts]))
        return made.prepared(made.text_encoders(), *parts)

    assert _error(BagOfWords(3, 10), data(lambda text: int(5 in text))) < 0.05
    assert _error(BagOfWords(3, 10), data(lambda text: int(text[5] < 6))) > 0.3


def test_bag_of_pairs_knows_pairs_and_a_bag_of_words_does_not() -> None:
    # The same two tokens in another order.
    texts = [np.array([2, 3, 4, 5]), np.array([3, 2, 5, 4])] * 10
    part = made.MadeClassify(made.text_encoders(), texts, [0, 1] * 10)
    prepared = made.prepared(made.text_encoders(), part, part, part)
    assert _error(BagOfPairs(3, 10), prepared) == 0
    assert _error(BagOfWords(3, 10), prepared) == 0.5


def test_number_baselines_learn_a_rise() -> None:
    data = made.made_numbers()
    assert _error(SummaryStatistics(2), data) == 0
    assert _error(NearestNeighbour(2), data) == 0


def _naive_warping(left: np.ndarray, right: np.ndarray) -> float:
    table = np.full((len(left) + 1, len(right) + 1), np.inf)
    table[0, 0] = 0
    for i in range(len(left)):
        for j in range(len(right)):
            cost = ((left[i] - right[j]) ** 2).sum()
            table[i + 1, j + 1] = cost + min(table[i, j + 1], table[i + 1, j], table[i, j])
    return table[-1, -1]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (7, 3), (33, 63)])
def test_the_nearest_is_that_of_the_full_tables(n: int, m: int) -> None:
    random = np.random.default_rng(n)
    left, right = random.standard_normal((3, n, 2)), random.standard_normal((4, m, 2))
    # The second of the known ones has no steps, nor has the last one asked for.
    place, apart = nearest(left, np.array([n, n, 0]), right, np.array([m, 0, m, m]), 1.0)
    tables = [[_naive_warping(one, right[other]) if other != 1 else np.inf for other in range(4)] for one in left[:2]]
    assert place[:2].tolist() == [int(np.argmin(row)) for row in tables]
    assert apart[:2] == pytest.approx([min(row) for row in tables])
    assert (place[2], apart[2]) == (0, np.inf)
    narrow = nearest(left[:1], np.array([n]), right[:1], np.array([m]), 0.0)[1]
    assert narrow >= tables[0][0] - 1e-9 and narrow < np.inf


def test_nearest_neighbour_refuses_long_sequences() -> None:
    part = made.MadeClassify(made.number_encoders(), [np.zeros((600, 2), np.float32)], [0])
    with pytest.raises(SettingError, match="600 steps"):
        NearestNeighbour(2).fit(part, part)


def test_one_class_in_training_is_answered_always() -> None:
    part = made.MadeClassify(made.number_encoders(), [np.zeros((4, 2), np.float32)] * 3, [1, 1, 1])
    for baseline in (SummaryStatistics(2), NearestNeighbour(2), Majority(2)):
        baseline.fit(part, part)
        answer = baseline.predict(part.batch(np.arange(2)))
        assert answer.argmax(1).tolist() == [1, 1] and torch.isfinite(answer).all()


def test_baselines_do_without_a_validation_part() -> None:
    empty = made.MadeClassify(made.number_encoders(), [], [])
    data = made.made_numbers()
    for baseline in (SummaryStatistics(2), NearestNeighbour(2)):
        baseline.fit(data.train, empty)
        assert torch.isfinite(baseline.predict(data.test.batch(np.arange(2)))).all()
    forecast = made.made_forecast()
    none = made.MadeForecast(forecast.encoders, np.zeros((2, 1)))
    ridge = RidgeAutoregression(forecast.encoders, OPTIONS)
    ridge.fit(forecast.train, none)
    assert torch.isfinite(ridge.predict(forecast.test.batch(np.arange(2)))).all()


def test_majority_reads_no_text() -> None:
    data = made.made_texts()
    read = AssertionError("a text is read for its label")

    class Labels(made.MadeClassify):
        def batch(self, index: np.ndarray):
            raise read

    encoders = made.text_encoders()
    train = Labels(encoders, data.train.sequences, data.train.labels.tolist())
    majority = Majority(3)
    majority.fit(train, train)
    assert majority.predict(data.test.batch(np.arange(2))).exp()[0].tolist() == pytest.approx(
        np.bincount(data.train.labels, minlength=3) / len(data.train), abs=1e-6
    )


def test_tasks_are_there_where_nothing_can_be_compiled() -> None:
    script = "import sys; sys.modules['llvmlite'] = None\nimport remanence.tasks.classify, remanence.tasks.transcribe"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
