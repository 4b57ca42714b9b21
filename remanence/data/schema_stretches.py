"""Guess what the columns of a table of labelled stretches are for: file, begin, end, label."""

from __future__ import annotations

from typing import Any

from remanence.data.media.listing import SOUNDS, VECTORS, VIDEOS, names_files
from remanence.data.rows import Table
from remanence.data.schema_columns import columns_of, named
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["guess_stretches"]

_ENDS = (("start", "end"), ("begin", "end"), ("onset", "offset"), ("from", "to"), ("开始", "结束"), ("起", "止"))
_LABEL = ("label", "event", "class", "tag", "activity", "phone", "word", "标签", "事件", "类别")


def guess_stretches(table: Table, settings: DataSettings, notes: list[str], *, asked: bool) -> dict[str, Any] | None:
    """Fill in input, interval and label of a table that names sounds or videos; None where it is none.

    Args:
        asked: a label for each step is wanted, so that a table that names files must say when.

    Raises:
        DataError: no columns say where stretches begin and end, or none holds labels.
        SettingError: an interval that is not two columns.
    """
    if settings.interval and len(settings.interval) != 2:
        raise SettingError(f"expected two columns, start,end, came {len(settings.interval)}", name="interval")
    table.need(settings.interval, "interval")
    columns = columns_of(table)
    files = [column for column in columns if names_files(column.values, (*SOUNDS, *VECTORS, *VIDEOS))]
    files = [column for column in files if not settings.input or column.name in settings.input]
    if not files:
        return None
    # Where labels of steps are asked for, a cell that is no number is told with its line.
    numbers = {column.name.lower(): column.name for column in columns if asked or column.number}
    usual = [tuple(numbers[name] for name in pair) for pair in _ENDS if all(name in numbers for name in pair)]
    interval = settings.interval or next(iter(usual), ())
    if not interval and not asked:
        return None
    if not interval:
        raise DataError(
            "no columns say where each stretch of a file begins and ends", path=table.path, line=1,
            remedy="name them with --interval start,end; one label a file is --task classify",
        )  # fmt: skip
    spoken = {files[0].name, *interval, settings.group, settings.split_column}
    free = [column for column in columns if column.name not in spoken]
    label = settings.label or (found.name if (found := named(free, _LABEL)) else None)
    if label is None:
        raise DataError("no column of labels found", path=table.path, line=1, remedy="name it with --label")
    if not settings.input:
        notes.append(f"input: files in '{files[0].name}' (--input)")
    if not settings.interval:
        notes.append(f"interval: {', '.join(interval)} (--interval)")
    if settings.label is None:
        notes.append(f"label: '{label}' (--label)")
    return {"input": (files[0].name,), "interval": interval, "label": label}
