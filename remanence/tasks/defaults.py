"""What forecast and classify choose where the user chose nothing: by kind of data and by their size, never by name.

Why each is what it is:

    forecast            windows relative to themselves, wherever that predicts the training part better than its mean
                        does: a level that drifts on after training is the most common way a forecast goes wrong
    texts               vectors learnt from scratch overfit first: tokens dropped whole, averaged weights, few epochs
    videos              a small network on each frame, and as many epochs as few clips need
    numbers, few        a hundred sequences carry a small net, strong decay, smoothing, noise, many epochs
"""

from __future__ import annotations

import torch

from remanence.data.encoders import ClassifyEncoders, ForecastEncoders
from remanence.nn.window import denormalise, window_state
from remanence.tasks.choices import Choices
from remanence.tasks.layout import input_layout
from remanence.tasks.sample import thinned
from remanence.tasks.task import Prepared

__all__ = ["classify_choices", "film_choices", "forecast_choices"]

_FINE = 48
"""Mean steps of a sequence from which on it counts as finely sampled."""
_STEPS_AN_UPDATE = 1 << 16
"""Steps of all windows of an update, which bound its memory: very long windows come fewer at a time."""
_TINY = 150
"""Training sequences below which noise is added to them."""
_LOOKED_AT = 2_000
"""Training windows that a choice looks at."""


def forecast_choices(prepared: Prepared) -> Choices:
    """Choose a forecast's model and training."""
    model = {"convolution": 0, "normalise": _normalise(prepared)}
    examples = len(prepared.train)
    assert isinstance(prepared.encoders, ForecastEncoders)
    most = max(8, _STEPS_AN_UPDATE // prepared.encoders.context)
    train = {
        "batch_size": min(most, 64 if examples >= 2000 else 32),
        "learning_rate": 1e-3 if examples >= 2000 else 3e-3,
        "weight_decay": 1e-4,
        "loss": "mse",
        "patience": 10,
        "evaluate_every": 100,
    }
    return Choices(model, train, {"steps": 1000 if examples >= 2000 else 600})


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


def classify_choices(prepared: Prepared) -> Choices:
    """Choose a classifier's model and training."""
    assert isinstance(prepared.encoders, ClassifyEncoders)
    if prepared.encoders.vocabulary is not None:
        return _text_choices(prepared)
    if prepared.encoders.clip is not None:
        return film_choices(len(prepared.train))
    return _number_choices(prepared)


def _text_choices(prepared: Prepared) -> Choices:
    large = len(prepared.train) >= 2000
    model = {
        "hidden": 128 if large else 64,
        "bidirectional": True,
        "dropout": 0.5,
        "embedding": 64,
        "embedding_dropout": 0.1,
        "skip": large,
        "pool": "mean-max",
    }
    train = {
        "batch_size": 32,
        "learning_rate": 2e-3,
        "weight_decay": 1e-2,
        "smoothing": 0.1 if large else 0.0,
    }
    return Choices(model, train, {"epochs": 5 if large else 30})


def film_choices(examples: int) -> Choices:
    """Choose what reads so many videos, and its training."""
    few = examples < 1000
    model = {
        "hidden": 64,
        "bidirectional": True,
        "dropout": 0.3,
        # Of a frame: channels of its first convolution, and the features that are left of it.
        "convolution": 16,
        "embedding": 64,
        "pool": "mean-max",
    }
    train = {
        "batch_size": 16 if few else 32,
        "learning_rate": 2e-3,
        "weight_decay": 1e-2,
        "average": 0.98,
        "smoothing": 0.1,
        "noise": 0.1,
        "patience": 20,
    }
    return Choices(model, train, {"epochs": min(60, max(10, 20_000 // max(examples, 1)))})


def _number_choices(prepared: Prepared) -> Choices:
    encoders, examples = prepared.encoders, len(prepared.train)
    assert isinstance(encoders, ClassifyEncoders)
    few, tiny = examples < 1000, examples < _TINY
    fine = examples > 0 and float(prepared.train.lengths.mean()) >= _FINE
    model = {
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
    train = {
        "batch_size": 16 if tiny else 32 if few else 64,
        "learning_rate": 3e-3,
        "weight_decay": 1e-2,
        "average": 0.98,
        "smoothing": 0.1,
        "noise": 0.1 if tiny else 0.0,
        "patience": 1000 if few else 20,
        # On few examples the best weights on the validation part are the luckiest ones.
        "keep": "last" if few else "best",
    }
    epochs = min(200, max(20, 16_000 // max(examples, 1)))
    return Choices(model, train, {"epochs": epochs})
