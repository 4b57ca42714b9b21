"""Sequences changed at random in training: by hand, and what must stay as it is."""

from __future__ import annotations

import numpy as np
import torch

from remanence.data.examples import Batch
from remanence.nn.augment import stretched, varied
from remanence.sequences import Sequences


def batch(data: torch.Tensor, *lengths: int) -> Batch:
    return Batch(Sequences(data, torch.tensor(lengths)), None, None, torch.arange(len(lengths)))


def test_stretched_is_numpy_interpolation() -> None:
    random = np.random.default_rng(2)
    data, lengths, wanted = random.standard_normal((4, 7, 2)), [7, 3, 1, 0], [11, 2, 4, 5]
    found = stretched(Sequences(torch.from_numpy(data), torch.tensor(lengths)), torch.tensor(wanted))
    assert found.lengths.tolist() == [11, 2, 4, 0], "a sequence without steps stays without"
    for row, (length, new) in enumerate(zip(lengths[:3], wanted[:3], strict=True)):
        places = np.linspace(0, length - 1, new)
        for feature in range(2):
            by_numpy = np.interp(places, np.arange(length), data[row, :length, feature])
            np.testing.assert_allclose(found.data[row, :new, feature].numpy(), by_numpy, atol=1e-6)


def test_padding_has_no_part_in_what_is_stretched() -> None:
    data = torch.full((1, 6, 1), 9.0)
    data[0, :3, 0] = torch.tensor([0.0, 1.0, 2.0])
    found = stretched(Sequences(data, torch.tensor([3])), torch.tensor([5]))
    assert found.data[0, :5, 0].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_lengths_vary_by_the_share_that_was_asked_for() -> None:
    torch.manual_seed(0)
    made = varied(batch(torch.zeros(500, 100, 1), *[100] * 500), 0.2, 0.0)
    lengths = made.inputs.lengths
    assert 80 <= lengths.min() <= 84 and 116 <= lengths.max() <= 120
    assert abs(float(lengths.double().mean()) - 100) < 2


def test_a_number_is_dropped_at_every_step_or_at_none() -> None:
    torch.manual_seed(0)
    data = varied(batch(torch.ones(200, 5, 4), *[5] * 200), 0.0, 0.25).inputs.data
    assert ((data == 0).all(1) | (data == 4 / 3).all(1)).all()
    assert abs(float((data == 0).double().mean()) - 0.25) < 0.05
