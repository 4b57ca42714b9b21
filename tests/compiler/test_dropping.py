"""Dropout by a kernel: beside its mask written out in NumPy, on any layout, under any derivative."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from remanence.compiler import dropping
from remanence.compiler.dropping import CHANCES, dropped


def written_out(count: int, seed: int, rate: float) -> np.ndarray:
    """The mask, from the module's account of it: 64 elements share 16 draws, each of 16 bits."""
    level, wrap = round(rate * CHANCES), (1 << 64) - 1
    mask = np.empty(count)
    for k in range(count):
        z = (seed + (k // 64 * 16 + k % 16) * 0x9E3779B97F4A7C15) & wrap
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & wrap
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & wrap
        z ^= z >> 31
        mask[k] = CHANCES / (CHANCES - level) if (z >> k % 64 // 16 * 16) & 0xFFFF >= level else 0.0
    return mask


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 1000, 2**15 + 7])
def test_elements_are_dropped_as_written_out(
    count: int, dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor(-(2**62) + 5))
    monkeypatch.setattr(dropping, "_PART", 32)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    data = torch.randn(count, dtype=dtype)
    try:
        found = dropped(data, 0.3)
    finally:
        torch.set_num_threads(before)
    expected = data.double() * torch.from_numpy(written_out(count, (1 << 64) - (1 << 62) + 5, 0.3))
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_the_share_that_is_dropped_and_its_neighbours(rate: float) -> None:
    torch.manual_seed(0)
    found = dropped(torch.ones(400_003), rate)
    level = min(round(rate * CHANCES), CHANCES - 1) / CHANCES
    assert set(found.unique().tolist()) <= {0.0, torch.tensor(1 / (1 - level)).item()}
    gone = (found == 0).double()
    assert abs(float(gone.mean()) - level) <= 5 * math.sqrt(level * (1 - level) / gone.numel())
    for apart in (1, 2, 4, 15, 16, 17, 32, 48, 64, 128):
        both = float((gone[:-apart] * gone[apart:]).mean())
        assert abs(both - level**2) <= 5 * math.sqrt(level**2 * (1 - level**2) / gone.numel())


def test_one_call_tells_nothing_of_the_next() -> None:
    torch.manual_seed(0)
    first, second = (dropped(torch.ones(100_000), 0.5) == 0 for _ in range(2))
    assert abs(float((first & second).double().mean()) - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 100_000)


@pytest.mark.parametrize(
    "lay",
    [lambda x: x, lambda x: x.transpose(0, 1), lambda x: x.transpose(1, 2), lambda x: x[:, ::2], lambda x: x[0, 0, 0]],
    ids=["as made", "time first", "features before", "every other", "a number"],
)
def test_gradient_is_the_mask_however_either_lies(lay: object) -> None:
    data = lay(torch.randn(6, 10, 8, dtype=torch.float64)).requires_grad_()  # type: ignore[operator]
    torch.manual_seed(1)
    found = dropped(data, 0.4)
    torch.manual_seed(1)
    assert torch.equal(found, dropped(data, 0.4))
    turned = torch.randn(tuple(reversed(found.shape)), dtype=found.dtype).permute(tuple(reversed(range(found.ndim))))
    for weight in (torch.randn_like(found), turned):
        (gradient,) = torch.autograd.grad(found, data, weight, retain_graph=True)
        torch.testing.assert_close(gradient * data, weight * found)


def test_derivatives_of_any_order() -> None:
    def cubed(data: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(2)
        return dropped(data, 0.4) ** 3

    data = torch.randn(5, 30, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(cubed, data)
    assert torch.autograd.gradgradcheck(cubed, data)
    found = cubed(data)
    rows = torch.eye(found.numel(), dtype=found.dtype).reshape(-1, *found.shape)
    (at_once,) = torch.autograd.grad(found, data, rows, is_grads_batched=True, retain_graph=True)
    one_by_one = torch.stack([torch.autograd.grad(found, data, row, retain_graph=True)[0] for row in rows])
    torch.testing.assert_close(at_once, one_by_one)
