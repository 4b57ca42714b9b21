"""Training sequences changed at random, as they might have come, too: quicker or slower, without some of their numbers.

References:
    Um et al. 2017, Data augmentation of wearable sensor data for Parkinson's disease monitoring,
    doi:10.1145/3136755.3136817 (scaling and warping time); the same numbers dropped at every step of a sequence: Gal &
    Ghahramani 2016, arXiv:1512.05287, §4.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from remanence.data.examples import Batch
from remanence.sequences import Sequences

__all__ = ["stretched", "varied"]


def varied(batch: Batch, stretch: float, input_dropout: float) -> Batch:
    """The batch with its sequences of numbers changed, by torch's global generator.

    Args:
        batch: inputs `[batch, time, feature]`.
        stretch: each sequence is made longer or shorter by up to this share of its steps.
        input_dropout: rate at which a number is left out of all steps of a sequence.
    """
    inputs = batch.inputs
    if stretch:
        factors = 1 + stretch * (2 * torch.rand(inputs.batch) - 1)
        inputs = stretched(inputs, (inputs.lengths * factors).round().long().clamp(min=1))
    if input_dropout:
        kept = torch.rand(inputs.batch, 1, inputs.data.shape[2]) >= input_dropout
        inputs = Sequences(inputs.data * kept / (1 - input_dropout), inputs.lengths)
    return replace(batch, inputs=inputs)


def stretched(inputs: Sequences, lengths: Tensor) -> Sequences:
    """Every sequence in another number of steps, by linear interpolation; first and last step stay where they are.

    Args:
        inputs: `[batch, time, feature]`.
        lengths: steps of each sequence to be, int64 `[batch]`; one without steps stays so.

    Example:
        >>> two = Sequences(torch.tensor([[[0.0], [2.0]]]), torch.tensor([2]))
        >>> stretched(two, torch.tensor([3])).data.flatten().tolist()
        [0.0, 1.0, 2.0]
    """
    if inputs.time == 0:
        return inputs
    lengths = torch.where(inputs.lengths > 0, lengths, 0)
    last = (inputs.lengths - 1).clamp(min=0)[:, None]
    steps = torch.arange(max(1, int(lengths.max())))
    place = torch.minimum(steps * (last / (lengths[:, None] - 1).clamp(min=1)), last)
    before = place.floor().long()
    after = torch.minimum(before + 1, last)
    rows = torch.arange(inputs.batch)[:, None]
    data = torch.lerp(inputs.data[rows, before], inputs.data[rows, after], (place - before).to(inputs.data)[..., None])
    return Sequences(data, lengths)
