"""What a task chooses where the user chose nothing, and how choices are laid under the settings.

A chosen value stands in the manifest like a given one. What most tasks share stands here once: a task's own choices
say only where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from remanence.settings import ModelSettings, Settings, TrainSettings

__all__ = ["Choices"]

Values = Mapping[str, Any]

_MODEL: Values = MappingProxyType({"cell": "lstm", "hidden": 64, "layers": 1, "bidirectional": False, "dropout": 0.2})
_TRAIN: Values = MappingProxyType({"schedule": "cosine", "clip": 1.0, "average": 0.99, "noise": 0.0, "patience": 20})


@dataclass(frozen=True)
class Choices:
    """Values by the names of settings, for one task and one file.

    Args:
        model: fields of `ModelSettings`, where they differ from the usual: an LSTM of 64 units, one layer.
        train: fields of `TrainSettings`, where they differ from the usual: a cosine schedule, gradients clipped at 1,
            weights averaged.
        budget: `epochs`, `steps` or `minutes`, used only where the user gave none of them.

    Example:
        >>> from remanence.settings import settings_from
        >>> filled = Choices({"hidden": 16}, {"batch_size": 32}, {"epochs": 5}).under(settings_from({"steps": 10}))
        >>> filled.model.cell, filled.model.hidden, filled.train.steps, filled.train.epochs
        ('lstm', 16, 10, None)
    """

    model: Values = field(default_factory=dict)
    train: Values = field(default_factory=dict)
    budget: Values = field(default_factory=dict)

    def under(self, settings: Settings) -> Settings:
        """Lay the choices under the settings: what was given stays, what was open is filled in."""
        given = settings.train
        model, train = {**_MODEL, **self.model}, {**_TRAIN, **self.train}
        if given.truncate is not None:
            # Layers that read from both ends cannot carry their state from chunk to chunk.
            model["bidirectional"] = False
        if given.epochs is None and given.steps is None and given.minutes is None:
            train.update(self.budget)
        # A part that only the user asks for (an embedding of numbers, say) stays as it was given.
        return settings.model_copy(
            update={
                "model": ModelSettings(**(model | _given(settings.model))),
                "train": TrainSettings(**(train | _given(settings.train))),
            }
        )


def _given(part: ModelSettings | TrainSettings) -> dict[str, Any]:
    return {name: value for name, value in part.model_dump().items() if value is not None}
