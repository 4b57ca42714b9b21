"""Where targets, known features and flags stand among the inputs of a forecast."""

from __future__ import annotations

from remanence.data.encoders import ForecastEncoders
from remanence.nn.window import InputLayout

__all__ = ["input_layout"]


def input_layout(encoders: ForecastEncoders) -> InputLayout:
    """The layout that the encoders' names of features spell out."""
    features = encoders.features
    flags = encoders.target if encoders.missing == "mask" else ()
    return InputLayout(
        features=len(features),
        targets=len(encoders.target),
        known=tuple(features.index(name) for name in encoders.future_features),
        flags=tuple(features.index(f"{name} missing") for name in flags),
    )
