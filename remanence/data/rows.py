"""A file whose columns have names, and its rows with their lines, read slowly by the standard library."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as papq

from remanence.data.sources import open_text, reading
from remanence.errors import DataError

__all__ = ["MISSING", "Kind", "Table", "as_number", "plain_rows", "raw_rows", "refuse_bytes"]

Kind = Literal["number", "text", "time"]
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "#N/A")
"""What counts as an empty cell in a number column of a text file."""


@dataclass(frozen=True)
class Table:
    """A file whose columns have names.

    Args:
        path: the file.
        format: csv, tsv, jsonl, parquet or text.
        columns: names, in the order of the file.
        delimiter: between cells.
        head: the first rows, column → value (text in text files), to guess from.
        header: False where the file has no line of names.
    """

    path: Path
    format: str
    columns: tuple[str, ...]
    delimiter: str = ","
    head: tuple[dict[str, Any], ...] = ()
    header: bool = True

    @property
    def quoted(self) -> bool:
        """Whether a cell may stand in quotes (and hold the delimiter or a line break)."""
        return self.format == "csv"

    def need(self, columns: Iterable[str], flag: str) -> None:
        """Refuse a column that is not there, and suggest the nearest name."""
        for column in columns:
            if column not in self.columns:
                # A name that is only written in other letters is nearest.
                alike = [name for name in self.columns if name.casefold() == column.casefold()]
                close = alike or get_close_matches(column, self.columns, n=1, cutoff=0.5)
                hint = f"did you mean '{close[0]}'?" if close else f"columns: {', '.join(self.columns[:12])}"
                raise DataError(f"no such column (--{flag})", path=self.path, line=1, column=column, remedy=hint)


def as_number(value: Any) -> float | None:
    """The number in a cell, as Arrow reads it, or None: Python alone would take `1_000` and `１２`, too.

    Example:
        >>> as_number(" 1.5"), as_number("1_000"), as_number(True)
        (1.5, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and ("_" in value or not value.isascii() or value.strip() != value.strip(" \t\r\n")):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def refuse_bytes(text: str, path: Path, line: int, *, column: str = "", where: str = "") -> None:
    """Refuse text that holds bytes which are not UTF-8 (surrogates, as `open_text` gives them).

    Raises:
        DataError: names the byte, or the encoding where it looks like Chinese of another one.
    """
    if not any("\udc80" <= letter <= "\udcff" for letter in text):
        return
    chinese = _as_chinese(text.encode("utf-8", "surrogateescape"))
    if chinese:
        raise DataError(
            f"not UTF-8, looks like GB18030 (GBK): '{chinese[:20]}'{where}",
            path=path,
            line=line,
            column=column,
            remedy=f"convert it with iconv -f GB18030 -t UTF-8 {path.name} > utf8-{path.name}",
        )
    byte = next(ord(letter) - 0xDC00 for letter in text if "\udc80" <= letter <= "\udcff")
    raise DataError(
        f"not UTF-8: byte 0x{byte:02x}{where}", path=path, line=line, column=column, remedy="save the file as UTF-8"
    )


def _as_chinese(content: bytes) -> str:
    """The text of GB18030 bytes, or nothing where its letters are not those of everyday Chinese."""
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    foreign = "".join(letter for letter in text if not letter.isascii())
    everyday = foreign.encode("gb2312", "ignore").decode("gb2312")
    return text if len(everyday) > 0.8 * len(foreign) else ""


def plain_rows(batch: pa.RecordBatch, path: Path) -> list[dict[str, Any]]:
    """Rows of Arrow as Python's own values.

    Raises:
        DataError: a text that is not UTF-8, a date that no calendar has.
    """
    try:
        return batch.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:100]
        raise DataError(f"a value cannot be read ({reason})", path=path, remedy="write the file again") from None


def raw_rows(table: Table) -> Iterator[tuple[int, list[Any]]]:
    """Every row with the line it starts on, read slowly by the standard library: for the head, and to find flaws.

    JSON lines give a list of one parsed object; Parquet counts rows from 1.
    """
    with reading(table.path):
        if table.format == "parquet":
            with papq.ParquetFile(table.path) as file:
                rows = (row for batch in file.iter_batches(1 << 14) for row in plain_rows(batch, table.path))
                for line, row in enumerate(rows, 1):
                    yield line, list(row.values())
            return
        with open_text(table.path) as lines:
            if table.format == "jsonl":
                yield from _raw_json(table.path, lines)
                return
            csv.field_size_limit(1 << 30)
            quoting = csv.QUOTE_MINIMAL if table.quoted else csv.QUOTE_NONE
            reader = csv.reader(lines, delimiter=table.delimiter, quoting=quoting)
            line = 1
            for number, row in enumerate(reader):
                if row and (number or not table.header):
                    yield line, row
                line = reader.line_num + 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; Python alone would keep the last of two like keys, where Arrow refuses them."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key '{next(name for name in names if names.count(name) > 1)[:40]}' stands there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is none of its numbers, write null")


def _halved(value: Any) -> bool:
    """Whether a text in it holds one surrogate of a pair without the other."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _raw_json(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, list[Any]]]:
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        refuse_bytes(text, path, line)
        try:
            value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            what = f"{error.msg} at character {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(
                f"not JSON: {what[:100]}",
                path=path,
                line=line,
                remedy='expected one object a line, such as {"text": "…", "label": "…"}',
            ) from None
        if "\\ud" in text.lower() and _halved(value):
            raise DataError("half of a character (\\ud800 … \\udfff)", path=path, line=line, remedy="mend the line")
        if not isinstance(value, dict):
            raise DataError(
                f"expected an object, came {text.strip()[:40]}", path=path, line=line, remedy="one {…} a line"
            )
        yield line, [value]
