"""Several models of one run that answer together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from remanence.data.examples import Batch
from remanence.prediction.outputs import forward

__all__ = ["Ensemble"]


class Ensemble:
    """Models trained from several seeds, answering by the mean of their outputs; used like a simple model.

    Of a conditional random field these are its scores: of each label sequence the mean, so that the probabilities are
    multiplied (a product of experts).

    Args:
        models: of one task, with the same encoders.
        chunk: steps read at once, as in `prediction.outputs`.

    References:
        Hansen & Salamon 1990, Neural network ensembles, doi:10.1109/34.58871; Hinton 2002, Training products of experts
        by minimizing contrastive divergence, doi:10.1162/089976602760128018, eq. 1.
    """

    def __init__(self, models: Iterable[Any], chunk: int | None = None) -> None:
        self.models, self.chunk = tuple(models), chunk

    def predict(self, batch: Batch) -> Tensor:
        """The mean output for a batch."""
        return torch.stack([forward(model, batch, self.chunk).cpu() for model in self.models]).mean(0)
