"""Sequences as they stand in a file, before anything is fitted: labels, groups, and numbers step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from remanence.data import times as timing
from remanence.data.archive import read_archive
from remanence.data.diagnose import first_flaw, line_of_row
from remanence.data.panel import Codes
from remanence.data.rows import Kind, Table, raw_rows
from remanence.data.sources import file_format, find
from remanence.data.spills import Spill, reordered, slabs
from remanence.data.tables import chunks, open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["Records", "is_text", "read_records"]

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
    notes: tuple[str, ...] = ()

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
            return f"{self.path.name}, sequence {self.names[place]}"
        if self.lines is not None:
            return f"{self.path.name}:{self.lines[place]}"
        lines = self._all_lines
        return f"{self.path.name} row {place + 1}" if lines is None else f"{self.path.name}:{lines[place]}"


def is_text(table: Table, settings: DataSettings) -> bool:
    """Whether the input is one text a row, not numbers over several rows."""
    return len(settings.input) == 1 and not settings.sequence


def read_records(path: str | Path, settings: DataSettings, *, answers: bool = True) -> Records:
    """Read labels, groups and numbers of a file; texts are read later, chunk by chunk.

    Args:
        settings: with input, label, sequence and time filled in (see `schema.guess`).
        answers: labels must be there.
    """
    path = find(path)
    kind = file_format(path, settings.format)
    if kind in ("ts", "arff"):
        return _from_archive(path, kind, settings, answers=answers)
    table = open_table(path, settings)
    table.need(settings.input, "input")
    table.need(settings.sequence, "sequence")
    if answers or (settings.label in table.columns and not is_text(table, settings)):
        table.need([settings.label or "label"], "label")
    reader = _texts if is_text(table, settings) else _numbers
    return reader(table, settings, answers)


def _from_archive(path: Path, kind: str, settings: DataSettings, *, answers: bool) -> Records:
    archive = read_archive(path, kind)
    if answers and not archive.labels:
        raise DataError("the file has no class labels", path=path, remedy="@classLabel true, and a label on each line")
    codes = Codes()
    count = len(archive.lines)
    labels = codes.encode([pa.array(archive.labels)]) if archive.labels else np.full(count, -1, np.int32)
    columns = tuple(f"dim{place}" for place in range(archive.values.shape[1]))
    if settings.missing == "refuse" and (bad := np.isnan(archive.values)).any():
        step, column = np.argwhere(bad)[0]
        place = int(np.searchsorted(archive.offsets, step, "right")) - 1
        raise DataError(
            f"a missing value at step {step - archive.offsets[place] + 1}",
            path=path,
            line=int(archive.lines[place]),
            column=columns[column],
            remedy="use --missing mask or --missing fill",
        )
    return Records(
        path,
        labels,
        tuple(codes.names),
        columns=columns,
        values=archive.values,
        offsets=archive.offsets,
        lines=archive.lines,
    )


def _texts(table: Table, settings: DataSettings, answers: bool) -> Records:
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


def _numbers(table: Table, settings: DataSettings, answers: bool) -> Records:
    """Rows are steps: gather them by sequence, in order of time."""
    label = settings.label if settings.label in table.columns and answers else None
    texts = [name for name in (label, settings.group, settings.split_column) if name and (answers or name == label)]
    wanted: dict[str, Kind] = dict.fromkeys(settings.input, "number")
    wanted |= dict.fromkeys([*settings.sequence, *texts], "text")
    time_format = "row"
    if settings.time:
        table.need([settings.time], "time")
        wanted[settings.time] = "time"
        time_format = timing.guess_format(row.get(settings.time) for row in table.head) or "iso"
    values, times, sequence = Spill(np.float64, len(settings.input)), Spill(np.int64), Spill(np.int32)
    codes = {name: Codes() for name in ("sequence", *texts)}
    spills = {name: Spill(np.int32) for name in texts}
    for chunk in chunks(table, wanted):
        values.append(np.stack([chunk[column] for column in settings.input], 1))
        sequence.append(codes["sequence"].encode([chunk[name] for name in settings.sequence]))
        for name in texts:
            spills[name].append(codes[name].encode([chunk[name]]))
        if settings.time:
            stamps, bad = timing.parse(chunk[settings.time], time_format)
            if bad >= 0:
                raise DataError(
                    f"not a time or step number: '{chunk[settings.time][bad].as_py()}'",
                    path=table.path,
                    line=line_of_row(table, times.rows + bad),
                    column=settings.time,
                    remedy="write all times alike",
                )
            times.append(stamps)
    return _gathered(
        table,
        settings,
        _Columns(
            values.finish(),
            times.finish() if settings.time else None,
            sequence.finish(),
            tuple(codes["sequence"].names),
            {name: (spills[name].finish(), tuple(codes[name].names)) for name in texts},
            label,
        ),
    )


@dataclass(frozen=True)
class _Columns:
    values: np.ndarray
    times: np.ndarray | None
    sequence: np.ndarray
    names: tuple[str, ...]
    texts: dict[str, tuple[np.ndarray, tuple[str, ...]]]
    label: str | None


def _gathered(table: Table, settings: DataSettings, read: _Columns) -> Records:
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
                remedy="see --sequence: do these columns name one sequence?",
            )
        fixed[name] = sorted_codes[starts]
    labels = fixed[read.label] if read.label else np.full(len(starts), -1, np.int32)
    label_names = read.texts[read.label][1] if read.label else ()
    _refuse_unlabelled(table, labels, label_names, read.label, rows)
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


def _order(table: Table, settings: DataSettings, read: _Columns, notes: list[str]) -> np.ndarray | None:
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
