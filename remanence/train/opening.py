"""A file and settings → a task, its data and complete settings: how fit and compare begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remanence.cells import cell
from remanence.data.encoders import Encoders
from remanence.errors import SettingError
from remanence.explain.render import font_remedy
from remanence.nn.start import unsuited
from remanence.settings import Settings, Start
from remanence.settings_use import refuse_idle, refuse_unread, refuse_unused
from remanence.tasks import task
from remanence.tasks.task import Prepared, Task
from remanence.train.size import check_size

__all__ = ["Opened", "open_data", "trainable", "with_cell", "with_starts"]


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
        notes = (*self.prepared.notes, *self.task.remarks(self.settings))
        if self.settings.train.figures and (remedy := font_remedy()):
            return *notes, f"--figures: those that hold Chinese are left out, no font has it: {remedy}"
        return notes


def open_data(path: Path, settings: Settings) -> Opened:
    """Read a file, guess what was not said, split it and fit the encoders on the training part.

    Raises:
        DataError: the file is absent, malformed, or too small.
        SettingError: an option that does not fit it, or that the task does not use.
    """
    if settings.model.cell is not None:
        trainable(settings.model.cell)
    data = settings.data
    if data.task is None:
        from remanence.data.schema import guess

        data = data.model_copy(update={"task": guess(path, data).settings.task})
    assert data.task is not None
    refuse_unused(settings, data.task)
    chosen = task(data.task)
    prepared = chosen.prepare(path, data)
    assert isinstance(prepared.encoders, Encoders)
    refuse_unread(settings, data.task, prepared.encoders.reads)
    complete = chosen.defaults(prepared, settings.model_copy(update={"data": prepared.data}))
    refuse_idle(settings, complete)
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

    Of the starts that are asked for, those remain that make sense for the cell.

    Raises:
        SettingError: no such cell, or one that reads more than x.
    """
    suited = tuple(start for start in settings.model.initialise if not unsuited(cell(name), start))
    changes: dict[str, Any] = {"cell": trainable(name), "initialise": suited}
    changes |= {} if hidden is None else {"hidden": hidden}
    return settings.model_copy(update={"model": settings.model.model_copy(update=changes)})


def with_starts(opened: Opened, starts: tuple[Start, ...], cells: Sequence[str]) -> Opened:
    """Data opened for a comparison, whose cells start as asked wherever that makes sense for them.

    Raises:
        SettingError: a start that suits none of the cells.
    """
    notes = list(opened.prepared.notes)
    for start in starts:
        without = [name for name in cells if unsuited(cell(name), start)]
        if len(without) == len(cells):
            raise SettingError(
                f"{start} suits none of {', '.join(cells)}: {unsuited(cell(cells[0]), start)}",
                name="initialise",
                remedy="see --cells",
            )
        if without:
            notes.append(f"{', '.join(without)}: not started by {start}, which needs other equations (--initialise)")
    model = opened.settings.model.model_copy(update={"initialise": starts})
    settings = opened.task.defaults(opened.prepared, opened.settings.model_copy(update={"model": model}))
    return replace(opened, prepared=replace(opened.prepared, notes=tuple(notes)), settings=settings)
