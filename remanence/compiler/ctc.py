"""The probability of a text by connectionist temporal classification, and its gradient, by kernels that read logits.

PyTorch normalises the logits first, in a pass and a tensor of its own, forward and backward.

References:
    Graves, Fernández, Gomez & Schmidhuber 2006, Connectionist temporal classification, doi:10.1145/1143844.1143891,
    equations 6 to 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from remanence.compiler import threads
from remanence.compiler.by_hand import ByHand
from remanence.compiler.machine import MACHINE
from remanence.errors import ShapeError

__all__ = ["HEAD", "KERNELS", "ROOM", "log_probability"]

KERNELS = ByHand("ctc", "log Σ_path Π_t p_t(path_t) over all paths whose text is the given one", "ctc_loops")
HEAD = ("parts", "batch", "time", "classes", "row", "states", "most", "batch_stride", "step_stride")
"""The kernels' first integers: sizes (`row`: classes in whole registers; `states`: twice the longest text and one, in
whole registers, and one register; `most`: symbols of that text), then strides of logits. Behind them stand the steps of
each sequence, the length of each text, and the texts."""
ROOM = 4
"""Rows of states that each thread has for itself, beside a row of classes."""


def _call(name: str, logits: Tensor, whole: tuple[list[int], np.ndarray], others: list[Tensor]) -> None:
    sizes, texts = whole
    batch, time, classes = logits.shape
    row, states, _ = sizes
    parts = threads.parts_of(batch)
    room = logits.new_empty(parts * (row + ROOM * states))
    numbers = [batch, time, classes, *sizes, *logits.stride()[:2]]
    KERNELS.run(name, numbers, texts, [logits, room, *others], parts)


class _Likely(torch.autograd.Function):
    """logits, texts → log-probability of each text."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, texts: Tensor, steps: Tensor, counts: Tensor) -> Tensor:
        logits = logits if logits.stride(2) == 1 else logits.contiguous()
        width, most = MACHINE.width(logits.element_size()), int(counts.max())
        row, states = (-(-size // width) * width for size in (logits.shape[2], 2 * most + 1))
        known = np.concatenate([steps.numpy(), counts.numpy(), texts[:, :most].numpy().ravel()])
        ctx.whole = [row, states + width, most], known
        total = logits.new_empty(len(logits))
        begun, norms = logits.new_empty(*logits.shape[:2], states + width), logits.new_empty(logits.shape[:2])
        _call("forward", logits, ctx.whole, [total, begun, norms])
        ctx.save_for_backward(logits, total, begun, norms)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        logits, *known = ctx.saved_tensors
        found = torch.empty(logits.shape, dtype=logits.dtype)
        # The kernel finds the gradient of −log p.
        _call("backward", logits, ctx.whole, [*known, -gradient, found])
        return found, None, None, None


def log_probability(logits: Tensor, texts: Tensor, steps: Tensor, counts: Tensor) -> Tensor:
    """Log-probability of each text `[batch]`; −∞ where there are too few steps for it. It has a first
    derivative alone, which is 0 there.

    Args:
        logits: `[batch, time, symbol]`, the blank first; on the CPU, float32 or float64.
        texts: numbers of symbols, none of them 0 within its length, int64 `[batch, symbol]`.
        steps, counts: of each sequence those that count, and the length of its text, int64 `[batch]`.

    Raises:
        ShapeError: more steps than there are, or a symbol that has no logit.

    Example:
        >>> ways = log_probability(torch.zeros(1, 2, 2), torch.tensor([[1]]), torch.tensor([2]), torch.tensor([1]))
        >>> round(float(ways.exp()), 3)
        0.75
    """
    time, size = logits.shape[1:]
    for name, numbers, most in (("steps", steps, time), ("counts", counts, texts.shape[1]), ("texts", texts, size - 1)):
        came = [int(bound) for bound in numbers.aminmax()] if numbers.numel() else [0, 0]
        if came[0] < 0 or came[1] > most:
            raise ShapeError(f"ctc {name}", axis="values", expected=f"0 … {most}", came=f"{came[0]} … {came[1]}")
    return _Likely.apply(logits, texts, steps, counts)  # type: ignore[no-any-return]
