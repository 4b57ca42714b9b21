"""Scalers: moments of chunks are the moments of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from remanence.data.scalers import Moments, Scaler


@pytest.mark.parametrize("chunk", [1, 3, 63])
def test_chunks_give_the_moments_of_the_whole(chunk: int) -> None:
    values = np.random.default_rng(0).normal(1e6, 2.0, (130, 2))
    values[::7, 1] = np.nan
    moments = Moments(2)
    for start in range(0, 130, chunk):
        moments.update(values[start : start + chunk])
    scaler = moments.scaler(("a", "b"))
    np.testing.assert_allclose(scaler.mean, np.nanmean(values, 0), rtol=1e-14)
    np.testing.assert_allclose(scaler.scale, np.nanstd(values, 0), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.5, 1e12])
def test_constant_column_becomes_zero(value: float) -> None:
    moments = Moments(1)
    moments.update(np.full((5, 1), value))
    scaler = moments.scaler(("a",))
    assert moments.constant().tolist() == [True]
    assert scaler.scale == (1.0,)
    assert scaler.apply(np.array([[value]])).tolist() == [[0.0]]


def test_empty_column_stays_finite() -> None:
    moments = Moments(1)
    moments.update(np.full((3, 1), np.nan))
    assert moments.scaler(("a",)) == Scaler(columns=("a",), mean=(0.0,), scale=(1.0,))


def test_unscale_undoes_apply() -> None:
    scaler = Scaler(columns=("a", "b"), mean=(1.5, -2.0), scale=(0.5, 4.0))
    values = np.array([[1.0, 2.0], [3.0, np.nan]])
    np.testing.assert_allclose(scaler.unscale(scaler.apply(values), ("a", "b")), values, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_useless_scale_cannot_be_constructed(scale: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — pydantic's own message
        Scaler(columns=("a",), mean=(0.0,), scale=(scale,))


def test_columns_of_a_group_share_the_root_mean_square_of_their_scales() -> None:
    # Standard deviations 1, 7 and 2; the fourth column is constant and has no say.
    values = np.array([[0.0, 10.0, 3.0, 8.0], [2.0, 24.0, 7.0, 8.0]])
    moments = Moments(4)
    moments.update(values)
    columns = ("a x", "b x", "a y", "b y")
    alike = moments.scaler(columns, ("x", "x", "y", "y"))
    assert alike.scale == (5.0, 5.0, 2.0, 2.0) and alike.mean == (1.0, 17.0, 5.0, 8.0)
    np.testing.assert_allclose(moments.scaler(columns, ("",) * 4).scale, [np.sqrt(54 / 3)] * 4)
    assert moments.scaler(columns).scale == (1.0, 7.0, 2.0, 1.0)


def test_a_group_of_constant_columns_stays_finite() -> None:
    moments = Moments(2)
    moments.update(np.full((3, 2), 0.1))
    assert moments.scaler(("a", "b"), ("", "")).scale == (1.0, 1.0)
