"""Batch normalisation over valid steps, by kernels, against PyTorch's own operations."""

from __future__ import annotations

import pytest
import torch

from remanence.compiler.norm import normalised
from remanence.nn import fused
from remanence.nn.convolution import MaskedNorm

LENGTHS = torch.tensor([0, 40, 1, 17, 16])


def _given(dtype: torch.dtype, channels: int = 5, time: int = 40) -> list[torch.Tensor]:
    torch.manual_seed(0)
    data = 3 + 2 * torch.randn(5, channels, time, dtype=dtype)
    # What stands beyond an end is nobody's.
    data[torch.arange(time).expand_as(data) >= LENGTHS[:, None, None]] = torch.nan
    return [data, torch.randn(channels, dtype=dtype), torch.randn(channels, dtype=dtype)]


def _written_out(data: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    valid = torch.arange(data.shape[2]) < LENGTHS[:, None]
    steps = data.transpose(1, 2)[valid]
    found = torch.zeros(len(data), data.shape[2], data.shape[1], dtype=data.dtype)
    found[valid] = torch.relu(torch.nn.functional.batch_norm(steps, None, None, weight, bias, training=True))
    return found.transpose(1, 2)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("threads", [1, 2])
def test_values_and_gradients_are_those_of_torch(dtype: torch.dtype, close: float, threads: int) -> None:
    before = torch.get_num_threads()
    given = [each.requires_grad_() for each in _given(dtype)]
    try:
        torch.set_num_threads(threads)
        found, mean, variance = normalised(*given, LENGTHS, 1e-5)
        push = torch.randn_like(found)
        mine = torch.autograd.grad(found, given, push)
    finally:
        torch.set_num_threads(before)
    expected = _written_out(*given)
    torch.testing.assert_close(found, expected, rtol=close, atol=close)
    theirs = torch.autograd.grad(expected, given, push)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=close, atol=close)
    steps = given[0].detach().transpose(1, 2)[torch.arange(40) < LENGTHS[:, None]]
    torch.testing.assert_close(mean, steps.mean(0), rtol=close, atol=close)
    torch.testing.assert_close(variance, steps.var(0, unbiased=False), rtol=close, atol=close)
    assert not mean.requires_grad and not variance.requires_grad


def test_either_way_gives_the_same_and_learns_the_same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _given(torch.float32)[0].nan_to_num()
    known = []
    for missing in ("", "llvmlite is missing"):
        monkeypatch.setattr(fused, "_missing", lambda missing=missing: missing)
        norm, given = MaskedNorm(5), data.clone().requires_grad_()
        found = norm(given, LENGTHS)
        known.append((found, *torch.autograd.grad(found.square().sum(), given), norm.mean, norm.variance))
        known[-1] += (norm.eval()(data, LENGTHS),)
    for one, other in zip(*known, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_constant_channel_is_its_bias_and_strides_are_read_as_they_are() -> None:
    data = torch.full((32, 2, 1000), 100.003)
    data[:, 1] += torch.randn(32, 1000)
    found = normalised(data, torch.ones(2), torch.zeros(2), torch.full((32,), 1000), 1e-5)[0]
    assert found[:, 0].max() < 0.01
    weight, bias = torch.tensor(2.0).expand(2), torch.arange(4.0)[::2]
    apart = normalised(data, weight, bias, torch.full((32,), 1000), 1e-5)[0]
    assert torch.equal(apart, normalised(data, weight.clone(), bias.clone(), torch.full((32,), 1000), 1e-5)[0])
    assert fused.normalised(data.double(), weight, bias, torch.full((32,), 1000), 1e-5) is None
