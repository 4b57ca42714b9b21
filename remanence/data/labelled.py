"""Labelled sequences: texts, or numbers step by step."""

from __future__ import annotations

from pathlib import Path

from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Part
from remanence.data.parts import DataParts
from remanence.settings import DataSettings

__all__ = ["ClassifyPart", "prepare_classify", "reopen_classify"]


class ClassifyPart(Part):
    """Sequences of one side of a split. `batch` fills inputs (tokens or numbers), target and index."""

    encoders: ClassifyEncoders

    def label(self, index: int) -> str | None:
        """Name of the class of a sequence, or None where it is not known."""
        raise NotImplementedError

    def tokens(self, index: int) -> list[str]:
        """Tokens of a text as the model reads them (unknown ones as `�`); empty for numbers."""
        raise NotImplementedError


def prepare_classify(path: str | Path, settings: DataSettings) -> DataParts[ClassifyEncoders, ClassifyPart]:
    """Read a file, split it, fit vocabulary or scaler and the labels on the training part."""
    raise NotImplementedError


def reopen_classify(
    path: str | Path, settings: DataSettings, encoders: ClassifyEncoders, *, answers: bool = True
) -> ClassifyPart:
    """Read a new file through fitted encoders; without `answers` its labels may be absent."""
    raise NotImplementedError
