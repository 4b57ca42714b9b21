"""What is chosen where the user chose nothing: by task, by kind of data and by their size, never by name.

A chosen value stands in the manifest like a given one. Why each is what it is:

    forecast            windows relative to themselves, wherever that predicts the training part better than its mean
                        does: a level that drifts on after training is the most common way a forecast goes wrong
    texts               vectors learnt from scratch overfit first: tokens dropped whole, averaged weights, few epochs
    numbers, few        a hundred sequences carry a small net, strong decay, smoothing, noise, many epochs
"""

from __future__ import annotations

from typing import Any

import torch

from remanence.data.encoders import ClassifyEncoders, ForecastEncoders
from remanence.nn.window import denormalise, window_state
from remanence.settings import ModelSettings, Settings, TrainSettings
from remanence.tasks.layout import input_layout
from remanence.tasks.sample import thinned
from remanence.tasks.task import Prepared

__all__ = ["classify_defaults", "forecast_defaults"]

Values = dict[str, Any]

_FINE = 48
"""Mean steps of a sequence from which on it counts as finely sampled."""
_STEPS_AN_UPDATE = 1 << 16
"""Steps of all windows of an update, which bound its memory: very long windows come fewer at a time."""
_TINY = 150
"""Training sequences below which noise is added to them."""
_LOOKED_AT = 2_000
"""Training windows that a choice looks at."""


def forecast_defaults(prepared: Prepared, settings: Settings) -> Settings:
    """Fill in a forecast's model and training."""
    model: Values = {
        "cell": "lstm",
        "hidden": 64,
        "layers": 1,
        "bidirectional": False,
        "dropout": 0.2,
        "convolution": 0,
        "normalise": _normalise(prepared),
    }
    examples = len(prepared.train)
    assert isinstance(prepared.encoders, ForecastEncoders)
    most = max(8, _STEPS_AN_UPDATE // prepared.encoders.context)
    train: Values = {
        "batch_size": min(most, 64 if examples >= 2000 else 32),
        "learning_rate": 1e-3 if examples >= 2000 else 3e-3,
        "schedule": "cosine",
        "weight_decay": 1e-4,
        "clip": 1.0,
        "average": 0.99,
        "loss": "mse",
        "noise": 0.0,
        "patience": 10,
        "evaluate_every": 100,
    }
    return _filled(settings, model, train, {"steps": 1000 if examples >= 2000 else 600})


def _normalise(prepared: Prepared) -> str:
    """What tells most of the future of training windows: their last value, their mean, or the mean of all (`none`)."""
    encoders = prepared.encoders
    assert isinstance(encoders, ForecastEncoders)
    errors = dict.fromkeys(("last", "window", "none"), 0.0)
    for batch in thinned(prepared.train, _LOOKED_AT):
        assert batch.target is not None
        for kind in errors:
            state = window_state(kind, batch.inputs, input_layout(encoders))
            level = denormalise(torch.zeros_like(batch.target), state)
            errors[kind] += float((batch.target - level).abs().nansum())
    return min(errors, key=lambda kind: errors[kind])


def classify_defaults(prepared: Prepared, settings: Settings) -> Settings:
    """Fill in a classifier's model and training."""
    assert isinstance(prepared.encoders, ClassifyEncoders)
    if prepared.encoders.vocabulary is not None:
        return _text_defaults(prepared, settings)
    return _number_defaults(prepared, settings)


def _text_defaults(prepared: Prepared, settings: Settings) -> Settings:
    large = len(prepared.train) >= 2000
    model: Values = {
        "cell": "lstm",
        "hidden": 128 if large else 64,
        "layers": 1,
        "bidirectional": True,
        "dropout": 0.5,
        "embedding": 64,
        "embedding_dropout": 0.1,
        "skip": large,
        "pool": "mean-max",
    }
    train: Values = {
        "batch_size": 32,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "clip": 1.0,
        "average": 0.99,
        "smoothing": 0.1 if large else 0.0,
        "noise": 0.0,
        "patience": 20,
    }
    return _filled(settings, model, train, {"epochs": 5 if large else 30})


def _number_defaults(prepared: Prepared, settings: Settings) -> Settings:
    encoders, examples = prepared.encoders, len(prepared.train)
    assert isinstance(encoders, ClassifyEncoders)
    few, tiny = examples < 1000, examples < _TINY
    fine = examples > 0 and float(prepared.train.lengths.mean()) >= _FINE
    model: Values = {
        "cell": "lstm",
        "hidden": 64,
        "layers": 1,
        "bidirectional": True,
        "dropout": 0.3,
        "differences": True,
        # Finely sampled sequences are made of short shapes, which a convolution reads as one step.
        "convolution": 32 if fine else 0,
        "pool": "mean-max",
        # Shapes that stand anywhere in a sequence: from few examples, recurrent layers alone are slow to learn them.
        # Short sequences of many numbers a step have none.
        "branch": (128 if fine else 32 if len(encoders.input) == 1 else 0) if few else 0,
    }
    train: Values = {
        "batch_size": 16 if tiny else 32 if few else 64,
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "clip": 1.0,
        "average": 0.98,
        "smoothing": 0.1,
        "noise": 0.1 if tiny else 0.0,
        "patience": 1000 if few else 20,
        # On few examples the best weights on the validation part are the luckiest ones.
        "keep": "last" if few else "best",
    }
    epochs = min(200, max(20, 16_000 // max(examples, 1)))
    return _filled(settings, model, train, {"epochs": epochs})


def _filled(settings: Settings, model: Values, train: Values, budget: Values) -> Settings:
    """The settings with values where there were none; the budget only where no other was given."""
    given = settings.train
    if given.truncate is not None:
        # Layers that read from both ends cannot carry their state from chunk to chunk.
        model = model | {"bidirectional": False}
    if given.epochs is None and given.steps is None and given.minutes is None:
        train = train | budget
    # A part that only the user asks for (an embedding of numbers, say) stays as it was given.
    return settings.model_copy(
        update={
            "model": ModelSettings(**(model | _given(settings.model))),
            "train": TrainSettings(**(train | _given(settings.train))),
        }
    )


def _given(part: ModelSettings | TrainSettings) -> Values:
    return {name: value for name, value in part.model_dump().items() if value is not None}
