"""Sources and the texts to write for them, as they stand in files, before anything is fitted.

a table          a row is a pair: the column `input`, the column `answer`
parallel files   line i of one belongs to line i of the other: `train.de` with the answer "en" is read with `train.en`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from remanence.data.diagnose import line_of_row
from remanence.data.media.listing import SOUNDS, VECTORS, VIDEOS
from remanence.data.media.sphinx import is_list, read_list
from remanence.data.panel import Codes
from remanence.data.rows import Kind, Table, refuse_bytes
from remanence.data.sources import COMPRESSED, TABLES, find, format_of_name, open_text, reading
from remanence.data.spills import Spill
from remanence.data.tables import chunks, open_table
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["Pairs", "is_parallel", "read_pairs"]

_LINES = 1 << 12


@dataclass(frozen=True)
class Pairs:
    """The pairs of one table, or of two parallel files.

    Args:
        path: the file of the sources; `other`, of parallel files, that of the answers.
        table: the open table; None for parallel files.
        input, answer: their columns; `answer` is None where answers are not needed.
        labels: all alike, int64 `[pair]`; pairs have no classes to divide by.
        held: sources and answers that stand in no table: lists of sounds, a sound alone.
        groups, marks: codes of `group` and `split_column`, or None; `mark_names` are what marks stand for.
    """

    path: Path
    other: Path | None
    table: Table | None
    input: str
    answer: str | None
    labels: np.ndarray
    groups: np.ndarray | None = None
    marks: np.ndarray | None = None
    mark_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ("pairs",)
    columns: tuple[str, ...] = field(default=())
    held: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that was read."""
        return (self.path,) if self.other is None else (self.path, self.other)

    def sources(self, places: np.ndarray | None = None) -> Iterator[list[str]]:
        """What is read, some thousands at a time: texts, or whatever the column names (files of sound, say).

        Args:
            places: of these pairs alone, in the order of the file.
        """
        yield from self._chosen(self.input, self.path, places)

    def answers(self, places: np.ndarray | None = None) -> Iterator[list[str]]:
        """The texts to write, some thousands at a time."""
        assert self.answer is not None
        yield from self._chosen(self.answer, self.other or self.path, places)

    def line(self, place: int) -> int:
        """Line at which a pair starts."""
        return place + 1 if self.table is None else line_of_row(self.table, place)

    @property
    def alone(self) -> bool:
        """Whether the file is itself what is read: one sound, or one video."""
        return self.held is not None and self.held[0] == (self.path.name,)

    def refusal(self, place: int, message: str, remedy: str) -> DataError:
        """What is wrong with the file that a pair names."""
        if self.alone:
            return DataError(message.removeprefix(f"{self.path.name}: "), path=self.path, remedy=remedy)
        column = self.input if self.held is None else ""
        return DataError(message, path=self.path, line=self.line(place), column=column, remedy=remedy)

    def where(self, place: int) -> str:
        """Where a pair stands, for a person."""
        if self.alone:
            return self.path.name
        return f"{self.path.name}, {'line' if self.table is None else 'row'} {place + 1:,}"

    def _chosen(self, column: str, path: Path, places: np.ndarray | None) -> Iterator[list[str]]:
        kept = None
        if places is not None:
            kept = np.zeros(len(self), bool)
            kept[places] = True
        row = 0
        for batch in self._batches(path, column):
            yield (
                batch
                if kept is None
                else [text for text, wanted in zip(batch, kept[row : row + len(batch)], strict=True) if wanted]
            )
            row += len(batch)

    def _batches(self, path: Path, column: str) -> Iterator[list[str]]:
        if self.held is not None:
            return iter([list(self.held[0 if column == self.input else 1])])
        return _lines(path) if self.table is None else _cells(self.table, column)


def is_parallel(path: Path, settings: DataSettings) -> bool:
    """Whether a file is one of two of plain lines: its ending is that of no table, and no columns are named."""
    if settings.columns or settings.input or settings.format not in (None, "text"):
        return False
    return format_of_name(path) not in TABLES


