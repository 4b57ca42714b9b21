"""Elements left out in training, drawn at a fraction of what `torch.nn.Dropout` spends on random numbers on the CPU.

There each element costs a draw of its own, at times a tenth of a whole training step; here a kernel draws and
multiplies in one pass (`compiler.dropping`), and where none can run, one draw of 64 bits serves four elements.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from remanence.nn import fused

__all__ = ["Dropout", "below", "draws", "drop", "keep_units"]

_CHANCES = 1 << 16


class Dropout(nn.Module):
    """Elements set to zero in training at a rate, the others scaled up by what is left; nothing in evaluation.

    Args:
        rate: 0 … 1; on the CPU to the nearest of 65,536 shares.

    References:
        Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting, JMLR 15.

    Example:
        >>> layer = Dropout(0.5)
        >>> sorted(set(layer(torch.ones(100)).tolist())), bool((layer.eval()(torch.ones(100)) == 1).all())
        ([0.0, 2.0], True)
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, data: Tensor) -> Tensor:
        """Data of any shape, of floats."""
        if not self.training or self.rate == 0:
            return data
        return drop(self.rate, data)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def drop(rate: float, data: Tensor) -> Tensor:
    """Data, each element of which is zero with probability `rate`, else scaled so that its mean is kept."""
    found = fused.dropped(data, rate)
    return data * keep_units(rate, data.shape, data) if found is None else found


def keep_units(rate: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zero with probability `rate`, else what keeps the mean at 1; of the dtype and device of `like`."""
    if like.device.type != "cpu":
        return torch.empty(shape, dtype=like.dtype, device=like.device).bernoulli_(1 - rate).div_(1 - rate)
    dropped = min(round(rate * _CHANCES), _CHANCES - 1)
    return (draws(shape, like) >= dropped - _CHANCES // 2).to(like.dtype).mul_(_CHANCES / (_CHANCES - dropped))


def draws(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Random numbers that `below` compares, on the device of `like`."""
    if like.device.type != "cpu":
        return torch.rand(shape, device=like.device)
    whole = torch.randint(-(2**63), 2**63 - 1, (-(-math.prod(shape) // 4),), dtype=torch.int64)
    return whole.view(torch.int16)[: math.prod(shape)].view(shape)


def below(chance: float, drawn: Tensor) -> Tensor:
    """Which of `draws` fall to this chance, bool; of a larger chance these too. On the CPU to the nearest of 65,536."""
    if drawn.dtype != torch.int16:
        return drawn < chance
    # One more than the largest number is none that could be compared.
    level = round(chance * _CHANCES) - _CHANCES // 2
    return drawn < level if level < _CHANCES // 2 else torch.ones_like(drawn, dtype=torch.bool)
