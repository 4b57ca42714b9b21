"""Convolutions over time: padding that a next chunk can carry on, and a branch beside the recurrent layers.

References:
    Karim, Majumdar, Darabi & Chen 2018, LSTM fully convolutional networks, doi:10.1109/ACCESS.2017.2779939, figure 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from remanence.nn import fused
from remanence.nn.pool import State
from remanence.nn.twin import transformed
from remanence.sequences import Sequences

__all__ = ["Branch", "MaskedNorm", "neighbours", "surround"]

_FLOOR = 1e-5
"""What is added to a variance, so that no channel is divided by nothing."""


def surround(inputs: Sequences, width: int, causal: bool, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Pad so that a convolution of that width keeps the number of steps.

    Args:
        inputs: `[batch, time, feature]`, zeros beyond the lengths.
        width: steps that the convolution sees.
        causal: all of the padding goes before; otherwise half of it.
        past: the last `width - 1` steps of the chunk before `[batch, width - 1, feature]`, or None at the beginning.

    Returns:
        The padded steps, and the `past` of the next chunk (None unless causal).
    """
    reach, data = width - 1, inputs.data
    if not causal:
        return nn.functional.pad(data, (0, 0, reach // 2, reach - reach // 2)), None
    before = data.new_zeros(inputs.batch, reach, data.shape[2]) if past is None else past
    padded = torch.cat([before, data], dim=1)
    # The last `reach` valid steps of each row begin at its own length, `before` being `reach` long.
    at = inputs.lengths.to(data.device)[:, None] + torch.arange(reach, device=data.device)
    return padded, torch.gather(padded, 1, at[..., None].expand(-1, -1, data.shape[2]))


class _Neighbours(torch.autograd.Function):
    """rows, weights, bias → a convolution over rows, as one product of all rows for each place in its window."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        count = len(rows) - weight.shape[2] + 1
        found = torch.addmm(bias, rows[:count], weight[:, :, 0].T)
        for place in range(1, weight.shape[2]):
            found.addmm_(rows[place : place + count], weight[:, :, place].T)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        rows, weight = ctx.saved_tensors
        count, width = len(gradient), weight.shape[2]
        of_weight = torch.stack([gradient.T @ rows[place : place + count] for place in range(width)], dim=2)
        if torch.is_grad_enabled():
            pads = [(0, 0, place, width - 1 - place) for place in range(width)]
            parts = [nn.functional.pad(gradient @ weight[:, :, at], pad) for at, pad in enumerate(pads)]
            return torch.stack(parts).sum(0), of_weight, gradient.sum(0)
        of_rows = torch.zeros_like(rows)
        for place in range(width):
            of_rows[place : place + count].addmm_(gradient, weight[:, :, place])
        return of_rows, of_weight, gradient.sum(0)


def neighbours(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution over rows that lie one behind the other: nothing is turned or copied, neither rows nor results.

    Args:
        rows: `[row, feature]`.
        weight: `[channel, feature, width]`, as of `torch.nn.Conv1d`.
        bias: `[channel]`.

    Returns:
        `[row − width + 1, channel]`; differentiable to any order.

    Example:
        >>> rows = torch.tensor([[0.0], [1.0], [3.0]])
        >>> neighbours(rows, torch.ones(1, 1, 2), torch.zeros(1)).flatten().tolist()
        [1.0, 4.0]
    """
    if torch.is_autocast_enabled(rows.device.type) or transformed() or torch.compiler.is_compiling():
        return nn.functional.conv1d(rows.T[None], weight, bias)[0].T
    return _Neighbours.apply(rows, weight, bias)  # type: ignore[no-any-return]


class MaskedNorm(nn.Module):
    """Batch normalisation whose moments in training are those of the valid steps alone, and ReLU; in training it has a
    first derivative alone.

    References:
        Ioffe & Szegedy 2015, Batch normalization, arXiv:1502.03167, algorithms 1 and 2.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, data: Tensor, lengths: Tensor) -> Tensor:
        """Normalise `[batch, channel, time]` where steps are valid; zeros elsewhere."""
        count = int(lengths.sum())
        if not self.training or count < 2:
            return self._by(data, self.mean, self.variance, lengths)
        found = fused.normalised(data, self.weight, self.bias, lengths, _FLOOR)
        if found is None:
            share = _valid(data, lengths) / count
            mean = (data * share).sum((0, 2))
            variance = ((data - mean[:, None]) ** 2 * share).sum((0, 2))
            found = self._by(data, mean, variance, lengths), mean, variance
        shown, mean, variance = found
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance * (count / (count - 1)), self.momentum)
        return shown

    def _by(self, data: Tensor, mean: Tensor, variance: Tensor, lengths: Tensor) -> Tensor:
        scale = torch.rsqrt(variance + _FLOOR) * self.weight
        scaled = data * scale[:, None] + (self.bias - mean * scale)[:, None]
        return torch.where(_valid(data, lengths), torch.relu(scaled), 0.0)


def _valid(data: Tensor, lengths: Tensor) -> Tensor:
    """Which steps of `[batch, channel, time]` are: bool `[batch, 1, time]`."""
    return (torch.arange(data.shape[2], device=data.device) < lengths.to(data.device)[:, None])[:, None]


class Branch(nn.Module):
    """Three convolutions beside the recurrent layers, averaged over time: one vector a sequence.

    Args:
        features: numbers of one step.
        channels: of the first and the last convolution; the middle one has twice as many.
        causal: see `surround`; only then may a sequence come in chunks.
    """

    widths = (7, 5, 3)

    def __init__(self, features: int, channels: int, *, causal: bool) -> None:
        super().__init__()
        self.causal, self.output_size = causal, channels
        sizes = (features, channels, 2 * channels, channels)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(sizes[at], sizes[at + 1], width) for at, width in enumerate(self.widths)
        )
        self.norms = nn.ModuleList(MaskedNorm(size) for size in sizes[1:])

    def forward(self, inputs: Sequences, state: State) -> tuple[Tensor, State]:
        """Read `[batch, time, features]`: the mean over all steps so far `[batch, channels]`, and the state."""
        carried: State = {}
        if inputs.time == 0:
            inputs = Sequences(inputs.data.new_zeros(inputs.batch, 1, inputs.data.shape[2]), inputs.lengths)
        # A channel's steps lie side by side, as convolutions want them.
        data = torch.where(inputs.mask()[..., None], inputs.data, 0.0).transpose(1, 2).contiguous()
        for at, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            assert isinstance(convolution, nn.Conv1d)
            reach = 0 if self.causal else self.widths[at] // 2
            if self.causal:
                past = state[f"branch.past{at}"].transpose(0, 1) if state else None
                padded, past = surround(Sequences(data.transpose(1, 2), inputs.lengths), self.widths[at], True, past)
                assert past is not None
                carried[f"branch.past{at}"] = past.transpose(0, 1)
                data = padded.transpose(1, 2)
            read = nn.functional.conv1d(data, convolution.weight, convolution.bias, padding=reach)
            data = norm(read, inputs.lengths)
        total, count = data.sum(2), inputs.lengths.to(data)[:, None]
        if state:
            total, count = total + state["branch.sum"][0], count + state["branch.count"][0]
        return total / count.clamp(min=1), carried | {"branch.sum": total[None], "branch.count": count[None]}
