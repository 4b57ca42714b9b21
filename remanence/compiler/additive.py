"""Additive scores of every query and every step of a source, by kernels that never hold the comparisons in memory.

    e_ts = Σ_k v_k tanh(q_tk + m_sk)   Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, §A.1.2

Written out, the comparisons are [batch, query, source, size]: for summaries a hundred megabytes, passed over a dozen
times. Here each is a register; backward computes it again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from remanence.compiler import threads
from remanence.compiler.by_hand import ByHand
from remanence.compiler.machine import MACHINE
from remanence.errors import ShapeError

__all__ = ["KERNELS", "additive_scores"]

KERNELS = ByHand("additive attention", "additive scores, e_ts = Σ_k v_k tanh(q_tk + m_sk)", "additive_loops")


def _run(name: str, lengths: np.ndarray, arrays: list[Tensor], parts: int) -> None:
    """Run a kernel; its first two arrays are queries and keys."""
    (batch, count, size), source = arrays[0].shape, arrays[1].shape[1]
    KERNELS.run(name, [batch, count, source, size], lengths, arrays, parts)


class _Additive(torch.autograd.Function):
    """queries, keys, weight, lengths → scores; of sizes that registers divide."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, weight: Tensor, lengths: np.ndarray) -> Tensor:
        scores = queries.new_zeros(*queries.shape[:2], keys.shape[1])
        _run("forward", lengths, [queries, keys, weight, scores], threads.parts_of(len(queries)))
        ctx.save_for_backward(queries, keys, weight)
        ctx.lengths = lengths
        return scores

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        queries, keys, weight = ctx.saved_tensors
        parts = threads.parts_of(len(queries))
        # Each thread sums the gradient of the weight over its own rows.
        found = [torch.empty_like(queries), torch.zeros_like(keys), weight.new_zeros(parts, len(weight))]
        _run("backward", ctx.lengths, [queries, keys, weight, gradient.contiguous(), *found], parts)
        return found[0], found[1], found[2].sum(0), None


def additive_scores(queries: Tensor, keys: Tensor, weight: Tensor, lengths: Tensor) -> Tensor:
    """Score every step of a source for every query.

    Args:
        queries: q, `[batch, query, size]`, on the CPU, float32 or float64 as all.
        keys: m, `[batch, source, size]`.
        weight: v, `[size]`.
        lengths: steps that each source has, int64 `[batch]`, each in 0 … source.

    Returns:
        Scores `[batch, query, source]`, zero behind a source's end; they have first derivatives only.

    Raises:
        ShapeError: sizes that do not fit, or lengths beyond the source.

    Example:
        >>> queries, keys, weight = torch.ones(1, 1, 2), torch.zeros(1, 2, 2), torch.tensor([1.0, 2.0])
        >>> additive_scores(queries, keys, weight, torch.tensor([1])).round(decimals=4)
        tensor([[[2.2848, 0.0000]]])
    """
    _check(queries, keys, weight, lengths)
    width = MACHINE.width(queries.dtype.itemsize)
    missing = -len(weight) % width
    if missing:
        # A weight of zero: what is compared there counts for nothing.
        queries, keys, weight = (functional.pad(tensor, (0, missing)) for tensor in (queries, keys, weight))
    return _Additive.apply(queries.contiguous(), keys.contiguous(), weight.contiguous(), lengths.numpy())  # type: ignore[no-any-return]


def _check(queries: Tensor, keys: Tensor, weight: Tensor, lengths: Tensor) -> None:
    batch, source, size = keys.shape
    for axis, expected, came in (
        ("batch", batch, len(queries)),
        ("batch", batch, len(lengths)),
        ("size", size, queries.shape[2]),
        ("size", size, len(weight)),
        ("dtype", keys.dtype, queries.dtype),
        ("dtype", keys.dtype, weight.dtype),
    ):
        if came != expected:
            raise ShapeError("additive scores", axis=axis, expected=expected, came=came)
    if batch and not 0 <= int(lengths.min()) <= int(lengths.max()) <= source:
        came = f"{int(lengths.min())} … {int(lengths.max())}"
        raise ShapeError("additive scores", axis="source", expected=f"lengths in 0 … {source}", came=came)
