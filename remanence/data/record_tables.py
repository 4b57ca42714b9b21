"""Labelled sequences of a table: a text a row, or a row a step of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from remanence.data import times as timing
from remanence.data.diagnose import first_flaw, line_of_row
from remanence.data.panel import Codes
from remanence.data.records import Records
from remanence.data.rows import Kind, Table
from remanence.data.spills import Spill, reordered, slabs
from remanence.data.step_columns import StepColumns, Times, step_columns
from remanence.data.tables import chunks
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["number_records", "row_records"]

_SEQUENCE = "see --sequence: do these columns name one sequence?"
_LABEL_A_ROW = f"--task tag learns a label for each row; for one of a whole sequence {_SEQUENCE}"


def row_records(table: Table, settings: DataSettings, answers: bool) -> Records:
    """Rows are sequences: read what stands beside each; what it holds stays in the file."""
    label = settings.label if answers else None
    extra = [name for name in (settings.group, settings.split_column) if name and answers]
    wanted: dict[str, Kind] = dict.fromkeys([*([label] if label else []), *extra], "text")
    if not wanted:
        wanted = {settings.input[0]: "text"}
    spills = {name: Spill(np.int32) for name in wanted}
    codes = {name: Codes() for name in wanted}
    count = 0
    for chunk in chunks(table, wanted):
        count += len(chunk[next(iter(wanted))])
        for name in wanted:
            if label or extra:
                spills[name].append(codes[name].encode([chunk[name]]))
    labels = spills[label].finish() if label else np.full(count, -1, np.int32)
    names = tuple(codes[label].names) if label else ()
    _refuse_unlabelled(table, labels, names, label)
    group, split = (name if name in extra else None for name in (settings.group, settings.split_column))
    return Records(
        table.path,
        labels,
        names,
        groups=spills[group].finish() if group else None,
        marks=spills[split].finish() if split else None,
        mark_names=tuple(codes[split].names) if split else (),
        table=table,
    )


def _refuse_unlabelled(
    table: Table, labels: np.ndarray, names: Sequence[str], label: str | None, rows: np.ndarray | None = None
) -> None:
    if label and (empty := [code for code, name in enumerate(names) if not name.strip()]):
        at = int(np.argmax(np.isin(labels, empty)))
        raise DataError(
            "the label is missing",
            path=table.path,
            line=line_of_row(table, at if rows is None else int(rows[at])),
            column=label,
            remedy="give every sequence a label, or remove the row",
        )


def number_records(table: Table, settings: DataSettings, answers: bool) -> Records:
    """Rows are steps: gather them by sequence, in order of time."""
    label = settings.label if settings.label in table.columns and answers else None
    texts = [name for name in (label, settings.group, settings.split_column) if name and (answers or name == label)]
    times = None
    if column := settings.time:
        table.need([column], "time")
        time_format = timing.guess_format(row.get(column) for row in table.head) or "iso"
        times = Times(column, "time", np.int64, lambda values, row: _stamps(table, column, values, time_format, row))
    return _gathered(table, settings, step_columns(table, settings.input, settings.sequence, texts, times), label)


def _stamps(table: Table, column: str, values: pa.Array, time_format: str, row: int) -> np.ndarray:
    """Times or step numbers."""
    stamps, bad = timing.parse(values, time_format)
    if bad >= 0:
        raise DataError(
            f"not a time or step number: '{values[bad].as_py()}'",
            path=table.path,
            line=line_of_row(table, row + bad),
            column=column,
            remedy="write all times alike, such as 2024-01-31 13:00:00",
        )
    return stamps


def _gathered(table: Table, settings: DataSettings, read: StepColumns, label: str | None) -> Records:
    if settings.missing == "refuse":
        for slab in slabs(read.values):
            if np.isnan(read.values[slab]).any():
                raise first_flaw(table, dict.fromkeys(settings.input, "number"), missing=True) or DataError(
                    "empty cells in a number column", path=table.path, remedy="--missing mask or --missing fill"
                )
    notes: list[str] = []
    order = _order(table, settings, read, notes)
    sequence = read.sequence if order is None else read.sequence[order]
    values = read.values if order is None else reordered(read.values, order)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(sequence)) + 1]).astype(np.int64)
    rows = starts if order is None else order[starts]
    fixed: dict[str, np.ndarray] = {}
    for name, (codes, _) in read.texts.items():
        sorted_codes = codes if order is None else codes[order]
        changes = np.diff(sorted_codes) != 0
        changes[starts[1:] - 1] = False
        if changes.any():
            at = int(np.argmax(changes)) + 1
            raise DataError(
                f"'{name}' changes within sequence {read.names[sequence[at]]}: expected one for a whole sequence",
                path=table.path,
                line=line_of_row(table, at if order is None else int(order[at])),
                column=name,
                remedy=_LABEL_A_ROW if name == label and settings.task != "regress" else _SEQUENCE,
            )
        fixed[name] = sorted_codes[starts]
    labels = fixed[label] if label else np.full(len(starts), -1, np.int32)
    label_names = read.texts[label][1] if label else ()
    _refuse_unlabelled(table, labels, label_names, label, rows)
    split = settings.split_column
    return Records(
        table.path,
        labels,
        label_names,
        groups=fixed.get(settings.group) if settings.group else None,
        marks=fixed.get(split) if split else None,
        mark_names=read.texts[split][1] if split in read.texts else (),
        table=table,
        rows=rows,
        names=tuple(read.names[code] for code in sequence[starts]),
        columns=settings.input,
        values=values,
        offsets=np.append(starts, len(sequence)),
        notes=tuple(notes),
    )


def _order(table: Table, settings: DataSettings, read: StepColumns, notes: list[str]) -> np.ndarray | None:
    """The order that brings the rows of a sequence together, each in order of time; None: as they stand."""
    order = None
    if len(np.flatnonzero(np.diff(read.sequence))) + 1 != len(read.names):
        order = np.argsort(read.sequence, kind="stable")
        notes.append("rows of different sequences are mixed in the file: gathered by sequence")
    if read.times is None:
        return order
    times = read.times if order is None else read.times[order]
    sequence = read.sequence if order is None else read.sequence[order]
    same = np.diff(sequence) == 0
    for wrong, what in ((np.diff(times) < 0, "not in order"), (np.diff(times) == 0, "repeated")):
        if (wrong & same).any() and what == "not in order" and settings.sort:
            notes.append(f"sorted by {settings.time} within sequences")
            return np.lexsort((read.times, read.sequence))
        if (wrong & same).any():
            at = int(np.argmax(wrong & same)) + 1
            raise DataError(
                f"times of sequence {read.names[sequence[at]]} are {what}",
                path=table.path,
                line=line_of_row(table, at if order is None else int(order[at])),
                column=settings.time or "",
                remedy="use --sort"
                if what == "not in order"
                else "number the steps of a sequence, or leave --time out",
            )
    return order
