"""What preparing a file gives: three parts, what was fitted, what was guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from remanence.data.examples import Part
from remanence.settings import DataSettings

__all__ = ["DataParts"]

E = TypeVar("E", bound=BaseModel, covariant=True)
P = TypeVar("P", bound=Part, covariant=True)


@dataclass(frozen=True)
class DataParts(Generic[E, P]):
    """A file made ready for training.

    Args:
        data: the settings with every guess filled in; recorded in the manifest.
        encoders: what was fitted on the training part (scaler, vocabulary, labels): a frozen pydantic model, so that it
            is written to the manifest as JSON and read back with checks.
        train, valid, test: the parts; `test` and `valid` may be empty (length 0).
        notes: one line for each thing that was guessed or noticed; printed, and shown in the report.
        fingerprint: SHA-256 of the files read.
    """

    data: DataSettings
    encoders: E
    train: P
    valid: P
    test: P
    notes: tuple[str, ...]
    fingerprint: str
