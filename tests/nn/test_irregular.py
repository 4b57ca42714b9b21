"""What GRU-D is given, against the paper's recurrence step by step."""

from __future__ import annotations

import pytest
import torch

from remanence.errors import ShapeError
from remanence.nn.irregular import observed
from remanence.nn.recurrent import Recurrent


@pytest.mark.parametrize(("batch", "time", "features"), [(1, 1, 1), (3, 9, 2), (2, 0, 3), (0, 4, 3)])
def test_observed_follows_the_recurrence_of_the_paper(batch: int, time: int, features: int):
    torch.manual_seed(0)
    values = torch.randn(batch, time, features)
    values[torch.rand_like(values) < 0.6] = torch.nan
    times = torch.rand(batch, time).cumsum(1)
    clean, given = observed(values, times)
    assert not clean.isnan().any()
    for b in range(batch):
        for d in range(features):
            delta, last = 0.0, 0.0
            for t in range(time):
                if t:
                    gap = float(times[b, t] - times[b, t - 1])
                    delta = gap if given["m"][b, t - 1, d] else gap + delta
                    last = float(clean[b, t - 1, d]) if given["m"][b, t - 1, d] else last
                assert given["delta"][b, t, d].item() == pytest.approx(delta, abs=1e-5)
                assert given["last"][b, t, d].item() == pytest.approx(last)
                assert bool(given["m"][b, t, d]) == (not values[b, t, d].isnan())


def test_gru_d_reads_gaps_that_no_other_cell_could():
    values = torch.randn(2, 6, 3)
    values[:, 2:5, 1] = torch.nan
    clean, given = observed(values)
    assert given["delta"][0, :, 1].tolist() == [0, 1, 1, 2, 3, 4]
    layer = Recurrent("gru-d", 3, 5)
    gradients = torch.autograd.grad(layer(clean, given=given).output.sum(), list(layer.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_observed_refuses_wrong_axes():
    with pytest.raises(ShapeError, match="number of axes"):
        observed(torch.zeros(3, 4))
    with pytest.raises(ShapeError, match="axis 'time' should be 4, came 5"):
        observed(torch.zeros(3, 4, 2), torch.zeros(3, 5))
