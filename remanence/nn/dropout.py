"""Dropout that is alike at every step of a sequence, of vectors and of recurrent weights.

References:
    Gal & Ghahramani 2016, A theoretically grounded application of dropout in recurrent neural networks,
    arXiv:1512.05287, §4 (one mask a sequence; a word type is dropped wherever it stands).
    Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language models, arXiv:1708.02182, §2 (weights).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from remanence.nn.weights import CellWeights

__all__ = ["drop_recurrent_weights", "locked_dropout"]


def locked_dropout(data: Tensor, rate: float, *, training: bool) -> Tensor:
    """Drop features of `[batch, time, feature]`, the same ones at every step of a sequence.

    Example:
        >>> import torch
        >>> dropped = locked_dropout(torch.ones(2, 5, 8), 0.5, training=True)
        >>> bool((dropped == dropped[:, :1]).all())
        True
    """
    if not training or rate <= 0:
        return data
    return data * functional.dropout(data.new_ones(len(data), 1, data.shape[2]), rate)


def drop_recurrent_weights(layers: Any, rate: float) -> None:
    """From now on, in training, drop single entries of the matrices that multiply a state, anew at each call.

    Args:
        layers: a `Recurrent`.
        rate: of dropout.
    """
    dropped = {p.name for p in layers.cell.step.parameters if len(p.axes) == 2 and "input" not in p.axes}

    def drop(module: nn.Module, _: object, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if not module.training:
            return weights
        return {name: functional.dropout(w, rate) if name in dropped else w for name, w in weights.items()}

    for module in layers.children():
        if isinstance(module, CellWeights):
            module.register_forward_hook(drop)