def read_pairs(path: str | Path, settings: DataSettings, *, answers: bool = True) -> Pairs:
    """Read where the pairs of a file stand, and refuse what is no pair.

    Args:
        settings: with input and answer filled in (see `schema.guess`).
        answers: they must be there.

    Raises:
        DataError: an empty text, files of unequal length, no such column: with its line.
    """
    path = find(path)
    if (listed := _listed(path, settings, answers)) is not None:
        return listed
    if is_parallel(path, settings):
        return _from_lines(path, settings, answers)
    table = open_table(path, settings)
    table.need(settings.input, "input")
    wanted = [settings.input[0], *([settings.answer] if answers and settings.answer else [])]
    table.need(wanted[1:], "answer")
    groups, marks, codes, mark_codes = Spill(np.int32), Spill(np.int32), Codes(), Codes()
    group, mark = (name if answers else None for name in (settings.group, settings.split_column))
    for name, flag in ((group, "group"), (mark, "split-column")):
        table.need([name] if name else [], flag)
    kinds: dict[str, Kind] = dict.fromkeys([*wanted, *(name for name in (group, mark) if name)], "text")
    count = 0
    for chunk in chunks(table, kinds):
        for column in wanted:
            _refuse_empty(table, column, [text.strip() for text in chunk[column].to_pylist()], count)
        count += len(chunk[wanted[0]])
        if group:
            groups.append(codes.encode([chunk[group]]))
        if mark:
            marks.append(mark_codes.encode([chunk[mark]]))
    return Pairs(
        path, None, table, wanted[0], wanted[1] if len(wanted) > 1 else None, np.zeros(count, np.int64),
        groups.finish() if group else None, marks.finish() if mark else None, tuple(mark_codes.names),
    )  # fmt: skip


def _listed(path: Path, settings: DataSettings, answers: bool) -> Pairs | None:
    """A sound or video alone, or a list of sounds with their texts beside it; None for other files."""
    if is_list(path):
        names, texts, speakers = read_list(path, settings, answers=answers)
        codes = Codes()
        groups = codes.encode([pa.array(speakers)]) if settings.group and answers else None
        labels = np.zeros(len(names), np.int64)
        return Pairs(path, None, None, "file", "text" if answers else None, labels, groups, held=(names, texts))
    if path.suffix.lower() not in (*SOUNDS, *VECTORS, *VIDEOS):
        return None
    if answers:
        raise DataError("a file without its text", path=path, remedy="give a table with a column of files and texts")
    return Pairs(path, None, None, "file", None, np.zeros(1, np.int64), held=((path.name,), ()))


def _from_lines(path: Path, settings: DataSettings, answers: bool) -> Pairs:
    """Pairs of two files of lines, which must have as many of them, and none that is blank."""
    for name, flag in ((settings.group, "group"), (settings.split_column, "split_column")):
        if name is not None:
            raise SettingError("files of lines have no columns", name=flag, remedy="--valid-file and --test-file")
    count = _count(path)
    other = None
    if answers:
        if settings.answer is None:
            raise DataError(
                "the file of the answers is not named", path=path,
                remedy="its ending, such as --answer en for a file .en beside it; of a table --input and --answer",
            )  # fmt: skip
        other = find(_beside(path, settings.answer))
        came = _count(other)
        if came != count:
            short, long = (path, other) if count < came else (other, path)
            raise DataError(
                f"{min(count, came):,} lines, but {max(count, came):,} in {long.name}: line i of one is the answer "
                "to line i of the other",
                path=short, line=min(count, came) + 1, remedy="give files that belong together",
            )  # fmt: skip
    return Pairs(path, other, None, "text", settings.answer if answers else None, np.zeros(count, np.int64))


def _beside(path: Path, ending: str) -> Path:
    """`train.en` for `train.de` and the ending `en`; `.gz` and `.xz` stay behind it."""
    packed = path.suffix if path.suffix.lower() in COMPRESSED else ""
    plain = path.with_suffix("") if packed else path
    return plain.with_suffix(f".{ending.removeprefix('.')}{packed}")


def _count(path: Path) -> int:
    return sum(len(batch) for batch in _lines(path))


def _lines(path: Path) -> Iterator[list[str]]:
    """The lines of a file, some thousands at a time."""
    held: list[str] = []
    with reading(path), open_text(path) as file:
        for number, line in enumerate(file, 1):
            refuse_bytes(line, path, number)
            held.append(line.strip())
            if not held[-1]:
                raise DataError(
                    "an empty line", path=path, line=number, remedy="remove it here and in the file beside it"
                )
            if len(held) == _LINES:
                yield held
                held = []
    yield held


def _cells(table: Table, column: str) -> Iterator[list[str]]:
    kinds: dict[str, Kind] = {column: "text"}
    for chunk in chunks(table, kinds):
        yield [text.strip() for text in chunk[column].to_pylist()]


def _refuse_empty(table: Table, column: str, texts: list[str], row: int) -> None:
    if "" in texts:
        line = line_of_row(table, row + texts.index(""))
        raise DataError("an empty text", path=table.path, line=line, column=column, remedy="remove the row")
