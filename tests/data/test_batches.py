"""The order of batches depends on seed and epoch alone, and meets every example once."""

from __future__ import annotations

import numpy as np
import pytest

from remanence.data.batches import order


@pytest.mark.parametrize("examples", [0, 1, 3, 63, 1000])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_example_comes_once(examples: int, batch_size: int, shuffle: bool) -> None:
    lengths = np.arange(examples) % 7
    batches = order(lengths, batch_size, seed=3, epoch=2, shuffle=shuffle)
    assert sorted(np.concatenate([*batches, np.zeros(0, int)]).tolist()) == list(range(examples))
    assert all(0 < len(batch) <= batch_size for batch in batches)


def test_same_seed_and_epoch_same_order_and_other_epoch_another() -> None:
    lengths = np.arange(100) % 9
    first, again, other, seed = (
        [batch.tolist() for batch in order(lengths, 8, *key)] for key in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert first == again
    assert first != other
    assert first != seed


def test_batches_hold_like_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 6400)
    spread = [int(np.ptp(lengths[batch])) for batch in order(lengths, 32, 0, 0)]
    assert np.median(spread) <= 3
    first = [int(lengths[batch].mean()) for batch in order(lengths, 32, 0, 0)[:50]]
    assert np.std(first) > 15
