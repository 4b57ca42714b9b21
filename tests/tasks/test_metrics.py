"""Each metric against a number worked by hand, and against the libraries that people trust."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from remanence.data.examples import Batch
from remanence.sequences import Sequences
from remanence.tasks.metrics import ClassifyMeter, ForecastMeter
from tests.tasks import made

torchmetrics = pytest.importorskip("torchmetrics.functional")


def _batch(target: torch.Tensor, index: list[int] | None = None, series: list[int] | None = None) -> Batch:
    count = len(target)
    return Batch(
        Sequences(torch.zeros(count, 1, 1), torch.ones(count, dtype=torch.int64)),
        target,
        None,
        torch.tensor(index if index is not None else list(range(count))),
        torch.tensor(series if series is not None else [0] * count),
    )


def _forecast(truth: list, forecast: list, quantiles: tuple[float, ...] = (), **changes):
    meter = ForecastMeter(made.forecast_encoders(**changes), quantiles)
    meter.update(torch.tensor(forecast), _batch(torch.tensor(truth)))
    return meter.scores()


def test_point_metrics_by_hand() -> None:
    # Scaled errors 1, 0, −2; in units (mean 10, scale 2) truths 12, 10, 8, forecasts 10, 10, 12.
    scores = _forecast([[[1.0], [0.0], [-1.0]]], [[[0.0], [0.0], [1.0]]])
    assert scores.metrics["mae"] == pytest.approx(1.0)
    assert scores.metrics["mse"] == pytest.approx(5 / 3)
    assert scores.metrics["mae_units"] == pytest.approx(2.0)
    assert scores.metrics["smape"] == pytest.approx(200 / 3 * (2 / 22 + 0 + 4 / 20))
    assert scores.metrics["mase"] == pytest.approx(2.0 / 4.0)
    assert next(iter(scores.metrics)) == "mae"
    assert scores.errors.tolist() == pytest.approx([1.0]) and scores.block == 3


def test_quantile_metrics_by_hand() -> None:
    # Point forecasts 0; quantiles −1, 0, 1; truths 2 and 0.5.
    scores = _forecast([[[2.0]], [[0.5]]], [[[[0.0, -1.0, 0.0, 1.0]]]] * 2, (0.1, 0.5, 0.9), horizon=1)
    assert scores.metrics["pinball_0.1"] == pytest.approx((0.1 * 3 + 0.1 * 1.5) / 2)
    assert scores.metrics["pinball_0.5"] == pytest.approx((0.5 * 2 + 0.5 * 0.5) / 2)
    assert scores.metrics["pinball_0.9"] == pytest.approx((0.9 * 1 + 0.1 * 0.5) / 2)
    assert scores.metrics["pinball"] == pytest.approx((0.225 + 0.625 + 0.475) / 3)
    assert scores.metrics["coverage_0.8"] == pytest.approx(0.5)


def test_missing_truths_are_left_out() -> None:
    nan = float("nan")
    scores = _forecast([[[1.0], [nan], [nan]], [[nan], [nan], [nan]], [[0.0], [3.0], [0.0]]], [[[0.0]] * 3] * 3)
    assert scores.errors.tolist() == pytest.approx([1.0, 1.0])
    assert scores.metrics["mae"] == pytest.approx(1.0)
    assert scores.metrics["mse"] == pytest.approx((1 + 3) / 2)


def test_mase_takes_the_scale_of_each_series() -> None:
    changes = {"series_names": ("A", "B"), "naive_scale": ((4.0,), (2.0,)), "naive_scale_all": (1.0,), "horizon": 1}
    meter = ForecastMeter(made.forecast_encoders(**changes))
    meter.update(torch.zeros(3, 1, 1), _batch(torch.ones(3, 1, 1), series=[0, 1, -1]))
    assert meter.scores().metrics["mase"] == pytest.approx((2 / 4 + 2 / 2 + 2 / 1) / 3)


def test_errors_stand_in_time_order_however_batches_came() -> None:
    meter = ForecastMeter(made.forecast_encoders(horizon=1))
    meter.update(torch.zeros(2, 1, 1), _batch(torch.tensor([[[3.0]], [[1.0]]]), index=[2, 0]))
    meter.update(torch.zeros(1, 1, 1), _batch(torch.tensor([[[2.0]]]), index=[1]))
    assert meter.scores().errors.tolist() == [1.0, 2.0, 3.0]


def test_forecast_metrics_match_torchmetrics() -> None:
    torch.manual_seed(0)
    truth, forecast = torch.randn(33, 3, 2), torch.randn(33, 3, 2)
    encoders = made.forecast_encoders(target=("load", "price"), naive_scale=((1.0, 1.0),), naive_scale_all=(1.0, 1.0))
    meter = ForecastMeter(encoders)
    for part in (slice(0, 5), slice(5, 33)):
        meter.update(forecast[part], _batch(truth[part], index=list(range(33))[part]))
    found = meter.scores().metrics
    assert found["mae"] == pytest.approx(float(torchmetrics.mean_absolute_error(forecast, truth)), rel=1e-6)
    assert found["mse"] == pytest.approx(float(torchmetrics.mean_squared_error(forecast, truth)), rel=1e-6)
    in_units = forecast * 2 + 10, truth * 2 + 10
    smape = torchmetrics.symmetric_mean_absolute_percentage_error(*in_units)
    assert found["smape"] == pytest.approx(100 * float(smape), rel=1e-6)
    each = torchmetrics.mean_absolute_error(in_units[0][..., 1].contiguous(), in_units[1][..., 1].contiguous())
    assert found["mae_units_price"] == pytest.approx(float(each), rel=1e-6)


def test_pinball_matches_sklearn() -> None:
    random = np.random.default_rng(1)
    truth, low = random.standard_normal((50, 1, 1)), random.standard_normal((50, 1, 1))
    output = torch.from_numpy(np.stack([low * 0, low, low + 1], axis=-1))
    meter = ForecastMeter(made.forecast_encoders(horizon=1), (0.2, 0.7))
    meter.update(output, _batch(torch.from_numpy(truth)))
    expected = sk.mean_pinball_loss(truth.ravel(), low.ravel(), alpha=0.2)
    assert meter.scores().metrics["pinball_0.2"] == pytest.approx(expected)


def test_classify_metrics_by_hand() -> None:
    meter = ClassifyMeter(3)
    probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.5, 0.25]])
    meter.update(probabilities.log(), _batch(torch.tensor([0, 1, 1, 0]), index=[3, 2, 1, 0]))
    scores = meter.scores()
    assert scores.metrics["error"] == 0.5 and scores.metrics["accuracy"] == 0.5
    assert scores.metrics["log_loss"] == pytest.approx((2 * np.log(2) + 2 * np.log(4)) / 4)
    # The third class neither occurs nor is predicted: the mean is over two.
    assert scores.metrics["macro_f1"] == pytest.approx(0.5)
    assert scores.confusion is not None
    assert scores.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert scores.errors.tolist() == [1.0, 0.0, 1.0, 0.0] and scores.block == 1


def test_classify_metrics_match_sklearn_and_torchmetrics() -> None:
    torch.manual_seed(2)
    logits, truth = torch.randn(101, 5).double(), torch.randint(0, 4, (101,))
    meter = ClassifyMeter(5)
    for part in (slice(0, 1), slice(1, 101)):
        meter.update(logits[part], _batch(truth[part], index=list(range(101))[part]))
    scores, predicted = meter.scores(), logits.argmax(1)
    assert scores.metrics["accuracy"] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert scores.metrics["macro_f1"] == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert scores.metrics["log_loss"] == pytest.approx(sk.log_loss(truth, logits.softmax(1), labels=range(5)))
    assert (scores.confusion == sk.confusion_matrix(truth, predicted, labels=range(5))).all()
    theirs = torchmetrics.classification.multiclass_f1_score(predicted, truth, num_classes=5, average="macro")
    assert scores.metrics["macro_f1"] == pytest.approx(float(theirs), rel=1e-6)


def test_no_example_scores_nothing() -> None:
    assert np.isnan(ForecastMeter(made.forecast_encoders()).scores().metrics["mae"])
    assert np.isnan(ClassifyMeter(2).scores().metrics["error"])
