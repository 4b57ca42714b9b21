"""One or several series side by side: rows in order of time, steps even, flaws refused or mended as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from remanence.data import times as timing
from remanence.data.arrow import compute
from remanence.data.diagnose import first_flaw, line_of_row
from remanence.data.notation import Notation, one_zone, unit_of, zones_of
from remanence.data.rows import Kind, Table
from remanence.data.spills import Spill, drop_pages, slabs
from remanence.data.tables import chunks, open_table
from remanence.data.times import Frequency
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["Codes", "Panel", "open_panel"]


@dataclass(frozen=True)
class Panel:
    """Series after series, each in order of time.

    Args:
        path: the file.
        columns: number columns: targets, observed, known.
        values: float64 `[row, column]` in the user's units, NaN where missing.
        times: int64 `[row]` (see `times`).
        starts: first row of each series, and the number of rows: int64 `[series + 1]`.
        names: of the series; one empty name where there is one series.
        notation, frequency: how times are written, and the step between rows.
        marks: code of `split_column` for each row, or None; `mark_names` are what they stand for.
        notes: what was mended.
    """

    path: Path
    columns: tuple[str, ...]
    values: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    names: tuple[str, ...]
    notation: Notation
    frequency: Frequency
    marks: np.ndarray | None = None
    mark_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def time_format(self) -> str:
        """How the file writes times."""
        return self.notation.time_format

    @cached_property
    def _alike(self) -> Notation:
        """How to write all times alike, midnight too where others are not at midnight."""
        return replace(self.notation, unit=unit_of(self.times, self.notation.zone))

    def shown(self, row: int) -> str:
        """The time of a row, for people."""
        return self._alike.show(int(self.times[row]))


class Codes:
    """Names to numbers, in order of appearance."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def encode(self, columns: Sequence[pa.Array]) -> np.ndarray:
        """Number the rows by the joint value of these text columns: int32 `[row]`."""
        joint = columns[0] if len(columns) == 1 else compute.binary_join_element_wise(*columns, " · ")
        coded = compute.dictionary_encode(joint)
        known = [self.names.setdefault(name, len(self.names)) for name in coded.dictionary.to_pylist()]
        return np.array(known, np.int32)[coded.indices.to_numpy(zero_copy_only=False)]


@dataclass(frozen=True)
class _Rows:
    """Rows as they stand in the file, or reordered; `row` is each one's place in the file (None: as they stand)."""

    values: np.ndarray
    times: np.ndarray
    series: np.ndarray
    marks: np.ndarray
    row: np.ndarray | None = None

    def take(self, order: np.ndarray) -> _Rows:
        """These rows in this order."""
        row = order if self.row is None else self.row[order]
        return _Rows(_gather(self.values, order), self.times[order], self.series[order], self.marks[order], row)

    def place(self, at: int) -> int:
        """Where row `at` stands in the file, from 0."""
        return int(at if self.row is None else self.row[at])


def open_panel(
    path: str | Path, settings: DataSettings, *, time_format: str | None = None, frequency: Frequency | None = None
) -> Panel:
    """Read the columns that `settings` names, and check them.

    Args:
        settings: with `time`, `series`, `target`, `known` and `observed` filled in (see `schema.guess`).
        time_format, frequency: expected, where they are known from before.

    Raises:
        DataError: what is refused, with its line.
    """
    table = open_table(path, settings)
    columns = settings.target + settings.observed + settings.known
    _need(table, settings)
    time_format = time_format or _time_format(table, settings.time)
    notes: list[str] = []
    rows, names, mark_names, notation = _read(table, settings, columns, time_format, notes)
    if settings.missing == "refuse":
        _refuse_missing(table, rows, columns)
    rows = _sorted(table, rows, names, settings, notation, notes)
    rows = _unique(table, rows, settings, notation, notes)
    starts = _starts(rows.series)
    order = rows.series[starts[:-1]]
    panel = Panel(
        table.path,
        columns,
        rows.values,
        rows.times,
        starts,
        tuple(names[code] for code in order),
        notation,
        frequency or _frequency(table, rows, starts, notation),
        rows.marks if settings.split_column else None,
        mark_names,
    )
    return _even(table, panel, rows, settings, notes)


def _need(table: Table, settings: DataSettings) -> None:
    if settings.time:
        table.need([settings.time], "time")
    for flag in ("series", "target", "observed", "known"):
        table.need(getattr(settings, flag), flag)
    if settings.split_column:
        table.need([settings.split_column], "split-column")


def _time_format(table: Table, time: str | None) -> str:
    if time is None:
        return "row"
    found = timing.guess_format(row.get(time) for row in table.head)
    if found:
        return found
    # No format fits all the first rows: find the one that fits the first row, and the row that breaks it.
    first = timing.guess_format([row.get(time) for row in table.head[:1]])
    for at, row in enumerate(table.head):
        if first is None or timing.guess_format([row.get(time)]) is None:
            raise _bad_time(table, at, time, str(row.get(time)), None)
        if timing.parse(pa.array([str(row[time])]), first)[1] >= 0:
            raise _bad_time(table, at, time, str(row[time]), first)
    raise _bad_time(table, 0, time, str(table.head[0].get(time)), None)


