"""Find the line of a flaw, by a second and slow look at a file that is known to have one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from remanence.data.rows import MISSING, Kind, Table, raw_rows
from remanence.errors import DataError

__all__ = ["check_cells", "first_flaw", "line_of_row"]

_MISSING_REMEDY = "mend it, or use --missing mask or --missing fill"


def line_of_row(table: Table, row: int) -> int:
    """The line on which row `row` (from 0, in the order of the file) starts."""
    return next(islice(raw_rows(table), row, None), (0, []))[0]


def first_flaw(table: Table, wanted: Mapping[str, Kind], *, missing: bool = False) -> DataError | None:
    """Find the first row that cannot be read.

    Args:
        wanted: columns to look at, and what they should hold.
        missing: an empty cell in a number column counts as a flaw.
    """
    try:
        for line, cells in raw_rows(table):
            if table.format == "jsonl":
                row = cells[0]
            else:
                check_cells(table, line, cells)
                row = dict(zip(table.columns, cells, strict=True))
            for column, kind in wanted.items():
                _check(table, line, column, row.get(column, _Absent), kind, missing)
    except DataError as error:
        return error
    return None


def check_cells(table: Table, line: int, cells: list[Any]) -> None:
    """Refuse a row that is ragged or holds bytes that are not UTF-8."""
    if table.columns and len(cells) != len(table.columns):
        raise DataError(
            f"expected {len(table.columns)} cells, came {len(cells)}",
            path=table.path,
            line=line,
            remedy="quote cells that hold the delimiter" if table.quoted else "one delimiter between two cells",
        )
    for place, cell in enumerate(cells):
        if isinstance(cell, str) and any("\udc80" <= letter <= "\udcff" for letter in cell):
            byte = next(ord(letter) - 0xDC00 for letter in cell if "\udc80" <= letter <= "\udcff")
            raise DataError(
                f"not UTF-8: byte 0x{byte:02x} in cell {place + 1}",
                path=table.path,
                line=line,
                column=table.columns[place] if table.columns else "",
                remedy="save the file as UTF-8 (for GBK: iconv -f GBK -t UTF-8)",
            )


class _Absent:
    """Stands for a key that a JSON line does not have."""


def _check(table: Table, line: int, column: str, value: Any, kind: Kind, missing: bool) -> None:
    def flaw(message: str, remedy: str) -> DataError:
        return DataError(message, path=table.path, line=line, column=column, remedy=remedy)

    if value is _Absent:
        if kind == "number" and not missing:
            return
        raise flaw("this line has no such key", "give every line the same keys")
    if kind != "number":
        if isinstance(value, dict | list):
            raise flaw(f"expected text, came {str(value)[:40]}", "flatten nested values first")
        first = next((row[column] for row in table.head if row.get(column) is not None), value)
        numbers = isinstance(value, int | float) and isinstance(first, int | float)
        if table.format == "jsonl" and value is not None and type(value) is not type(first) and not numbers:
            raise flaw(f"mixed types: {value!r}, the first line has {first!r}", "write one type in one column")
        return
    if value is None or (isinstance(value, str) and value.strip() in MISSING) or value != value:
        if missing:
            shown = f"'{value}'" if isinstance(value, str) and value else "an empty cell"
            shown = "NaN" if isinstance(value, float) else shown
            raise flaw(f"expected a number, came {shown}", _MISSING_REMEDY)
        return
    try:
        number = math.nan if isinstance(value, dict | list) else float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise flaw(f"expected a number, came '{str(value)[:40]}'", "mend the cell, or leave the column out")
    if math.isinf(number):
        raise flaw(f"expected a finite number, came '{value}'", "mend the cell; an empty one can be masked")
