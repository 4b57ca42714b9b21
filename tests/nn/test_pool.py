"""Pools against their definitions, whole and in chunks, with sequences of no step."""

from __future__ import annotations

import pytest
import torch

from remanence.errors import SettingError
from remanence.nn.pool import POOLS, Pool
from remanence.sequences import Sequences

LENGTHS = [0, 1, 5, 3]


def _steps() -> Sequences:
    torch.manual_seed(1)
    return Sequences(torch.randn(4, 5, 3), torch.tensor(LENGTHS))


def _naive(pool: Pool, values: torch.Tensor) -> torch.Tensor:
    if not len(values):
        return torch.zeros(pool.output_size)
    if pool.kind == "last":
        return values[-1]
    if pool.kind == "mean":
        return values.mean(0)
    if pool.kind == "max":
        return values.amax(0)
    if pool.kind == "mean-max":
        return torch.cat([values.mean(0), values.amax(0)])
    weights = torch.softmax(torch.tanh(values) @ pool.score.weight[0], dim=0)
    return weights @ values


@pytest.mark.parametrize("kind", POOLS)
def test_pool_matches_its_definition(kind: str) -> None:
    pool, steps = Pool(kind, 3), _steps()
    pooled, _ = pool(steps, {})
    expected = torch.stack([_naive(pool, steps.data[row, :length]) for row, length in enumerate(LENGTHS)])
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_pool_in_chunks_matches_the_whole(kind: str, size: int) -> None:
    pool, steps, state = Pool(kind, 3), _steps(), {}
    for start in range(0, 5, size):
        pooled, state = pool(steps.chunk(start, start + size), state)
    torch.testing.assert_close(pooled, pool(steps, {})[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", POOLS)
def test_pool_gradient_is_finite_with_empty_sequences(kind: str) -> None:
    pool, steps = Pool(kind, 3), _steps()
    data = steps.data.clone().requires_grad_()
    pool(Sequences(data, steps.lengths), {})[0].sum().backward()
    assert torch.isfinite(data.grad).all()
    assert data.grad[0].abs().sum() == 0 and data.grad[2].abs().sum() > 0


@pytest.mark.parametrize("kind", POOLS)
def test_pool_of_no_step_at_all_is_zero(kind: str) -> None:
    pooled, _ = Pool(kind, 3)(Sequences(torch.zeros(2, 0, 3), torch.zeros(2, dtype=torch.int64)), {})
    assert pooled.shape[0] == 2 and pooled.abs().sum() == 0


def test_last_takes_the_backward_direction_at_its_own_end() -> None:
    steps = _steps()
    pooled, _ = Pool("last", 3, backward=1)(steps, {})
    for row, length in enumerate(LENGTHS):
        if length:
            assert pooled[row, :2].tolist() == steps.data[row, length - 1, :2].tolist()
            assert pooled[row, 2] == steps.data[row, 0, 2]


def test_unknown_pool_is_refused() -> None:
    with pytest.raises(SettingError, match="attention"):
        Pool("median", 3)
