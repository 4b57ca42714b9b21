"""AdamW for all weights but those of large tables; the small ones lie side by side in one tensor.

A recurrent layer has a dozen small matrices and biases. Calling the operations of clipping, updating and averaging for
each of them takes longer than their numbers do; for all of them at once it takes as long as for one.

References:
    Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; decay apart: Loshchilov & Hutter 2019, arXiv:1711.05101,
    algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from remanence.nn import fused

if TYPE_CHECKING:
    from remanence.compiler.adam import Moments

__all__ = ["EPSILON", "FIRST", "SECOND", "Weights", "factors_of"]

FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8
"""β₁, β₂ and ε of AdamW, for tables as for other weights."""
SMALL = 2**16
"""A weight of fewer numbers shares a tensor: to move the gradient of a larger one costs more than a call."""
ALIGNED = 16
"""Numbers to whose multiple a weight begins in a shared tensor: 64 bytes of float32."""
_SHARES = 64
"""Parts, at most, that threads share a tensor out in."""


def factors_of(update: int, rate: float, decay: float, kept: float, scale: float) -> list[float]:
    """What `compiler.adam.Moments.learn` multiplies by.

    Args:
        update: its number s, from 1.
        rate: learning rate η.
        decay: weight decay λ.
        kept: share d of the moving mean that stays.
        scale: of the gradient.
    """
    root = math.sqrt(1 - SECOND**update)
    moments = [FIRST, (1 - FIRST) * scale, SECOND, (1 - SECOND) * scale**2]
    return [1 - rate * decay, rate / (1 - FIRST**update), 1 / root, EPSILON, *moments, kept, 1 - kept]


class Weights:
    """Weights with their gradients, their optimiser and, where asked for, their moving means.

    Args:
        trained: by name, of one dtype on one device. Small ones become parts of another tensor, with their values.
        decay: weight decay λ, of matrices alone.
        averaged: keep moving means.

    Attributes:
        means: name → the moving mean of a weight, changed in place; empty for none.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> weights = Weights(dict(layer.named_parameters()), 0.0, averaged=False)
        >>> layer(torch.ones(1, 2)).sum().backward()
        >>> before = layer.bias.tolist()
        >>> weights.learn(0.1)
        >>> [round(was - now, 4) for was, now in zip(before, layer.bias.tolist(), strict=True)]
        [0.1, 0.1, 0.1]
    """

    def __init__(self, trained: Mapping[str, nn.Parameter], decay: float, *, averaged: bool) -> None:
        self.updates = 0
        self.blocks: list[_Block] = []
        for matrices in (True, False):
            kind = {name: weight for name, weight in trained.items() if (weight.ndim > 1) == matrices}
            small = {name: weight for name, weight in kind.items() if weight.numel() < SMALL}
            together = [{name: weight} for name, weight in kind.items() if name not in small]
            together += [small] if small else []
            self.blocks += [_Block(each, decay if matrices else 0.0, averaged=averaged) for each in together]
        self.means = {
            name: block.part(block.mean, name)
            for block in self.blocks
            if block.mean is not None
            for name in block.places
        }

    def gradients(self) -> list[Tensor]:
        """Gradients of all backward passes since `forget`: what `learn` will take, so read them behind the last one."""
        return [block.gathered() for block in self.blocks]

    def learn(self, rate: float, kept: float = 0.0, scale: float = 1.0) -> None:
        """Update with the gradients, and drop them; of a weight that no backward pass came to it is 0.

        Args:
            rate: learning rate η.
            kept: share d of the moving means that stays.
            scale: of the gradients.
        """
        self.updates += 1
        for block in self.blocks:
            block.learn(factors_of(self.updates, rate, block.decay, kept, scale))
            block.forget()

    def forget(self) -> None:
        """Drop the gradients."""
        for block in self.blocks:
            block.forget()

    def release(self) -> None:
        """Leave the weights as any others: each a tensor of its own, without a gradient."""
        for block in self.blocks:
            block.release()

    def tensors(self) -> dict[str, Tensor]:
        """All that must be held, beside weights and means, to go on as if nothing had happened."""
        held = {
            f"{name}.{moment}": block.part(value, name)
            for block in self.blocks
            for moment, value in block.moments.items()
            for name in block.places
        }
        return held | {"updates": torch.tensor(self.updates)}

    def load(self, held: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        self.updates = int(held["updates"])
        for block in self.blocks:
            for moment, value in block.moments.items():
                for name in block.places:
                    block.part(value, name).copy_(held[f"{name}.{moment}"])


class _Block:
    """A weight, or several that lie side by side in one tensor; with what AdamW remembers of it."""

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float, *, averaged: bool) -> None:
        self.weights, self.decay, self.shared = weights, decay, len(weights) > 1
        self.places: dict[str, tuple[int, torch.Size]] = {}
        end = 0
        for name, weight in weights.items():
            self.places[name] = (end, weight.shape)
            end += -(-weight.numel() // ALIGNED) * ALIGNED
        first = next(iter(weights.values()))
        self.whole = first.detach().new_zeros(end) if self.shared else first.detach()
        self.gradient: Tensor | None = None
        if self.shared:
            self.room = torch.zeros_like(self.whole)
            self.rooms = [self.part(self.room, name) for name in weights]
            for name, weight in weights.items():
                place = self.part(self.whole, name)
                place.copy_(weight.detach())
                weight.data = place
        self.moments = {"first": torch.zeros_like(self.whole), "second": torch.zeros_like(self.whole)}
        self.mean = self.whole.clone() if averaged else None
        self.rows = np.arange(math.gcd(self.whole.numel(), _SHARES))
        self.kernel = self._kernel() if fused.learns_rows(self.whole) else None

    def _kernel(self) -> Moments:
        """What updates it by a kernel: for this it is a table, whose rows threads share out."""
        from remanence.compiler.adam import Moments

        shape = len(self.rows), self.whole.numel() // len(self.rows)
        weight, first, second = (each.view(shape) for each in (self.whole, *self.moments.values()))
        return Moments(weight, first, second, None if self.mean is None else self.mean.view(shape))

    def part(self, whole: Tensor, name: str) -> Tensor:
        """The part of a tensor laid out like `whole` that is a weight's."""
        at, shape = self.places[name]
        return whole.view(-1)[at : at + shape.numel()].view(shape)

    def gathered(self) -> Tensor:
        """The gradient, laid out like the whole."""
        if self.gradient is None:
            given = [weight.grad for weight in self.weights.values()]
            if self.shared:
                come = [place for place, gradient in enumerate(given) if gradient is not None]
                if len(come) < len(given):
                    self.room.zero_()
                rooms, found = [self.rooms[place] for place in come], [given[place] for place in come]
                if come:
                    torch._foreach_copy_(rooms, found)  # pyright: ignore
                self.gradient = self.room
            else:
                self.gradient = torch.zeros_like(self.whole) if given[0] is None else given[0].contiguous()
        return self.gradient

    def learn(self, factors: list[float]) -> None:
        """One update; factors as `compiler.adam.Moments.learn` takes them."""
        weight, gradient, first, second = self.whole, self.gathered(), self.moments["first"], self.moments["second"]
        if self.kernel is not None:
            self.kernel.learn(self.rows, gradient, torch.tensor(factors, dtype=weight.dtype))
            return
        kept, rate, widened, floor, one_kept, one_new, two_kept, two_new, _, new_mean = factors
        first.mul_(one_kept).add_(gradient, alpha=one_new)
        second.mul_(two_kept).addcmul_(gradient, gradient, value=two_new)
        weight.mul_(kept).addcdiv_(first, second.sqrt().mul_(widened).add_(floor), value=-rate)
        if self.mean is not None:
            self.mean.lerp_(weight, new_mean)

    def forget(self) -> None:
        self.gradient = None
        for weight in self.weights.values():
            weight.grad = None

    def release(self) -> None:
        for weight in self.weights.values():
            weight.grad = None
            if self.shared:
                weight.data = weight.detach().clone()
