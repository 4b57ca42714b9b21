"""What an encoder of numbers reads beside them, over chunks as over whole sequences."""

from __future__ import annotations

import pytest
import torch

from remanence.nn.encoders import NumberEncoder
from remanence.sequences import Sequences


def test_displacement_is_from_the_first_step_of_each_sequence() -> None:
    encoder = NumberEncoder(2, displacement=True).eval()
    data = torch.tensor([[[5.0, 1.0], [7.0, 1.0], [4.0, 9.0]], [[2.0, 0.0], [1.0, 3.0], [8.0, 8.0]]])
    found = encoder(Sequences(data, torch.tensor([3, 2])), {})[0].data
    assert found[0].tolist() == [[5, 1, 0, 0], [7, 1, 2, 0], [4, 9, -1, 8]]
    assert found[1].tolist() == [[2, 0, 0, 0], [1, 3, -1, 3], [0, 0, 0, 0]], "nothing stands in the padding"
    both = NumberEncoder(2, differences=True, displacement=True).eval()
    assert both.output_size == 6
    assert both(Sequences(data, torch.tensor([3, 2])), {})[0].data[0, 2].tolist() == [4, 9, -9, 24, -1, 8]


@pytest.mark.parametrize("differences", [False, True])
def test_displacement_is_carried_from_chunk_to_chunk(differences: bool) -> None:
    encoder = NumberEncoder(2, differences=differences, displacement=True, convolution=3, width=3).eval()
    inputs = Sequences(torch.randn(3, 5, 2), torch.tensor([5, 2, 0]))
    whole = encoder(inputs, {})[0].data
    for size in (1, 2, 3):
        parts, state = [], {}
        for start in range(0, 5, size):
            encoded, state = encoder(inputs.chunk(start, start + size), state)
            parts.append(encoded.data)
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-6)


def test_a_sequence_that_begins_in_a_later_chunk_is_told_from_its_own_first_step() -> None:
    encoder = NumberEncoder(1, displacement=True).eval()
    _, state = encoder(Sequences(torch.tensor([[[7.0]], [[7.0]]]), torch.tensor([1, 0])), {})
    later = encoder(Sequences(torch.tensor([[[9.0]], [[9.0]]]), torch.tensor([1, 1])), state)[0]
    assert later.data[:, 0].tolist() == [[9, 2], [9, 0]]