def _bad_time(table: Table, row: int, column: str, text: str, expected: str | None) -> DataError:
    before = f" (the rows above are written as {expected})" if expected else ""
    return DataError(
        f"not a time: '{text[:40]}'{before}",
        path=table.path,
        line=line_of_row(table, row),
        column=column,
        remedy="write all times alike, such as 2024-01-31 or 2024-01-31 13:00:00; without the column rows are taken in "
        "order",
    )


def _read(
    table: Table, settings: DataSettings, columns: tuple[str, ...], time_format: str, notes: list[str]
) -> tuple[_Rows, list[str], tuple[str, ...], Notation]:
    time, split = settings.time, settings.split_column
    wanted: dict[str, Kind] = dict.fromkeys(columns, "number")
    wanted |= dict.fromkeys([*settings.series, *([split] if split else [])], "text")
    if time:
        wanted[time] = "time"
    values, times = Spill(np.float64, len(columns)), Spill(np.int64)
    series, marks = Spill(np.int32), Spill(np.int8)
    codes, mark_codes, zones = Codes(), Codes(), set[int]()
    for chunk in chunks(table, wanted):
        if time:
            stamps, bad = timing.parse(chunk[time], time_format)
            if bad >= 0:
                raise _bad_time(table, times.rows + bad, time, str(chunk[time][bad].as_py()), time_format)
            zones |= zones_of(chunk[time], time_format)
        else:
            stamps = np.arange(times.rows, times.rows + len(chunk[columns[0]]))
        times.append(stamps)
        values.append(np.stack([chunk[column] for column in columns], 1))
        if settings.series:
            series.append(codes.encode([chunk[name] for name in settings.series]))
        if split:
            marks.append(mark_codes.encode([chunk[split]]))
    # One series needs no code a row: a single zero stands for all of them.
    blank = np.broadcast_to(np.int32(0), times.rows)
    rows = _Rows(
        values.finish(),
        times.finish(),
        series.finish() if settings.series else blank,
        marks.finish() if split else blank,
    )
    if len(zones) > 1:
        notes.append(f"times of '{time}' have several offsets from UTC: they are told in UTC")
    notation = Notation(time_format, one_zone(zones))
    return rows, list(codes.names) or [""], tuple(mark_codes.names), notation


def _refuse_missing(table: Table, rows: _Rows, columns: tuple[str, ...]) -> None:
    for slab in slabs(rows.values):
        if np.isnan(rows.values[slab]).any():
            raise first_flaw(table, dict.fromkeys(columns, "number"), missing=True) or DataError(
                "empty cells in a number column", path=table.path, remedy="--missing mask or --missing fill"
            )


def _sorted(
    table: Table, rows: _Rows, names: list[str], settings: DataSettings, notation: Notation, notes: list[str]
) -> _Rows:
    if settings.series and (np.diff(rows.series) < 0).any():
        rows = rows.take(np.argsort(rows.series, kind="stable"))
    starts = _starts(rows.series)
    sizes, _ = timing.gap_sizes(rows.times, starts)
    if not len(sizes) or sizes[0] >= 0:
        return rows
    back = (np.diff(rows.times) < 0) & (np.diff(rows.series) == 0)
    if settings.sort:
        notes.append(f"sorted by {settings.time}: {int(back.sum())} rows stood before an earlier one")
        return rows.take(np.lexsort((rows.times, rows.series)))
    at = int(np.argmax(back)) + 1
    of = f" of series {names[int(rows.series[at])]}" if settings.series else ""
    now, before = (notation.show(int(rows.times[place])) for place in (at, at - 1))
    raise DataError(
        f"times{of} are not in order: {now} comes after {before}",
        path=table.path,
        line=line_of_row(table, rows.place(at)),
        column=settings.time or "",
        remedy="use --sort, or name the series columns with --series",
    )


def _unique(table: Table, rows: _Rows, settings: DataSettings, notation: Notation, notes: list[str]) -> _Rows:
    if 0 not in timing.gap_sizes(rows.times, _starts(rows.series))[0]:
        return rows
    again = (np.diff(rows.times) == 0) & (np.diff(rows.series) == 0)
    if settings.duplicates == "refuse":
        at = int(np.argmax(again)) + 1
        shown = notation.show(int(rows.times[at]))
        raise DataError(
            f"two rows at {shown}",
            path=table.path,
            line=line_of_row(table, rows.place(at)),
            column=settings.time or "",
            remedy="use --duplicates first, last or mean, or name the series columns with --series",
        )
    notes.append(f"{int(again.sum())} rows at a time already seen: kept the {settings.duplicates}")
    first = np.concatenate([[True], ~again])
    if settings.duplicates == "mean":
        runs = np.flatnonzero(first)
        counts = np.diff(np.append(runs, len(first)))
        there = ~np.isnan(rows.values)
        total = np.add.reduceat(np.where(there, rows.values, 0.0), runs, axis=0)
        known = np.add.reduceat(there.astype(np.int64), runs, axis=0)
        kept = rows.take(runs)
        mean = np.where(known > 0, total / np.maximum(known, 1), np.nan)
        return replace(kept, values=np.where(counts[:, None] > 1, mean, kept.values))
    keep = first if settings.duplicates == "first" else np.concatenate([~again, [True]])
    return rows.take(np.flatnonzero(keep))


