"""Additive scores against the formula written out, and their gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from remanence.compiler.additive import additive_scores
from remanence.compiler.by_hand import ByHand
from remanence.errors import ShapeError
from remanence.nn import fused

LENGTHS = torch.tensor([5, 0, 3, 7, 1])


def given(size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(size)
    shapes = ((5, 4, size), (5, 7, size), (size,))
    queries, keys, weight = (torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in shapes)
    return queries, keys, weight


def written_out(queries: Tensor, keys: Tensor, weight: Tensor) -> Tensor:
    """The formula, number by number."""
    rows = []
    for q, m, length in zip(queries.double(), keys.double(), LENGTHS.tolist(), strict=True):
        for query in q:
            scores = [(weight.double() * (query + m[s]).tanh()).sum() for s in range(length)]
            rows.append(torch.stack([*scores, *(query.new_zeros(()) for _ in range(length, keys.shape[1]))]))
    return torch.stack(rows).view(len(queries), queries.shape[1], keys.shape[1])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 16, 37])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
def test_scores_and_gradients_are_the_formulas(dtype: torch.dtype, near: float, size: int, threads: int) -> None:
    tensors, before = given(size, dtype), torch.get_num_threads()
    toward = torch.randn(5, 4, 7, dtype=dtype)
    torch.set_num_threads(threads)
    try:
        found = additive_scores(*tensors, LENGTHS)
        gradients = torch.autograd.grad(found, tensors, toward)
    finally:
        torch.set_num_threads(before)
    expected = written_out(*tensors)
    wanted = torch.autograd.grad(expected, tensors, toward.double())
    for ours, theirs in zip((found, *gradients), (expected, *wanted), strict=True):
        assert ours.dtype == dtype
        largest = float(theirs.detach().abs().max())
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=0, atol=near * largest)


def test_queries_that_lie_apart_in_memory_are_read_in_place_or_copied() -> None:
    queries, keys, weight = given(16, torch.float32)
    apart = keys.transpose(0, 1).contiguous().transpose(0, 1)
    assert not apart.is_contiguous()
    found, expected = (additive_scores(queries, source, weight, LENGTHS) for source in (apart, keys))
    assert torch.equal(found, expected)


def test_what_is_not_a_number_stays_so_in_its_own_row() -> None:
    queries, keys, weight = (tensor.detach() for tensor in given(16, torch.float32))
    queries[2, 1, 5] = torch.nan
    found = additive_scores(queries, keys, weight, LENGTHS)
    assert found[2, 1, :3].isnan().all()
    assert int(found.isnan().sum()) == 3


@pytest.mark.parametrize(
    ("change", "axis"),
    [
        (lambda q, m, v, n: (q[:4], m, v, n), "batch"),
        (lambda q, m, v, n: (q, m, v, n[:4]), "batch"),
        (lambda q, m, v, n: (q[..., :15], m, v, n), "size"),
        (lambda q, m, v, n: (q, m, v[:15], n), "size"),
        (lambda q, m, v, n: (q.double(), m, v, n), "dtype"),
        (lambda q, m, v, n: (q, m, v.double(), n), "dtype"),
        (lambda q, m, v, n: (q, m, v, n + 1), "source"),
        (lambda q, m, v, n: (q, m, v, n - 1), "source"),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[..., tuple[Tensor, ...]], axis: str) -> None:
    with pytest.raises(ShapeError, match=axis):
        additive_scores(*change(*given(16, torch.float32), LENGTHS))


def test_a_machine_without_a_compiler_writes_the_formula_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kernels: ByHand, dtype: torch.dtype) -> dict[str, int]:
        raise OSError("no such processor")

    monkeypatch.setattr(ByHand, "addresses", broken)
    fused._no_kernels.cache_clear()
    tensors = given(16, torch.float32)
    try:
        with pytest.warns(RuntimeWarning, match=r"additive attention runs on the eager path.*no such processor"):
            found = fused.additive(*tensors, LENGTHS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fused.additive(*tensors, LENGTHS)
    finally:
        fused._no_kernels.cache_clear()
    inside = torch.arange(7) < LENGTHS[:, None, None]
    torch.testing.assert_close(torch.where(inside, found, 0.0), written_out(*tensors).float(), rtol=0, atol=2e-5)
