"""Elements left out: as often as asked, the mean kept, drawn from torch's generator."""

from __future__ import annotations

import math

import pytest
import torch

from remanence.nn.dropout import Dropout, keep_units


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.93])
def test_units_are_dropped_at_the_rate_and_scaled_by_what_is_left(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    kept = keep_units(rate, (40, 5, 501), torch.empty(0, dtype=dtype))
    assert kept.dtype == dtype and kept.shape == (40, 5, 501)
    values = kept.unique().double()
    torch.testing.assert_close(values, torch.tensor([0.0, 1 / (1 - rate)]).double(), rtol=1e-3, atol=0)
    # Five standard deviations of a share of so many draws.
    spread = 5 * math.sqrt(rate * (1 - rate) / kept.numel())
    assert abs(float((kept == 0).double().mean()) - rate) < spread
    # Neighbours, which share a draw, are no more alike than others.
    gone = (kept == 0).double().flatten()
    for apart in (1, 2, 3, 4):
        both = float((gone[:-apart] * gone[apart:]).mean())
        assert abs(both - rate**2) < 5 * math.sqrt(rate**2 * (1 - rate**2) / kept.numel())


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7,)])
def test_any_number_of_elements(shape: tuple[int, ...]) -> None:
    assert keep_units(0.3, shape, torch.empty(0)).shape == shape


def test_rates_at_the_ends() -> None:
    like = torch.empty(0)
    assert (keep_units(0.0, (1000,), like) == 1).all()
    assert keep_units(1e-9, (1000,), like).unique().tolist() == [1.0]
    assert torch.isfinite(keep_units(1.0, (1000,), like)).all()


def test_layer_drops_in_training_only_and_its_gradient_is_the_mask() -> None:
    layer, data = Dropout(0.4), torch.randn(30, 20, requires_grad=True)
    assert layer.eval()(data) is data
    torch.manual_seed(3)
    first = layer.train()(data)
    torch.manual_seed(3)
    assert torch.equal(first, layer(data)) and not torch.equal(first, layer(data))
    first.sum().backward()
    torch.testing.assert_close(first.detach(), data.detach() * data.grad)
    assert 0 < int((data.grad == 0).sum()) < 600


def test_where_no_kernel_runs_the_mask_is_drawn_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, data = Dropout(0.4), torch.ones(30_000)
    kept: list[float] = []
    for why in ("", "no such processor"):
        monkeypatch.setattr("remanence.nn.fused._no_kernels", lambda name, dtype, why=why: why)
        kept.append(float((layer(data) != 0).double().mean()))
    half = Dropout(0.4)(data.half())
    assert half.dtype == torch.float16
    for share in (*kept, float((half != 0).double().mean())):
        assert abs(share - 0.6) < 5 * math.sqrt(0.24 / 30_000)
