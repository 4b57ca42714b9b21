"""Open a table of named columns and stream it in chunks of bounded size: CSV, TSV, JSON lines, Parquet, plain text.

A chunk is a mapping column → array: numbers as float64 (NaN where the cell is empty), texts as Arrow strings, times
as they come (Arrow strings, integers, dates or timestamps). What cannot be read is found again by `diagnose`,
which names its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as papq

from remanence.data.arrow import compute
from remanence.data.diagnose import check_cells, first_flaw
from remanence.data.rows import MISSING, Kind, Table, as_number, plain_rows, raw_rows
from remanence.data.sources import file_format, find, open_bytes, open_native, reading
from remanence.data.times import guess_format
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["Chunk", "chunks", "open_table"]

Chunk = dict[str, Any]

_BLOCK = 1 << 20
_HEAD = 1000


def chunks(table: Table, wanted: Mapping[str, Kind]) -> Iterator[Chunk]:
    """Stream the wanted columns of a file.

    Raises:
        DataError: a malformed row, a text in a number column, an infinite number, bad UTF-8: with its line.
    """
    readers = {"jsonl": _json, "parquet": _parquet}
    try:
        with reading(table.path):
            for batch in readers.get(table.format, _csv)(table, wanted):
                chunk = {name: _column(batch.column(name), kind) for name, kind in wanted.items()}
                numbers = [chunk[name] for name, kind in wanted.items() if kind == "number"]
                if any(np.isinf(column).any() for column in numbers):
                    raise pa.ArrowInvalid("an infinite number")
                yield chunk
        pa.default_memory_pool().release_unused()
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise first_flaw(table, wanted) or DataError(
            str(error).splitlines()[0], path=table.path, remedy="is the format right? see --format"
        ) from None


def _csv(table: Table, wanted: Mapping[str, Kind]) -> Iterator[pa.RecordBatch]:
    types = {name: pa.float64() if kind == "number" else pa.string() for name, kind in wanted.items()}
    read = pacsv.ReadOptions(block_size=_BLOCK, column_names=None if table.header else list(table.columns))
    parse = pacsv.ParseOptions(
        delimiter=table.delimiter, quote_char='"' if table.quoted else False, newlines_in_values=table.quoted
    )
    convert = pacsv.ConvertOptions(
        column_types=types, include_columns=list(wanted), null_values=list(MISSING), strings_can_be_null=False
    )
    with open_native(table.path) as file:
        for batch in pacsv.open_csv(file, read_options=read, parse_options=parse, convert_options=convert):
            if any(_holds_nul(column) for column in batch.columns):
                raise pa.ArrowInvalid("a NUL byte")
            yield batch


def _holds_nul(column: pa.Array) -> bool:
    text = column.buffers()[-1] if column.type == pa.string() else None
    return text is not None and not np.frombuffer(text, np.uint8).all()


def _json(table: Table, wanted: Mapping[str, Kind]) -> Iterator[pa.RecordBatch]:
    types = {name: _json_type(table.head, name, kind) for name, kind in wanted.items()}
    parse = pajson.ParseOptions(explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore")
    with open_bytes(table.path) as file:
        while lines := b"".join(file.readlines(_BLOCK)):
            if not lines.strip():
                continue
            read = pajson.ReadOptions(use_threads=False, block_size=len(lines) + 1)
            block = pajson.read_json(pa.BufferReader(_native(lines)), read_options=read, parse_options=parse)
            yield from block.combine_chunks().to_batches()


def _native(content: bytes) -> pa.Buffer:
    """A copy in Arrow's own memory, for the reason that `open_native` gives."""
    copy = pa.BufferOutputStream()
    copy.write(content)
    return copy.getvalue()


def _parquet(table: Table, wanted: Mapping[str, Kind]) -> Iterator[pa.RecordBatch]:
    with papq.ParquetFile(table.path) as file:
        yield from file.iter_batches(batch_size=1 << 16, columns=list(wanted))


