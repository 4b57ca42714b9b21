"""Tables with a token a row: a column says which sentence it belongs to, at every row or where a sentence begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from remanence.data.diagnose import line_of_row
from remanence.data.rows import Kind, Table, as_number
from remanence.data.sources import TABLES, file_format
from remanence.data.step_records import Sentence, StepRecords, gather_sentences
from remanence.data.tables import chunks, open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["holds_words", "read_words"]


def holds_words(path: str | Path, settings: DataSettings) -> bool:
    """Whether the one input column of a table holds tokens, not numbers."""
    if len(settings.input) != 1 or settings.position or file_format(Path(path), settings.format) not in TABLES:
        return False
    head = [row.get(settings.input[0]) for row in open_table(path, settings).head]
    return any(isinstance(value, str) and value.strip() and as_number(value) is None for value in head)


def read_words(path: str | Path, settings: DataSettings, *, answers: bool = True) -> StepRecords:
    """Read tokens row by row.

    Args:
        settings: input, sequence and label.
        answers: labels must be there.

    Raises:
        DataError: an empty token or label, a sentence whose rows stand apart: with its line.
    """
    table = open_table(path, settings)
    table.need(settings.input, "input")
    table.need(settings.sequence, "sequence")
    table.need([settings.label or "label"] if answers else [], "label")
    return gather_sentences(table.path, _sentences(table, settings, answers), lambda step: line_of_row(table, step))


def _sentences(table: Table, settings: DataSettings, answers: bool) -> Iterator[Sentence]:
    """Neighbouring rows of one sentence; an empty cell says that a row goes on with the sentence before it."""
    token, label = settings.input[0], settings.label or "label"
    group, mark = (name if answers else None for name in (settings.group, settings.split_column))
    wanted = [token, *settings.sequence, *(name for name in (label, group, mark) if name and answers)]
    current, name, seen = None, "", set[str]()
    for row, cells in enumerate(_rows(table, wanted)):
        own = " ".join(cells[column].strip() for column in settings.sequence).strip()
        if current is None or (own and own != name):
            if current is not None:
                yield current
            if own in seen:
                raise DataError(
                    f"the rows of sentence '{own[:60]}' stand apart", path=table.path, line=line_of_row(table, row),
                    column=settings.sequence[0], remedy="bring the rows of a sentence together",
                )  # fmt: skip
            seen.add(own)
            name = own
            of = (cells[column] if column else "" for column in (group, mark))
            current = Sentence(row + 2, [], [] if answers else None, *of)
        current.tokens.append(_cell(table, cells, token, row))
        if current.labels is not None:
            current.labels.append(_cell(table, cells, label, row))
    if current is not None:
        yield current


def _rows(table: Table, columns: list[str]) -> Iterator[dict[str, str]]:
    wanted: dict[str, Kind] = dict.fromkeys(columns, "text")
    for chunk in chunks(table, wanted):
        lists = [chunk[column].to_pylist() for column in wanted]
        for cells in zip(*lists, strict=True):
            yield dict(zip(wanted, cells, strict=True))


def _cell(table: Table, cells: dict[str, str], column: str, row: int) -> str:
    if not (cell := cells[column].strip()):
        line = line_of_row(table, row)
        raise DataError("an empty cell", path=table.path, line=line, column=column, remedy="fill it, or remove the row")
    return cell
