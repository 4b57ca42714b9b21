"""Plain texts: one long one, read block by block, or many short ones, a line or a row each; none stays in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from remanence.data.diagnose import line_of_row
from remanence.data.panel import Codes
from remanence.data.rows import Table, as_number, refuse_bytes
from remanence.data.sources import file_format, find, open_text, reading
from remanence.data.spills import Spill
from remanence.data.tables import chunks, open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["Documents", "LongText", "text_column"]

_BLOCK = 1 << 20
_LINES = 1 << 12
_NAMES = ("text", "sentence", "content", "review", "文本", "内容", "句子")


@dataclass(frozen=True)
class LongText:
    """One text, as long as its file.

    Args:
        path: a UTF-8 file; a mark of byte order at its start is left out, every line end is read as a line feed, all
            else is kept.
    """

    path: Path

    @cached_property
    def characters(self) -> int:
        """How many characters it has."""
        return sum(map(len, self._blocks()))

    def pieces(self, start: int, stop: int) -> Iterator[str]:
        """The characters `start … stop - 1` in pieces of about a million, cut before white space where there is some.

        Raises:
            DataError: bytes that are not UTF-8, with their line.
        """
        at, held = 0, ""
        for block in self._blocks():
            inside = block[max(start - at, 0) : max(stop - at, 0)]
            at += len(block)
            if not inside:
                continue
            text = held + inside
            cut = max(text.rfind(" "), text.rfind("\n"))
            cut = cut if cut > 0 else len(text)
            yield text[:cut]
            held = text[cut:]
        if held:
            yield held

    def _blocks(self) -> Iterator[str]:
        line = 1
        with reading(self.path), open_text(self.path, newline=None) as file:
            while block := file.read(_BLOCK):
                _check(block, self.path, line)
                line += block.count("\n")
                yield block


class Documents:
    """Many texts of one file: each line of a `.txt` that is not blank, or each row of a table's text column.

    Args:
        path, settings: the file; `input` names the column of a table, `split_column` the one of train, valid and test.

    Raises:
        DataError: no text at all, no such column, an empty text in a table.
    """

    def __init__(self, path: str | Path, settings: DataSettings) -> None:
        self.path = find(path)
        self.table: Table | None = None
        self.column = "text"
        self.marks: np.ndarray | None = None
        self.mark_names: tuple[str, ...] = ()
        if file_format(self.path, settings.format) == "text":
            self._count = sum(len(batch) for batch in self.batches())
        else:
            self.table = open_table(self.path, settings)
            self.column = text_column(self.table, settings)
            self._count = self._survey(settings.split_column)
        if not self._count:
            raise DataError("no text in it", path=self.path, remedy="expected a text a line")

    def __len__(self) -> int:
        return self._count

    def batches(self) -> Iterator[list[str]]:
        """The texts in order, some thousands at a time."""
        if self.table is None:
            yield from self._lines()
            return
        row = 0
        for chunk in chunks(self.table, {self.column: "text"}):
            texts = [text.strip() for text in chunk[self.column].to_pylist()]
            if "" in texts:
                at = line_of_row(self.table, row + texts.index(""))
                raise DataError("an empty text", path=self.path, line=at, column=self.column, remedy="remove the row")
            row += len(texts)
            yield texts

    def _lines(self) -> Iterator[list[str]]:
        with reading(self.path), open_text(self.path) as file:
            held: list[str] = []
            for number, line in enumerate(file, 1):
                _check(line, self.path, number)
                if text := line.strip():
                    held.append(text)
                if len(held) == _LINES:
                    yield held
                    held = []
            yield held

    def _survey(self, split_column: str | None) -> int:
        """Count the rows, and keep which part each is marked for."""
        assert self.table is not None
        if split_column is None:
            return sum(len(batch) for batch in self.batches())
        self.table.need([split_column], "split-column")
        codes, marks = Codes(), Spill(np.int32)
        for chunk in chunks(self.table, {split_column: "text"}):
            marks.append(codes.encode([chunk[split_column]]))
        self.marks, self.mark_names = marks.finish(), tuple(codes.names)
        return len(self.marks)


def text_column(table: Table, settings: DataSettings) -> str:
    """The column that holds the texts: as named, or the one whose name or length says so.

    Raises:
        DataError: there is none.
    """
    if settings.input:
        table.need(settings.input, "input")
        return settings.input[0]
    texts = [name for name in table.columns if any(_is_words(row.get(name)) for row in table.head)]
    texts = [name for name in texts if name != settings.split_column]
    if not texts:
        raise DataError(
            "no column of texts", path=table.path, line=1, remedy=f"columns: {', '.join(table.columns[:12])} (--input)"
        )
    named = [name for name in _NAMES if name in texts]
    return named[0] if named else max(texts, key=lambda name: sum(len(str(row.get(name))) for row in table.head))


def _is_words(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and as_number(value) is None


def _check(text: str, path: Path, line: int) -> None:
    """Refuse what is not UTF-8; `line` is where the text begins."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        begin = text.rfind("\n", 0, error.start) + 1
        end = text.find("\n", error.start)
        refuse_bytes(text[begin : end if end >= 0 else len(text)], path, line + text.count("\n", 0, error.start))
