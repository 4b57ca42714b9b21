"""Sequences as they stand in a file, before anything is fitted: labels, groups, and numbers step by step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from remanence.data.clips import ClipForm
from remanence.data.diagnose import line_of_row
from remanence.data.media.listing import title_of
from remanence.data.media.sounds import SoundForm
from remanence.data.rows import Table, raw_rows
from remanence.data.spills import slabs
from remanence.data.step_records import StepRecords
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["Records", "refuse_missing"]

_EXACT_LINES = 64 << 20


@dataclass(frozen=True)
class Records:
    """Labelled sequences of one file.

    Args:
        path: the file.
        labels: code of each sequence's label, int32 `[sequence]`; -1 where it has none.
        label_names: what the codes stand for, in order of appearance.
        groups, marks: codes of `group` and `split_column`, or None; `mark_names` are what marks stand for.
        table: the open table, or None for an archive file.
        rows: row of the file at which each sequence starts, or None where sequence i is row i.
        names: of the sequences, or empty.
        columns: of the numbers; empty for texts.
        values: float64 `[step, column]`, or None for texts, which stay in the file.
        offsets: first step of each sequence, and the number of steps, int64 `[sequence + 1]`, or None for texts.
        lines: line of each sequence where it is known already.
        sound: how sounds became `values`, or None.
        form: how frames were taken of videos, or None; `values` are then their pixels, uint8, and have no columns.
        media: of each sequence, the files that the table names, which were read, too; or empty.
    """

    path: Path
    labels: np.ndarray
    label_names: tuple[str, ...]
    groups: np.ndarray | None = None
    marks: np.ndarray | None = None
    mark_names: tuple[str, ...] = ()
    table: Table | None = None
    rows: np.ndarray | None = None
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    values: np.ndarray | None = None
    offsets: np.ndarray | None = None
    lines: np.ndarray | None = None
    numbers: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    form: ClipForm | None = None
    sound: SoundForm | None = None
    media: tuple[tuple[Path, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def line(self, place: int) -> int:
        """Line at which a sequence starts."""
        if self.lines is not None:
            return int(self.lines[place])
        return line_of_row(self.table, place if self.rows is None else int(self.rows[place])) if self.table else 0

    @cached_property
    def _all_lines(self) -> np.ndarray | None:
        """Lines of all rows, from one slow look, for files small enough."""
        if self.table is None or self.path.stat().st_size > _EXACT_LINES:
            return None
        return np.fromiter((line for line, _ in raw_rows(self.table)), np.int64)

    def where(self, place: int) -> str:
        """Where a sequence stands, for a person."""
        if self.names:
            return f"{self.path.name}, sequence {self.names[place]}" if self.names[place] else self.path.name
        title = f" ({title_of(self.media[place])})" if self.media else ""
        if self.lines is not None:
            return f"{self.path.name}:{self.lines[place]}{title}"
        lines, row = self._all_lines, place if self.rows is None else int(self.rows[place])
        return f"{self.path.name} row {row + 1}{title}" if lines is None else f"{self.path.name}:{lines[row]}{title}"


def refuse_missing(records: Records | StepRecords, settings: DataSettings) -> None:
    """Refuse a NaN among the numbers of whole sequences, unless `missing` says what to do, and an infinity.

    Raises:
        DataError: names the sequence, the step and the column.
    """
    assert records.values is not None and records.offsets is not None
    for slab in slabs(records.values):
        bad = ~np.isfinite(records.values[slab])
        if settings.missing != "refuse":
            bad = np.isinf(records.values[slab])
        if not bad.any():
            continue
        step, column = np.argwhere(bad)[0]
        step += slab.start
        place = int(np.searchsorted(records.offsets, step, "right")) - 1
        infinite = np.isinf(records.values[step, column])
        where = f" of sequence {records.names[place]}" if records.names else ""
        raise DataError(
            f"{'an infinite number' if infinite else 'a missing value'} at step "
            f"{step - records.offsets[place] + 1}{where}",
            path=records.path,
            line=0 if records.lines is None else int(records.lines[place]),
            column=records.columns[column],
            remedy="mend the value" if infinite else "use --missing mask or --missing fill",
        )
