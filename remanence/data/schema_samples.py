"""Guess what the columns of a table of samples are for: label, recording, time, position, inputs."""

from __future__ import annotations

import re
from typing import Any

from remanence.data.motion import MOTIONS
from remanence.data.rows import Table
from remanence.data.schema_columns import RECORDING, SEQUENCE, TIME, Column, columns_of, named, plain_name
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["guess_samples"]

_LABEL = ("label", "event", "evt", "pattern", "class", "tag", "activity", "state", "标签", "类别", "事件", "状态")
_POINTS = (
    ("x", "y"), ("xcoord", "ycoord"), ("gazex", "gazey"), ("xdegrees", "ydegrees"),
    ("x坐标", "y坐标"), ("坐标x", "坐标y"), ("横坐标", "纵坐标"),
)  # fmt: skip
_BETWEEN = re.compile(r"[\s_-]+")
_MOST_LABELS = 100
_WORDS = ("word", "token", "form", "character", "char", "词", "字", "单词")
_SENTENCES = ("sentence", "sentence_id", "sent_id", "sentence #", "document", "句子", "句")


def guess_samples(table: Table, settings: DataSettings, notes: list[str]) -> dict[str, Any]:
    """Fill in label, recording, time, position and inputs of a table with a labelled sample, or token, a row.

    Raises:
        DataError: no column can play a part that is needed.
        SettingError: a position that is not two columns, an unknown motion.
    """
    _check_motion(settings)
    columns = columns_of(table)
    spoken = {*settings.input, *settings.position, *settings.sequence, settings.time}
    rest = [column for column in columns if column.name not in {settings.group, settings.split_column}]
    label = settings.label or _label(table, [column for column in rest if column.name not in spoken], notes)
    rest = [column for column in rest if column.name != label]
    words = _words(rest, settings, notes)
    keys = [column for column in rest if column.name not in {*spoken, *words}]
    sequence = settings.sequence or _sequence(keys, settings.group, notes)
    if words:
        if not sequence:
            raise DataError(
                "no column says which tokens form a sentence", path=table.path, line=1, remedy="name it with --sequence"
            )
        return {"label": label, "sequence": sequence, "input": words}
    rest = [column for column in rest if column.name not in sequence]
    time, position = settings.time, settings.position
    if time is None and (found := named([column for column in rest if column.name not in spoken], TIME)):
        time = found.name
        notes.append(f"time within a recording: '{time}' (--time)")
    if not position and (position := _position(rest, settings)):
        notes.append(f"position: {', '.join(position)} (--position)")
    chosen = settings.input
    if not chosen:
        taken = {time, *position}
        chosen = tuple(column.name for column in rest if column.number and column.name not in taken)
        if not chosen and not position:
            raise DataError("no column of numbers to read", path=table.path, line=1, remedy="name it with --input")
        notes.append(f"input: {', '.join(chosen) or 'the motion alone'} (--input)")
    return {"label": label, "sequence": sequence, "time": time, "position": position, "input": chosen}


def _check_motion(settings: DataSettings) -> None:
    if settings.position and len(settings.position) != 2:
        raise SettingError(f"expected two columns, x,y, came {len(settings.position)}", name="position")
    if unknown := sorted(set(settings.motion) - set(MOTIONS)):
        raise SettingError(f"no such motion '{unknown[0]}'", name="motion", remedy=f"some of {', '.join(MOTIONS)}")


def _label(table: Table, free: list[Column], notes: list[str]) -> str:
    few = [column for column in free if column.distinct * 2 <= len(column.values) and column.distinct <= _MOST_LABELS]
    words = [column for column in few if not column.number]
    best = named(free, _LABEL) or (words[-1] if words else None)
    if best is None:
        raise DataError(
            "no column of labels found", path=table.path, line=1,
            remedy=f"name it with --label (columns: {', '.join(table.columns[:12])})",
        )  # fmt: skip
    notes.append(f"label: '{best.name}' (--label)")
    return best.name


def _sequence(free: list[Column], group: str | None, notes: list[str]) -> tuple[str, ...]:
    found = named(free, (*_SENTENCES, *RECORDING, *SEQUENCE))
    # No recording crosses groups: where nothing else tells recordings apart, these do.
    name = found.name if found else group
    if name is None:
        notes.append("no column names a recording: the file is one (--sequence)")
        return ()
    notes.append(f"recording: '{name}' (--sequence)")
    return (name,)


def _words(free: list[Column], settings: DataSettings, notes: list[str]) -> tuple[str, ...]:
    """The column of tokens, where a row is one: named as the input, or by its name."""
    if settings.position or len(settings.input) > 1:
        return ()
    if settings.input:
        return tuple(column.name for column in free if column.name == settings.input[0] and not column.number)
    found = named([column for column in free if not column.number], _WORDS)
    if found is None:
        return ()
    notes.append(f"tokens: '{found.name}' (--input)")
    return (found.name,)


def _position(free: list[Column], settings: DataSettings) -> tuple[str, ...]:
    """Columns x and y by their usual names, unless they are inputs already."""
    numbers = {_BETWEEN.sub("", plain_name(column.name)): column.name for column in reversed(free) if column.number}
    for x, y in _POINTS:
        if x in numbers and y in numbers and not {numbers[x], numbers[y]} & set(settings.input):
            return numbers[x], numbers[y]
    return ()