def _starts(series: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(series)) + 1 if series.strides[0] else []
    return np.concatenate([[0], edges, [len(series)]]).astype(np.int64)


def _frequency(table: Table, rows: _Rows, starts: np.ndarray, notation: Notation) -> Frequency:
    found = timing.detect(rows.times, starts[:-1].tolist(), notation.time_format)
    if found:
        return found
    gaps = np.diff(rows.times)
    gaps[starts[1:-1] - 1] = 0
    sizes, counts = np.unique(gaps[gaps > 0], return_counts=True)
    usual = int(sizes[counts.argmax()])
    at = int(np.flatnonzero((gaps > 0) & (gaps % usual != 0))[0]) + 1
    before, now = (notation.show(int(rows.times[place])) for place in (at - 1, at))
    unit = "microsecond" if timing.is_date(notation.time_format) else "integer"
    name = Frequency(unit=unit, step=usual).name
    raise DataError(
        f"mixed frequency: most steps are {name}, but {now} follows {before}",
        path=table.path,
        line=line_of_row(table, rows.place(at)),
        remedy="resample the rows to even steps, or give a column of plain step numbers as --time",
    )


def _even(table: Table, panel: Panel, rows: _Rows, settings: DataSettings, notes: list[str]) -> Panel:
    """Refuse or fill steps that are missing."""
    if panel.frequency.unit == "row":
        return replace(panel, notes=tuple(notes))
    sizes, _ = timing.gap_sizes(panel.times, panel.starts)
    if panel.frequency.unit in ("integer", "microsecond") and (sizes == panel.frequency.step).all():
        return replace(panel, notes=tuple(notes))
    step = np.diff(panel.frequency.ordinals(panel.times))
    if panel.frequency.unit in ("integer", "microsecond"):
        step = np.diff(panel.times) // panel.frequency.step
        _on_grid(table, panel, rows)
    step[panel.starts[1:-1] - 1] = 1
    holes = step != 1
    if not holes.any():
        return replace(panel, notes=tuple(notes))
    at = int(np.argmax(holes)) + 1
    if settings.gaps == "refuse":
        raise DataError(
            f"a gap: {int(step[at - 1]) - 1} {panel.frequency.name} steps are missing between "
            f"{panel.shown(at - 1)} and {panel.shown(at)}",
            path=panel.path,
            line=line_of_row(table, rows.place(at)),
            column=settings.time or "",
            remedy="mend the file, or use --gaps fill (with --missing mask or --missing fill)",
        )
    how = ", masked" if settings.missing == "mask" else ", filled with the value before; never scored"
    notes.append(f"{int(step[holes].sum() - holes.sum())} missing steps inserted in {int(holes.sum())} gaps{how}")
    return _insert(panel, step, notes)


def _on_grid(table: Table, panel: Panel, rows: _Rows) -> None:
    off = np.diff(panel.times) % panel.frequency.step != 0
    off[panel.starts[1:-1] - 1] = False
    if off.any():
        at = int(np.argmax(off)) + 1
        raise DataError(
            f"mixed frequency: steps are {panel.frequency.name}, but {panel.shown(at)} follows {panel.shown(at - 1)}",
            path=panel.path,
            line=line_of_row(table, rows.place(at)),
            remedy="resample the rows to even steps",
        )


def _insert(panel: Panel, step: np.ndarray, notes: list[str]) -> Panel:
    places = np.concatenate([[0], np.cumsum(step)])
    total = int(places[-1]) + 1
    values = np.full((total, panel.values.shape[1]), np.nan)
    values[places] = panel.values
    # Each row copies the time of the last row that is there, then steps on from it.
    source = np.cumsum(np.bincount(places, minlength=total)) - 1
    ahead = np.arange(total) - places[source]
    times = panel.times[source].copy()
    for at in np.flatnonzero(ahead):
        times[at] = panel.frequency.later(int(panel.times[source[at]]), ahead[at : at + 1])[0]
    marks = None if panel.marks is None else panel.marks[source]
    starts = np.append(places[panel.starts[:-1]], total)
    return replace(panel, values=values, times=times, marks=marks, starts=starts, notes=tuple(notes))


def _gather(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows in another order, spilled like their source."""
    spill = Spill(values.dtype, values.shape[1])
    size = 1 << 18
    for start in range(0, len(order), size):
        spill.append(values[order[start : start + size]])
        drop_pages(values)
    return spill.finish()
