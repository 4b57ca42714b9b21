"""Swap torch.nn's recurrent layers inside a model for ours, and back.

A drop-in keeps nothing that torch's layer does not, so only the class of the module changes: the module stays the
same object, and with it its weights (shared or not), hooks, training mode, and what optimisers hold.
"""

from __future__ import annotations

import warnings
from typing import TypeVar

from torch import nn

from remanence.nn.dropin import GRU, LSTM, RNN
from remanence.nn.dropin_cells import GRUCell, LSTMCell, RNNCell

__all__ = ["convert", "restore"]

Model = TypeVar("Model", bound=nn.Module)

_OURS: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


def convert(module: Model, *, back: bool = False) -> Model:
    """Swap every recurrent layer of torch.nn in a module, itself included, for ours; in place.

    A subclass that is neither torch's nor ours may compute something else: it is left as it is, and named in a warning.

    Args:
        module: any model.
        back: the way back, for what asks for torch's very class, such as dynamic quantisation.

    Returns:
        The same module.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 5))
        >>> weight = model[1].weight_ih_l0
        >>> convert(model)[1].weight_ih_l0 is weight, model[1].path
        (True, 'cpu-fused')
        >>> type(convert(model, back=True)[1]) is nn.GRU
        True
    """
    classes = _THEIRS if back else _OURS
    left = []
    for name, part in module.named_modules():
        found = classes.get(type(part))
        if found is not None:
            part.__class__ = found  # type: ignore[assignment]
        elif isinstance(part, tuple(_OURS)) and type(part) not in classes.values():
            left.append(f"{name or 'the module itself'} ({type(part).__name__})")
    if left:
        message = f"left as they are, being of classes of their own: {', '.join(left)}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return module


def restore(module: Model) -> Model:
    """Swap our layers back for torch.nn's: `convert(module, back=True)`."""
    return convert(module, back=True)
