import numpy as np
import pytest

from remanence.statistics import difference, mean_interval


def test_interval_covers_the_mean_as_often_as_it_says():
    """200 repetitions with known truth: a 95 % interval should hold it in about 190 of them."""
    generator = np.random.default_rng(3)
    held = 0
    for repetition in range(200):
        errors = generator.exponential(size=(1, 150))
        interval = mean_interval(errors, block=1, seed=repetition)
        held += interval.low <= 1.0 <= interval.high
    assert 178 <= held <= 199


def test_interval_widens_when_neighbours_share_their_error():
    generator = np.random.default_rng(0)
    errors = np.repeat(generator.normal(1, 0.3, size=40), 25)[None]
    alone, together = mean_interval(errors, block=1), mean_interval(errors, block=25)
    assert together.high - together.low > 3 * (alone.high - alone.low)
    expected = 2 * 1.96 * 0.3 / np.sqrt(40)
    assert together.high - together.low == pytest.approx(expected, rel=0.35)


def test_difference_uses_the_pairing():
    """Shared noise ten times the gap: only a paired comparison can see it."""
    noise = np.random.default_rng(1).normal(size=(1, 300))
    assert difference(1.0 + noise, 1.1 + noise, block=1).better
    assert difference(1.1 + noise, 1.0 + noise, block=1).worse


def test_difference_of_equals_is_undecided():
    generator = np.random.default_rng(2)
    undecided = 0
    for repetition in range(40):
        found = difference(generator.normal(1, 1, (3, 200)), generator.normal(1, 1, (3, 200)), 1, repetition)
        undecided += not (found.better or found.worse)
    assert undecided >= 34


def test_difference_knows_that_one_lucky_seed_proves_little():
    """Two seeds good, one bad: the interval over seeds must hold a wide range."""
    lucky = np.array([[0.5], [0.5], [2.0]]) * np.ones((3, 400))
    found = difference(lucky, np.full((1, 400), 1.05), block=1)
    assert not found.better
    assert found.absolute.estimate == pytest.approx(0.05)


def test_relative_difference_by_hand():
    found = difference(np.full((1, 8), 0.75), np.ones((1, 8)), block=3)
    assert found.relative.estimate == found.relative.low == found.relative.high == 0.25


def test_a_perfect_reference_leaves_no_share():
    found = difference(np.zeros((1, 5)), np.zeros((1, 5)), block=1)
    assert np.isnan(found.relative.estimate) and not found.better and not found.worse


@pytest.mark.parametrize("units", [1, 2, 3, 63])
@pytest.mark.parametrize("block", [1, 2, 100])
def test_any_number_of_units_and_blocks(units, block):
    interval = mean_interval(np.arange(units, dtype=float)[None], block=block)
    assert interval.low <= interval.estimate <= interval.high


def test_different_units_are_refused():
    with pytest.raises(ValueError, match="units"):
        difference(np.ones((1, 4)), np.ones((1, 5)), block=1)