def open_table(path: str | Path, settings: DataSettings) -> Table:
    """Open a file and read its header and first rows.

    Raises:
        DataError: the file is missing, empty, has no rows, two columns of one name, or another delimiter.
    """
    path = find(path)
    kind = file_format(path, settings.format)
    if kind == "parquet":
        table = _open_parquet(path)
    elif kind == "jsonl":
        table = _open_json(path)
    else:
        delimiter = settings.delimiter or ("," if kind == "csv" else "\t")
        table = _open_csv(path, kind, delimiter, settings.columns)
    if not table.head:
        raise DataError("a header and no rows", path=path, line=1, remedy="expected rows below the header")
    return table


def _open_csv(path: Path, kind: str, delimiter: str, names: tuple[str, ...]) -> Table:
    if len(delimiter) != 1:
        raise DataError(f"the delimiter is one character, came '{delimiter}'", path=path, remedy="--delimiter ','")
    bare = Table(path, kind, (), delimiter, header=False)
    line, first = next(raw_rows(bare), (1, []))
    if names:
        columns = names
        table = Table(path, kind, columns, delimiter, header=False)
    elif kind == "text":
        columns = ("text",) if len(first) < 2 else ("label", "text")
        table = Table(path, kind, columns, delimiter, header=False)
    else:
        columns = tuple(first)
        check_cells(bare, line, first)
        _check_header(path, columns, delimiter)
        _refuse_values(path, line, columns)
        table = Table(path, kind, columns, delimiter)
    head = []
    for line, cells in islice(raw_rows(table), _HEAD):
        check_cells(table, line, cells)
        head.append(dict(zip(columns, cells, strict=True)))
    return Table(path, kind, columns, delimiter, tuple(head), table.header)


def _check_header(path: Path, columns: Sequence[str], delimiter: str) -> None:
    seen: set[str] = set()
    for column in columns:
        if column in seen:
            raise DataError("two columns have this name", path=path, line=1, column=column, remedy="rename one")
        seen.add(column)
    names = {";": "';'", "\t": "'\\t'", "|": "'|'", ",": "','"}
    for other, shown in names.items():
        if len(columns) == 1 and other != delimiter and other in columns[0]:
            raise DataError(
                f"one column named '{columns[0][:60]}': is {shown} the delimiter?".replace("\t", "\\t"),
                path=path,
                line=1,
                remedy=f"--delimiter {shown}",
            )


def _refuse_values(path: Path, line: int, columns: Sequence[str]) -> None:
    """Refuse a first line of numbers and times; whole numbers that count up (0,1,2 or years) may be names."""
    if not all(as_number(cell) is not None or guess_format([cell]) for cell in columns):
        return
    counts = [int(cell) for cell in columns if cell.isascii() and cell.isdecimal()]
    first = counts[0] if counts else 0
    if counts != list(range(first, first + len(columns))) or (len(columns) == 1 and first):
        raise DataError(
            f"values ({', '.join(columns)[:40]}), expected a line of names",
            path=path,
            line=line,
            remedy="add one above it, such as date,load",
        )


def _open_json(path: Path) -> Table:
    bare = Table(path, "jsonl", ())
    head = tuple(row[0] for _, row in islice(raw_rows(bare), _HEAD))
    columns = tuple(dict.fromkeys(name for row in head for name in row))
    return Table(path, "jsonl", columns, head=head)


def _open_parquet(path: Path) -> Table:
    try:
        with papq.ParquetFile(path) as file:
            columns = tuple(file.schema_arrow.names)
            first = next(file.iter_batches(_HEAD), None)
            head = tuple(plain_rows(first, path)) if first is not None else ()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"not a whole Parquet file ({str(error).splitlines()[0][:100]})", path=path, remedy="copy it again"
        ) from None
    return Table(path, "parquet", columns, head=head)


def _json_type(head: Iterable[Mapping[str, Any]], name: str, kind: Kind) -> pa.DataType:
    if kind == "number":
        return pa.float64()
    types = {type(row[name]) for row in head if row.get(name) is not None}
    if types == {bool}:
        return pa.bool_()
    if types == {int}:
        return pa.int64()
    return pa.float64() if types and types <= {int, float} else pa.string()


def _column(column: pa.Array, kind: Kind) -> Any:
    if kind == "number":
        if column.type != pa.float64():
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                raise pa.ArrowInvalid("text where a number was expected")
            column = column.cast(pa.float64(), safe=False)
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kind == "text":
        if column.type != pa.string():
            column = column.cast(pa.string())
        return compute.fill_null(column, "")
    return column
