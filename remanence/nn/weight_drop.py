"""Dropout of the recurrent weights themselves.

References:
    Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language models, arXiv:1708.02182, §2.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from remanence.nn.dropout import drop
from remanence.nn.weights import CellWeights

__all__ = ["drop_recurrent_weights"]


def drop_recurrent_weights(layers: Any, rate: float) -> None:
    """From now on, in training, drop single entries of the matrices that multiply a state, anew at each call.

    Args:
        layers: a `Recurrent`.
        rate: of dropout.
    """
    dropped = {p.name for p in layers.cell.step.parameters if len(p.axes) == 2 and "input" not in p.axes}

    def changed(module: nn.Module, _: object, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if not module.training:
            return weights
        return {name: drop(rate, w) if name in dropped else w for name, w in weights.items()}

    for module in layers.children():
        if isinstance(module, CellWeights):
            module.register_forward_hook(changed)
