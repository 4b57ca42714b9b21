"""Sums and highest values of steps against their definition, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remanence.compiler.pooling import able, sum_and_highest
from remanence.nn import fused

LENGTHS = torch.tensor([5, 0, 3, 7, 1])


def given(size: int, dtype: torch.dtype, time_first: bool = False) -> Tensor:
    torch.manual_seed(size)
    shape = (7, 5, size) if time_first else (5, 7, size)
    steps = torch.randn(*shape, dtype=dtype)
    steps = steps.transpose(0, 1) if time_first else steps
    # No result may depend on what stands behind an end.
    for row, length in enumerate(LENGTHS.tolist()):
        steps[row, length:] = torch.nan
    return steps.requires_grad_()


def definition(steps: Tensor) -> tuple[Tensor, Tensor]:
    """Sequence by sequence."""
    rows = [row[:length] for row, length in zip(steps, LENGTHS.tolist(), strict=True)]
    highest = [row.max(0).values if len(row) else torch.full_like(steps[0, 0], -torch.inf) for row in rows]
    return torch.stack([row.sum(0) for row in rows]), torch.stack(highest)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("time_first", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_values_and_gradients_are_the_definitions(
    dtype: torch.dtype, near: float, time_first: bool, threads: int
) -> None:
    steps, before = given(48, dtype, time_first), torch.get_num_threads()
    toward = tuple(torch.randn(5, 48, dtype=dtype) for _ in range(2))
    torch.set_num_threads(threads)
    try:
        assert able(steps)
        found = sum_and_highest(steps, LENGTHS)
        (gradient,) = torch.autograd.grad(found, steps, toward)
    finally:
        torch.set_num_threads(before)
    expected = definition(steps)
    (wanted,) = torch.autograd.grad(expected, steps, toward)
    for ours, theirs in zip((*found, gradient), (*expected, wanted), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=near)


def test_columns_of_something_wider_are_read_where_they_lie() -> None:
    wide = torch.randn(5, 7, 96)
    assert able(wide[..., 16:64])
    for ours, theirs in zip(sum_and_highest(wide[..., 16:64], LENGTHS), definition(wide[..., 16:64]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


def test_of_equal_values_the_first_gets_the_gradient() -> None:
    steps = torch.zeros(5, 7, 16, requires_grad=True)
    sum_and_highest(steps, LENGTHS)[1].sum().backward()
    assert steps.grad is not None
    assert torch.equal(steps.grad[:, 0], (LENGTHS > 0).float()[:, None].expand(5, 16)) and not steps.grad[:, 1:].any()


def test_what_is_not_a_number_is_not_lost() -> None:
    steps = given(16, torch.float32).detach()
    steps[3, 2, 5] = torch.nan
    for found in sum_and_highest(steps, LENGTHS):
        assert found.isnan().sum() == 1 and found[3, 5].isnan()


def test_what_is_infinite_or_nearly_is_compared_as_it_is() -> None:
    steps = given(16, torch.float32).detach()
    steps[3, 2, 5], steps[3, 4:6, 5], steps[3, 2, 6], steps[3, 1:3, 7] = torch.inf, torch.inf, -torch.inf, 3e38
    (_, found), (_, wanted) = sum_and_highest(steps, LENGTHS), definition(steps)
    assert torch.equal(found, wanted)
    assert found[3, 5] == torch.inf and found[3, 6].isfinite() and found[3, 7] == steps[3, 1, 7]


def test_lengths_may_be_changed_afterwards() -> None:
    steps, lengths = torch.ones(1, 3, 16, requires_grad=True), torch.tensor([3])
    total, _ = sum_and_highest(steps, lengths)
    lengths.fill_(1)
    total.sum().backward()
    assert steps.grad is not None and bool(steps.grad.all())


def test_gradients_have_gradients() -> None:
    steps = torch.randn(5, 7, 16, dtype=torch.float64, requires_grad=True)
    squares = lambda x: tuple(found[LENGTHS > 0] for found in sum_and_highest(x * x, LENGTHS))  # noqa: E731
    assert torch.autograd.gradcheck(squares, steps)
    assert torch.autograd.gradgradcheck(squares, steps)


@pytest.mark.parametrize("size", [3, 16])
@pytest.mark.parametrize("time", [0, 7])
def test_either_way_gives_the_same(size: int, time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = given(size, torch.float32)[:, :time].detach().requires_grad_()
    lengths = LENGTHS.clamp(max=time)
    found = fused.sum_and_highest(steps, lengths)
    gradient = torch.autograd.grad(found, steps, (torch.ones(5, size),) * 2) if time else ()
    monkeypatch.setattr(fused, "_missing", lambda: "llvmlite is missing")
    plain = fused.sum_and_highest(steps, lengths)
    wanted = torch.autograd.grad(plain, steps, (torch.ones(5, size),) * 2) if time else ()
    for ours, theirs in zip((*found, *gradient), (*plain, *wanted), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
