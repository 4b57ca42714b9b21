"""A file and settings → a task, its data and complete settings: how fit and compare begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remanence.cells import cell
from remanence.errors import SettingError
from remanence.explain.render import font_remedy
from remanence.settings import Settings
from remanence.tasks import task
from remanence.tasks.task import Prepared, Task
from remanence.train.size import check_size

__all__ = ["Opened", "open_data", "trainable", "with_cell"]


@dataclass(frozen=True)
class Opened:
    """Data ready for training.

    Args:
        task: what is done.
        prepared: parts and encoders.
        settings: complete: what was guessed from the file, and what the task chose.
    """

    task: Task
    prepared: Prepared
    settings: Settings

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before training begins."""
        if self.settings.train.figures and (remedy := font_remedy()):
            return *self.prepared.notes, f"--figures: those that hold Chinese are left out, no font has it: {remedy}"
        return self.prepared.notes


def open_data(path: Path, settings: Settings) -> Opened:
    """Read a file, guess what was not said, split it and fit the encoders on the training part.

    Raises:
        DataError: the file is absent, malformed, or too small.
        SettingError: an option that does not fit it.
    """
    if settings.model.cell is not None:
        trainable(settings.model.cell)
    data = settings.data
    if data.task is None:
        from remanence.data.schema import guess

        data = data.model_copy(update={"task": guess(path, data).settings.task})
    assert data.task is not None
    chosen = task(data.task)
    prepared = chosen.prepare(path, data)
    complete = chosen.defaults(prepared, settings.model_copy(update={"data": prepared.data}))
    check_size(chosen, prepared.encoders, complete)
    return Opened(chosen, prepared, complete)


def trainable(name: str) -> str:
    """The name of a cell that reads nothing but x.

    Raises:
        SettingError: no such cell, or one that reads more than a table's row at each step.
    """
    if given := cell(name).given:
        raise SettingError(
            f"cell '{name}' also reads {', '.join(given)} at each step, which no task gives",
            name="cell",
            remedy="use it from Python: remanence.nn.recurrent.Recurrent",
        )
    return name


def with_cell(settings: Settings, name: str, hidden: int | None = None) -> Settings:
    """The same settings for another cell, of another hidden size where one is given.

    Raises:
        SettingError: no such cell, or one that reads more than x.
    """
    changes: dict[str, Any] = {"cell": trainable(name)} | ({} if hidden is None else {"hidden": hidden})
    return settings.model_copy(update={"model": settings.model.model_copy(update=changes)})
