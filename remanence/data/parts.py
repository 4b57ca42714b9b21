"""What preparing a file gives: three parts, what was fitted, what was guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from remanence.data.encoders import ClassifyEncoders, ForecastEncoders
from remanence.data.examples import Part
from remanence.settings import DataSettings

__all__ = ["DataParts"]

E = TypeVar("E", ForecastEncoders, ClassifyEncoders)
P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class DataParts(Generic[E, P]):
    """A file made ready: the fields of `tasks.task.Prepared`, by the same names but `settings` for `data`."""

    settings: DataSettings
    encoders: E
    train: P
    valid: P
    test: P
    notes: tuple[str, ...]
    fingerprint: str
