"""Rows into a file, a batch at a time: CSV, JSON lines or Parquet, by the file's suffix; CSV on standard output.

A file gets its name once it is whole. Numbers are written so that they read back as the same float.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from remanence.errors import SettingError
from remanence.storage import no_write_errors, write_file

__all__ = ["FORMATS", "check_suffix", "write_rows", "write_rows_to_stdout"]

Rows = Iterator[dict[str, Any]]
PARQUET_ROWS = 16384
_MARKS = re.compile(r'[",\r\n]')


def check_suffix(out: Path) -> None:
    """Refuse a name whose suffix says no format, before anything is computed.

    Raises:
        SettingError: with the suffixes that can be written.
    """
    if out.suffix.lower() not in FORMATS:
        raise SettingError(
            f"cannot tell a format from '{out.name}'",
            name="out",
            remedy=f"end it with one of {', '.join(FORMATS)}",
        )


def write_rows(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Write rows into a file; how many there were. Nothing is left behind when it fails.

    Args:
        rows: dictionaries with the same keys.
        out: its suffix chooses the format (see `FORMATS`).

    Raises:
        SettingError: a suffix without a format.
        MachineError: the disk is full, or no permission.
    """
    check_suffix(out)
    counted = _Counted(rows)
    write_file(out, lambda file: FORMATS[out.suffix.lower()](iter(counted), file))
    return counted.count


def write_rows_to_stdout(rows: Iterable[dict[str, Any]], stream: TextIO | None = None) -> int:
    """Write rows as CSV to standard output; how many there were. A reader that closes early (`| head`) ends it."""
    counted = _Counted(rows)
    output: TextIO = sys.stdout if stream is None else stream
    try:
        with no_write_errors("standard output"):
            _write_csv_text(iter(counted), output)
            output.flush()
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return counted.count


class _Counted:
    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self.rows, self.count = rows, 0

    def __iter__(self) -> Rows:
        for row in self.rows:
            self.count += 1
            yield row


def _write_csv_text(rows: Rows, stream: TextIO) -> None:
    first = next(rows, None)
    if first is None:
        return
    stream.write(_csv_line(first))
    for row in chain([first], rows):
        stream.write(_csv_line(row[name] for name in first))


def _csv_line(cells: Iterable[Any]) -> str:
    """Cells as they are (a label that looks like a formula stays that label), quoted where they must be.

    Python's own writer leaves a carriage return bare, which readers take for the end of the row.
    """
    texts = ["" if cell is None else str(cell) for cell in cells]
    quoted = [f'"{text.replace(chr(34), chr(34) * 2)}"' if _MARKS.search(text) else text for text in texts]
    return (",".join(quoted) if quoted != [""] else '""') + "\n"


def _write_csv(rows: Rows, file: BinaryIO) -> None:
    import io

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    try:
        _write_csv_text(rows, text)
    finally:
        text.flush()
        text.detach()


def _write_jsonl(rows: Rows, file: BinaryIO) -> None:
    for row in rows:
        file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def _write_parquet(rows: Rows, file: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    try:
        while piece := list(islice(rows, PARQUET_ROWS)):
            table = pa.Table.from_pylist(piece, schema=writer.schema if writer else None)
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer is None:
            pq.write_table(pa.table({}), file)
    finally:
        if writer is not None:
            writer.close()


FORMATS: dict[str, Callable[[Rows, BinaryIO], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".ndjson": _write_jsonl,
    ".parquet": _write_parquet,
}
"""Suffix → writer."""
