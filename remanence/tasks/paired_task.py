"""What tasks of sources and texts share: how their files are read, whoever writes the text, and how."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from remanence.data.encoders import PairEncoders
from remanence.data.examples import Part
from remanence.data.paired import prepare_pairs, reopen_pairs
from remanence.settings import DataSettings
from remanence.tasks.task import Prepared, Task

__all__ = ["PairedTask"]


class PairedTask(Task):
    """A text for a source."""

    encoders_type: ClassVar[type[BaseModel]] = PairEncoders
    scored_early: ClassVar[bool] = False

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        return prepare_pairs(path, data, self.name)

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, PairEncoders)
        return reopen_pairs(path, data, encoders, answers=answers)
