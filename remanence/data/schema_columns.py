"""Columns as their names and first values show them: numbers, times, words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from remanence.data import times as timing
from remanence.data.rows import MISSING, Table, as_number

__all__ = ["RECORDING", "SEQUENCE", "TIME", "Column", "columns_of", "named", "plain_name"]

TIME = (
    "time",
    "date",
    "datetime",
    "timestamp",
    "ds",
    "day",
    "month",
    "year",
    "t",
    "step",
    "时间",
    "日期",
    "月份",
    "年份",
)
_LIKE_TIMES = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d).*\d|\d.*(?<!\d)(?:19|20)\d\d(?!\d)|(?<!\d)\d{1,2}:\d\d")
"""A year and another number, or a time of the day."""
_NOTE = re.compile(r"[(（\[]")
"""What begins a unit or a remark behind a name: 销量（件）, load (MW)."""
RECORDING = ("recording", "file", "trial", "session", "录制", "记录")
SEQUENCE = ("sequence", "sequence_id", "seq", "series", "sample", "recording", "case", "trial", "id", "序列", "编号")


@dataclass(frozen=True)
class Column:
    """A column of the head: whether it holds numbers, how its times are written, and its values but the empty ones.

    `unread` says that they look like times, and not like any that can be read.
    """

    name: str
    number: bool
    time_format: str | None
    values: tuple[Any, ...]
    unread: bool = False

    @property
    def distinct(self) -> int:
        return len({str(value) for value in self.values})


def columns_of(table: Table) -> list[Column]:
    """Every column of a table, by its first rows."""
    return [_column(name, [row.get(name) for row in table.head]) for name in table.columns]


def _column(name: str, values: Iterable[Any]) -> Column:
    there = tuple(value for value in values if value is not None and not (isinstance(value, str) and value in MISSING))
    number, time_format = bool(there) and all(_is_number(value) for value in there), _time(there)
    return Column(name, number, time_format, there, not number and time_format is None and _like_times(name, there))


def _like_times(name: str, values: tuple[Any, ...]) -> bool:
    """Whether a column is one of times by its name and the digits in its cells, or by most of its cells."""
    texts = [value for value in values if isinstance(value, str) and len(value) <= 40]
    pattern = re.compile(r"\d") if plain_name(name) in TIME else _LIKE_TIMES
    return bool(values) and sum(pattern.search(text) is not None for text in texts) >= 0.8 * len(values)


def _is_number(value: Any) -> bool:
    return as_number(value) is not None


def _time(values: tuple[Any, ...]) -> str | None:
    if values and isinstance(values[0], str) and not _may_be_time(values[0]):
        return None
    try:
        found = timing.guess_format(values[:50]) and timing.guess_format(values)
        return found or _mostly(values)
    except (ValueError, OverflowError):
        return None


def _may_be_time(text: str) -> bool:
    """Whether it is worth trying every format: digits, not too long, no decimal fraction."""
    return len(text) <= 40 and any(map(str.isdecimal, text)) and not ("." in text and as_number(text) is not None)


def _mostly(values: tuple[Any, ...]) -> str | None:
    """The format of dates that most values have: the others are flaws, refused later with their lines."""
    texts = [value for value in values if isinstance(value, str)]
    for first in texts[:3]:
        found = timing.guess_format([first]) if as_number(first) is None and _may_be_time(first) else None
        if found and sum(timing.parse(pa.array([text]), found)[1] < 0 for text in texts) >= 0.8 * len(values):
            return found
    return None


def named(columns: Iterable[Column], names: tuple[str, ...]) -> Column | None:
    """The column with the first of these names that there is; a unit behind a name does not matter."""
    found = {plain_name(column.name): column for column in reversed(list(columns))}
    return next((found[name] for name in names if name in found), None)


def plain_name(name: str) -> str:
    """A name in lower case, without a unit behind it.

    Example:
        >>> plain_name("Load (MW)"), plain_name("销量（件）")
        ('load', '销量')
    """
    return _NOTE.split(name)[0].strip().lower()
