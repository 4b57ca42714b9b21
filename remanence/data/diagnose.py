"""Find the line of a flaw, by a second and slow look at a file that is known to have one."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from remanence.data.rows import MISSING, Kind, Table, as_number, raw_rows, refuse_bytes
from remanence.errors import DataError

__all__ = ["check_cells", "first_flaw", "line_of_row", "number_remedy", "thousands_of"]

_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
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
        if isinstance(cell, str):
            column = table.columns[place] if table.columns else ""
            refuse_bytes(cell, table.path, line, column=column, where=f" in cell {place + 1}")


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
    if table.format == "parquet" and isinstance(value, bool):
        return
    if table.format == "jsonl" and isinstance(value, str):
        raise flaw(f"expected a number, came the text '{value[:40]}'", "write numbers without quotes")
    number = as_number(value)
    if number is None or math.isnan(number):
        raise flaw(f"expected a number, came '{_shown(value)}'", number_remedy(str(value)))
    if math.isinf(number):
        raise flaw(f"expected a finite number, came '{value}'", "mend the cell; an empty one can be masked")


def _shown(value: Any) -> str:
    return " ".join(str(value)[:40].split())


def thousands_of(values: Sequence[Any]) -> str:
    """The first cell with thousands separators, of numbers with and without them; "" where some are anything else.

    Example:
        >>> thousands_of(["998.5", "1,047.5"]), thousands_of(["1,5"]), thousands_of(["1,047", "none"])
        ('1,047.5', '', '')
    """
    separated = [str(value) for value in values if as_number(value) is None]
    return separated[0] if separated and all(_THOUSANDS.fullmatch(text.strip()) for text in separated) else ""


def number_remedy(text: str) -> str:
    """What to do about a text where a number belongs."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if "\n" in text:
        return "is a quotation mark left open here? close it, or double it within a quoted cell"
    if _THOUSANDS.fullmatch(plain) and (plain.count(",") > 1 or "." in plain):
        return f"remove the commas, which separate thousands: {plain.replace(',', '')}"
    if re.fullmatch(r"[+-]?\d+,\d+", plain, re.ASCII):
        return f"write it with a decimal point, {plain.replace(',', '.')}, or without separators"
    if "_" in plain and as_number(plain.replace("_", "")) is not None:
        return f"write it as {plain.replace('_', '')}"
    if not text.isascii() and as_number(plain) is not None:
        return f"write it in half-width digits: {plain}"
    return "mend the cell, or leave the column out"
