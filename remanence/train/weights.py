"""AdamW for all weights but those of large tables; the small ones lie side by side in one tensor.

A recurrent layer has a dozen small matrices and biases. Calling the operations of clipping, updating and averaging for
each of them takes longer than their numbers do; for all of them at once it takes as long as for one.

References:
    Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; decay apart: Loshchilov & Hutter 2019, arXiv:1711.05101,
    algorithm 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["BETAS", "EPSILON", "Weights"]

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of AdamW, for tables as for other weights."""
SMALL = 2**16
"""A weight of fewer numbers shares a tensor: to move the gradient of a larger one costs more than a call."""
ALIGNED = 16
"""Numbers to whose multiple a weight begins in a shared tensor: 64 bytes of float32."""
_STATE = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW of PyTorch keeps of a tensor."""


class Weights:
    """Weights with their gradients, their optimiser and, where asked for, their moving means.

    Args:
        trained: by name, of one dtype on one device. Small ones become parts of another tensor, with their values, and
            so do their gradients, which backward passes add to: `forget` alone may drop these.
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
        groups = []
        self.blocks: list[_Block] = []
        for matrices in (True, False):
            kind = {name: weight for name, weight in trained.items() if (weight.ndim > 1) == matrices}
            small = {name: weight for name, weight in kind.items() if weight.numel() < SMALL}
            blocks = [_Block({name: weight}) for name, weight in kind.items() if name not in small]
            blocks += [_Block(small)] if small else []
            if blocks:
                groups.append({"params": [b.whole for b in blocks], "weight_decay": decay if matrices else 0.0})
            self.blocks += blocks
        self.optimiser = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)
        self.whole_means = [block.whole.detach().clone() for block in self.blocks if averaged]
        self.means = {
            name: block.part(mean, name)
            for block, mean in zip(self.blocks, self.whole_means, strict=False)
            for name in block.places
        }

    def gradients(self) -> list[Tensor]:
        """Gradients of all backward passes since `forget`, to be clipped in place."""
        return [block.whole.grad for block in self.blocks if block.whole.grad is not None]

    def learn(self, rate: float, kept: float = 0.0) -> None:
        """Update with the gradients; of a weight that no backward pass came to it is 0.

        Args:
            rate: learning rate η.
            kept: share d of the moving means that stays.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        for block in self.blocks:
            if block.whole.grad is None:
                block.whole.grad = torch.zeros_like(block.whole)
        self.optimiser.step()
        if self.whole_means:
            weights = [block.whole.detach() for block in self.blocks]
            torch._foreach_lerp_(self.whole_means, weights, 1 - kept)  # pyright: ignore[reportPrivateImportUsage]

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
        return {
            f"{name}.{key}": block.part(value, name) if value.ndim else value
            for block in self.blocks
            for key, value in self.optimiser.state.get(block.whole, {}).items()
            for name in block.places
        }

    def load(self, held: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        for block in self.blocks:
            state: dict[str, Tensor] = {}
            for name in block.places:
                for key in [key for key in _STATE if f"{name}.{key}" in held]:
                    value = held[f"{name}.{key}"].to(block.whole.device)
                    if value.ndim:
                        state.setdefault(key, torch.zeros_like(block.whole))
                        block.part(state[key], name).copy_(value)
                    else:
                        state[key] = value
            if state:
                self.optimiser.state[block.whole] = state


class _Block:
    """A weight, or several that lie side by side in one tensor."""

    def __init__(self, weights: Mapping[str, nn.Parameter]) -> None:
        self.weights, self.shared = weights, len(weights) > 1
        self.places: dict[str, tuple[int, torch.Size]] = {}
        end = 0
        for name, weight in weights.items():
            self.places[name] = (end, weight.shape)
            end += -(-weight.numel() // ALIGNED) * ALIGNED
        first = next(iter(weights.values()))
        self.whole = nn.Parameter(first.detach().new_zeros(end)) if self.shared else first
        if self.shared:
            self.whole.grad = torch.zeros_like(self.whole)
            for name, weight in weights.items():
                place = self.part(self.whole.detach(), name)
                place.copy_(weight.detach())
                weight.data, weight.grad = place, self.part(self.whole.grad, name)

    def part(self, whole: Tensor, name: str) -> Tensor:
        """The part of a tensor laid out like `whole` that is a weight's."""
        at, shape = self.places[name]
        return whole.view(-1)[at : at + shape.numel()].view(shape)

    def forget(self) -> None:
        if not self.shared:
            self.whole.grad = None
        elif self.whole.grad is not None:
            self.whole.grad.zero_()

    def release(self) -> None:
        for weight in self.weights.values():
            weight.grad = None
            if self.shared:
                weight.data = weight.detach().clone()
