"""Tables of samples: a row a sample, with its label, recording after recording (gaze and other sensors).

CSV, TSV, JSON lines, Parquet through the readers of tables; `.arff` with plain attributes is read here. Rows of one
recording may stand anywhere in the file; within it they are in order of time.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from remanence.data import times as timing
from remanence.data.diagnose import first_flaw, line_of_row
from remanence.data.notation import Notation, one_zone, unit_of, zones_of
from remanence.data.rows import Kind, Table, as_number
from remanence.data.sources import file_format, find, open_text
from remanence.data.spills import full_disk, reordered, slabs
from remanence.data.step_columns import StepColumns, Times, step_columns
from remanence.data.step_records import StepRecords
from remanence.data.tables import open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["read_samples", "sample_columns", "sample_table"]

_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.*)", re.IGNORECASE)


def sample_columns(settings: DataSettings) -> tuple[str, ...]:
    """Number columns that are read: inputs, and the position they are made from."""
    return tuple(dict.fromkeys((*settings.input, *settings.position)))


@contextmanager
def sample_table(path: str | Path, settings: DataSettings) -> Iterator[tuple[Table, int]]:
    """Open a table of samples, and how many lines stand before its first one.

    An `.arff` file is copied into a plain table for as long as it is open.
    """
    path = find(path)
    if file_format(path, settings.format) != "arff":
        yield open_table(path, settings), 0
        return
    with tempfile.TemporaryDirectory(prefix="remanence-") as folder:
        copy = Path(folder) / path.name
        skipped = _plain_copy(path, copy) - 1
        plain = settings.model_copy(update={"format": "csv", "delimiter": ","})
        try:
            yield open_table(copy, plain), skipped
        except DataError as error:
            # The copy's name and lines are not the user's.
            message = error.message.removeprefix(error.where).removeprefix(": ")
            line = error.line and error.line + skipped
            raise DataError(message, path=path, line=line, column=error.column, remedy=error.remedy) from None


def _plain_copy(path: Path, copy: Path) -> int:
    """Write an `.arff` of plain attributes as CSV; the line of `@data`."""
    names: list[str] = []
    with open_text(path) as lines, full_disk(), copy.open("w", encoding="utf-8", newline="") as out:
        for line, text in enumerate(lines, 1):
            text = text.strip()
            if text.lower() == "@data":
                table = csv.writer(out, lineterminator="\n")
                table.writerow(names)
                for row in lines:
                    # Lines are kept as they are counted, so that an error names the right one.
                    out.write(row.strip().replace("?", "") + "\n" if not row.startswith("%") else "\n")
                return line
            if found := _ATTRIBUTE.match(text):
                if re.search(r"\brelational\b", found[2], re.IGNORECASE):
                    raise DataError(
                        "a relational attribute: sequences with one label each", path=path, line=line,
                        remedy="--task classify",
                    )  # fmt: skip
                names.append(found[1].strip("'\""))
    raise DataError("no @data line", path=path, remedy="the header of an .arff ends in @data")


def read_samples(path: str | Path, settings: DataSettings, *, answers: bool = True) -> StepRecords:
    """Read samples with their labels.

    Args:
        settings: input, position, label, sequence and time filled in; without `sequence` the file is one recording.
        answers: labels must be there.

    Raises:
        DataError: an empty cell, times that fall or repeat, a missing label: with its line.
    """
    with sample_table(path, settings) as (table, _):
        for flag in ("input", "position", "sequence"):
            table.need(getattr(settings, flag), flag)
        if answers:
            table.need([settings.label or "label"], "label")
        table.need([settings.time] if settings.time else [], "time")
        zones: set[int] = set()
        read = _columns(table, settings, answers, zones)
        _refuse_missing(table, settings, read)
        notation = _notation(table, settings, read, zones)
        order, notes = _order(table, settings, read, notation)
        _refuse_torn(table, settings, read, order)

    def line_of_step(step: int) -> int:
        with sample_table(path, settings) as (again, before):
            return line_of_row(again, step if order is None else int(order[step])) + before

    records = _by_recording(settings, read, order)
    return replace(records, path=Path(path), line_of_step=line_of_step, notes=notes, notation=notation)


def _columns(table: Table, settings: DataSettings, answers: bool, zones: set[int]) -> StepColumns:
    texts = [name for name in (settings.label, settings.group, settings.split_column) if name and answers]
    times = None
    if column := settings.time:
        time_format = _time_format(table, column)

        def seconds(values: np.ndarray | pa.Array, row: int) -> np.ndarray:
            if isinstance(values, pa.Array):
                zones.update(zones_of(values, time_format))
            return _seconds(table, column, values, time_format, row)

        times = Times(column, "number" if time_format == "number" else "time", np.float64, seconds)
    return step_columns(table, sample_columns(settings), settings.sequence, texts, times)


def _time_format(table: Table, time: str) -> str:
    """`number`, or how dates are written."""
    head = [row.get(time) for row in table.head if row.get(time) not in (None, "")]
    if all(as_number(value) is not None for value in head):
        return "number"
    return timing.guess_format(head) or "iso"


def _notation(table: Table, settings: DataSettings, read: StepColumns, zones: set[int]) -> Notation | None:
    """How dates are written, all alike; None of numbers."""
    if settings.time is None or read.times is None or (form := _time_format(table, settings.time)) == "number":
        return None
    stamps, zone = np.rint(read.times * timing.SECOND).astype(np.int64), one_zone(zones)
    return Notation(form, zone, unit_of(stamps, zone))


def _seconds(table: Table, column: str, values: np.ndarray | pa.Array, time_format: str, row: int) -> np.ndarray:
    """Times as numbers: those of the column, or seconds since 1970 of dates."""
    if time_format == "number":
        return np.asarray(values, np.float64)
    stamps, bad = timing.parse(values, time_format)  # type: ignore[arg-type]
    if bad >= 0:
        raise DataError(
            f"not a time: '{values[bad].as_py()}'", path=table.path, line=line_of_row(table, row + bad), column=column,
            remedy="write all times alike, such as 2024-01-31 13:00:00",
        )  # fmt: skip
    return stamps / timing.SECOND


def _refuse_missing(table: Table, settings: DataSettings, read: StepColumns) -> None:
    numbers = [] if settings.missing != "refuse" else list(sample_columns(settings))
    times = [settings.time] if settings.time and read.times is not None else []
    empty = any(np.isnan(read.values[slab]).any() for slab in slabs(read.values)) if numbers else False
    late = read.times is not None and bool(np.isnan(read.times).any())
    if empty or late:
        wanted: dict[str, Kind] = dict.fromkeys([*(numbers if empty else []), *(times if late else [])], "number")
        raise first_flaw(table, wanted, missing=True) or DataError(
            "empty cells in a number column", path=table.path, remedy="--missing mask or --missing fill"
        )
    codes, names = read.texts.get(settings.label or "", (np.zeros(0, np.int32), ()))
    if blank := [code for code, name in enumerate(names) if not name.strip()]:
        at = int(np.argmax(np.isin(codes, blank)))
        raise DataError(
            "the label is missing", path=table.path, line=line_of_row(table, at), column=settings.label or "",
            remedy="label every sample, or remove the row",
        )  # fmt: skip


def _refuse_torn(table: Table, settings: DataSettings, read: StepColumns, order: np.ndarray | None) -> None:
    """Refuse a recording that is of two groups, or of two parts."""
    for name in (settings.group, settings.split_column):
        codes, sequence = read.texts[name][0] if name in read.texts else read.sequence, read.sequence
        if order is not None:
            codes, sequence = codes[order], sequence[order]
        if (torn := (np.diff(codes) != 0) & (np.diff(sequence) == 0)).any():
            at = int(np.argmax(torn)) + 1
            of = read.names[sequence[at]] or "1"
            raise DataError(
                f"'{name}' changes within recording {of}: expected one for a whole recording",
                path=table.path, line=line_of_row(table, at if order is None else int(order[at])), column=name or "",
                remedy="see --sequence: do these columns name one recording?",
            )  # fmt: skip


def _by_recording(settings: DataSettings, read: StepColumns, order: np.ndarray | None) -> StepRecords:
    """The rows in their new order, cut into recordings."""

    def ordered(array: np.ndarray) -> np.ndarray:
        return array if order is None else array[order]

    sequence = ordered(read.sequence)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(sequence)) + 1]).astype(np.int64)
    none = (np.full(len(sequence), -1, np.int32), ())
    labels, names = read.texts.get(settings.label or "", none)
    fixed = {name: ordered(codes)[starts] for name, (codes, _) in read.texts.items()}
    split = settings.split_column
    return StepRecords(
        Path(),
        np.append(starts, len(sequence)),
        ordered(labels),
        names,
        lambda step: 0,
        # Told by name; a line would need a second look at the file.
        np.zeros(len(starts), np.int64),
        names=tuple(read.names[code] or "1" for code in sequence[starts]),
        values=read.values if order is None else reordered(read.values, order),
        columns=sample_columns(settings),
        times=None if read.times is None else ordered(read.times),
        groups=fixed.get(settings.group) if settings.group else None,
        marks=fixed.get(split) if split else None,
        mark_names=read.texts[split][1] if split in read.texts else (),
    )


def _order(
    table: Table, settings: DataSettings, read: StepColumns, notation: Notation | None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The order that brings recordings together, None where the file has it; and a note of what was mended."""
    order, notes = None, []
    if len(np.flatnonzero(np.diff(read.sequence))) + 1 != len(read.names):
        order = np.argsort(read.sequence, kind="stable")
        notes.append("rows of different recordings are mixed in the file: gathered by recording")
    if read.times is None:
        return order, tuple(notes)
    times = read.times if order is None else read.times[order]
    sequence = read.sequence if order is None else read.sequence[order]
    wrong = (np.diff(times) <= 0) & (np.diff(sequence) == 0)
    if not wrong.any():
        return order, tuple(notes)
    if settings.sort:
        order = np.lexsort((read.times, read.sequence))
        times, sequence = read.times[order], read.sequence[order]
        notes.append(f"sorted by {settings.time} within recordings")
        wrong = (np.diff(times) <= 0) & (np.diff(sequence) == 0)
    if wrong.any():
        at = int(np.argmax(wrong)) + 1
        falls = times[at] < times[at - 1]
        show = "{:g}".format if notation is None else notation.show_seconds
        before, now = map(show, times[at - 1 : at + 1].tolist())
        raise DataError(
            f"the time of a sample {'falls' if falls else 'repeats'} ({now} after {before})",
            path=table.path,
            line=line_of_row(table, at if order is None else int(order[at])),
            column=settings.time or "",
            remedy="use --sort" if falls else "remove one of the two, or leave --time out",
        )
    return order, tuple(notes)
