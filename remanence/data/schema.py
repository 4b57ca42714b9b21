"""Guess what columns are for, from their names and first values; say so; let every guess be overridden."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from remanence.data.diagnose import line_of_row, number_remedy, thousands_of
from remanence.data.frames import is_notes
from remanence.data.media.listing import SOUNDS, VECTORS, VIDEOS, names_files
from remanence.data.rows import Table, as_number
from remanence.data.samples import sample_table
from remanence.data.schema_columns import SEQUENCE, TIME, Column, columns_of, named
from remanence.data.schema_pairs import SPOKEN, name_pairs
from remanence.data.schema_samples import guess_samples
from remanence.data.schema_stretches import guess_stretches
from remanence.data.skeletons import LABELS, given_parts
from remanence.data.sources import file_format, find
from remanence.data.tables import open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["Guess", "guess"]

_COUNTER = ("no", "index", "id", "row", "")
_TARGET = ("target", "y", "value", "values", "sales", "demand", "load", "price", "ot", "目标", "销量", "价格")
_LABEL = ("label", "class", "category", "intent", "target", "sentiment", "y", "标签", "类别", "分类", "情感")
_ONLY_LABEL = tuple(name for name in _LABEL if name not in _TARGET)
_TEXT = (
    "text",
    "sentence",
    "review",
    "content",
    "text_a",
    "utterance",
    "input",
    "sequence",
    "文本",
    "评论",
    "内容",
    "句子",
)


@dataclass(frozen=True)
class Guess:
    """Settings with columns filled in, and a line for each guess."""

    settings: DataSettings
    notes: tuple[str, ...]


def guess(path: str | Path, settings: DataSettings, *, task: str | None = None) -> Guess:
    """Fill in task and columns where they are open.

    Args:
        task: what the caller wants, where `settings.task` is open.

    Raises:
        DataError: no column can play a part that is needed; the message says how to name it.
    """
    notes: list[str] = []
    path = find(path)
    wanted = settings.task or task
    if wanted in ("translate", "summarise", "transcribe", "caption"):
        chosen = name_pairs(path, settings, notes).model_copy(update={"task": wanted})
        return Guess(chosen, tuple(notes))
    kind = file_format(path, settings.format)
    if wanted in (None, "generate") and (found := _to_generate(path, kind, settings, wanted)):
        return found
    if kind == "mat":
        raise DataError("music, not a table", path=path, remedy="--task generate")
    if kind == "video":
        raise DataError("one video, expected a table of them", path=path, remedy="a column of paths, and one of labels")
    if kind == "sound":
        raise DataError("one sound, expected a table of them", path=path, remedy="a column of paths, one of texts")
    if kind == "npz":
        return _skeletons(path, settings, wanted)
    if kind in ("conllu", "conll"):
        if wanted not in (None, "tag"):
            raise DataError("a file of tokens with a label each", path=path, remedy="--task tag")
        return Guess(settings.model_copy(update={"task": "tag"}), ())
    if kind in ("ts", "arff", "idx") and wanted != "tag":
        if wanted == "forecast":
            raise DataError("an archive of labelled sequences, not a series", path=path, remedy="--task classify")
        update = {"task": wanted or "classify", "label": settings.label or "class"}
        return Guess(settings.model_copy(update=update), ())
    if wanted == "tag" and kind in ("ts", "text", "idx"):
        raise DataError(
            "no label for each step in such a file", path=path, remedy="a column file, JSON lines or a table"
        )
    if wanted == "tag":
        with sample_table(path, settings) as (table, _):
            if kind == "jsonl" and _holds_lists(table):
                return Guess(settings.model_copy(update={"task": "tag"}), ())
            _need(table, settings)
            stretches = guess_stretches(table, settings, notes, asked=True)
            update = {"task": "tag"} | (stretches or guess_samples(table, settings, notes))
        return Guess(settings.model_copy(update=update), tuple(notes))
    table = open_table(path, settings)
    if wanted is None and kind == "jsonl" and _holds_lists(table):
        return Guess(settings.model_copy(update={"task": "tag"}), ("task: tag (--task)",))
    columns = columns_of(table)
    if wanted is None and _speaks(columns, settings):
        chosen = name_pairs(path, settings, notes).model_copy(update={"task": "transcribe"})
        return Guess(chosen, ("task: transcribe (--task)", *notes))
    _need(table, settings)
    if wanted is None and (stretches := guess_stretches(table, settings, notes, asked=False)):
        return Guess(settings.model_copy(update={"task": "tag"} | stretches), ("task: tag (--task)", *notes))
    if not any(column.number for column in columns):
        _refuse_other_digits(table, columns)
    _note_separated(columns, notes)
    chosen = settings.task or task or _task(table, columns, settings, notes)
    update = {"task": chosen}
    update |= (
        _forecast(table, columns, settings, notes)
        if chosen == "forecast"
        else _classify(table, columns, settings, notes)
    )
    return Guess(settings.model_copy(update=update), tuple(notes))


def _to_generate(path: Path, kind: str, settings: DataSettings, wanted: str | None) -> Guess | None:
    """What says that a model should go on with it: music, a text without labels; None where nothing does."""
    chosen = settings.model_copy(update={"task": "generate"})
    if wanted == "generate" or kind == "mat":
        return Guess(chosen, ())
    if settings.label is None and kind in ("text", "jsonl"):
        table = open_table(path, settings)
        prose = kind == "text" and table.columns == ("text",)
        if prose or (kind == "jsonl" and any(is_notes(table, column) for column in table.columns)):
            return Guess(chosen, ("task: generate (--task)",))
    return None


def _skeletons(path: Path, settings: DataSettings, wanted: str | None) -> Guess:
    """Key points with a label a sequence, or a frame; the split that the file gives, unless another is asked for."""
    if wanted not in (None, "classify", "tag"):
        raise DataError("key points with labels", path=path, remedy="--task classify, or tag")
    update = {"task": wanted or "classify", "label": settings.label or LABELS}
    notes = ()
    asked = settings.split_column or settings.group or settings.valid_file or settings.test_file
    if (parts := given_parts(path)) and not asked:
        update["split_column"] = "part"
        notes = (f"split: {', '.join(parts)} as the file gives them (--split-column)",)
    return Guess(settings.model_copy(update=update), notes)


def _refuse_other_digits(table: Table, columns: list[Column]) -> None:
    """Numbers that no program reads as such (`１２`, `1,5`, `1,047.5`) are told, where nothing else is a number."""
    for column in columns:
        plain = [unicodedata.normalize("NFKC", str(value)).replace(",", ".") for value in column.values]
        readable = any(as_number(value) is not None for value in column.values)
        first = thousands_of(column.values)
        if plain and not readable and all(as_number(value) is not None for value in plain):
            first = str(column.values[0])
        if first:
            raise DataError(
                f"numbers written as '{first[:30]}'",
                path=table.path,
                line=line_of_row(table, [str(row.get(column.name)) for row in table.head].index(first)),
                column=column.name,
                remedy=number_remedy(first),
            )


def _note_separated(columns: list[Column], notes: list[str]) -> None:
    for column in columns:
        if first := thousands_of(column.values):
            notes.append(
                f"column '{column.name}': numbers with thousands separators, such as '{first}', are read as words: "
                "remove the commas"
            )


def _holds_lists(table: Table) -> bool:
    return any(isinstance(value, list) for row in table.head for value in row.values())


def _need(table: Table, settings: DataSettings) -> None:
    for flag in ("series", "target", "known", "observed", "input", "sequence", "position"):
        table.need(getattr(settings, flag), flag)
    for flag in ("time", "label", "group", "split_column"):
        value = getattr(settings, flag)
        table.need([value] if value else [], flag.replace("_", "-"))


def _task(table: Table, columns: list[Column], settings: DataSettings, notes: list[str]) -> str:
    if settings.target or settings.horizon or settings.known or settings.observed:
        return "forecast"
    if settings.input or settings.label or settings.sequence or table.format == "text":
        return "classify"
    texts = [column for column in columns if not column.number and column.time_format is None and not column.unread]
    dated = any(column.time_format not in (None, "integer") for column in columns)
    numbers = [column for column in columns if column.number]
    label, sequence = named(columns, _ONLY_LABEL), named(columns, SEQUENCE)
    if not numbers or (label and (texts or sequence) and not dated):
        task = "classify"
    else:
        ordered = dated or _guess_time(columns, settings) is not None
        task = "forecast" if ordered or not texts else "classify"
    notes.append(f"task: {task} (--task)")
    return task


def _forecast(table: Table, columns: list[Column], settings: DataSettings, notes: list[str]) -> dict[str, Any]:
    time = settings.time or _guess_time(columns, settings)
    if settings.time is None:
        notes.append(
            f"time: '{time}' (--time)" if time else "time: no such column found, rows are taken in order (--time)"
        )
    series = settings.series or _guess_series(table, columns, time, settings)
    if series and not settings.series:
        notes.append(f"series: '{series[0]}' (--series)")
    taken = {time, *series, *settings.known, *settings.observed, settings.split_column}
    numbers = [column for column in columns if column.number and column.name not in taken]
    target = settings.target
    if not target:
        if not numbers:
            raise DataError(
                "no column of numbers to forecast", path=table.path, remedy=f"columns: {', '.join(table.columns[:12])}"
            )
        target = ((named(numbers, _TARGET) or numbers[-1]).name,)
        notes.append(f"target: '{target[0]}' (--target)")
    rest = [column.name for column in numbers if column.name not in target]
    if rest and not settings.observed:
        shown = ", ".join(rest[:8]) + (", …" if len(rest) > 8 else "")
        notes.append(f"number columns not used: {shown} (--observed, --known)")
    by_name = {column.name: column for column in columns}
    for flag, names in (("target", target), ("observed", settings.observed), ("known", settings.known)):
        for name in names:
            _refuse_category(table, by_name[name], flag)
    return {"time": time, "series": series, "target": target}


def _refuse_category(table: Table, column: Column, flag: str) -> None:
    """A column of words cannot be scaled; a column where only some cells are words is found with its line later."""
    if column.values and not any(as_number(value) is not None for value in column.values):
        first, separated = str(column.values[0])[:30], thousands_of(column.values)
        what = "numbers with thousands separators" if separated else "words"
        raise DataError(
            f"--{flag} needs numbers, this column holds {what} such as '{first}'",
            path=table.path,
            column=column.name,
            line=2 if table.header and table.format != "parquet" else 1,
            remedy=number_remedy(first) if separated else "leave it out, or add a column of 0 and 1 for each word",
        )


def _guess_time(columns: list[Column], settings: DataSettings) -> str | None:
    free = [column for column in columns if column.name not in (*settings.target, *settings.observed, *settings.known)]
    dated = [column for column in free if column.time_format not in (None, "integer")]
    best = named(dated, TIME) or next(iter(dated), None)
    if best:
        return best.name
    whole = [column for column in free if column.time_format == "integer" and _rises(column.values)]
    # One that looks like times is refused later, with the cell that cannot be read.
    unread = [column for column in free if column.unread]
    best = named(whole, TIME) or named(unread, TIME) or next(iter(unread), None) or named(whole, _COUNTER)
    return best.name if best else None


def _rises(values: tuple[Any, ...]) -> bool:
    numbers = [int(value) for value in values]
    return all(before < now for before, now in pairwise(numbers))


def _guess_series(table: Table, columns: list[Column], time: str | None, settings: DataSettings) -> tuple[str, ...]:
    """A column of few words is a series name where times repeat in the file but not beside one of its words."""
    by_name = {column.name: column for column in columns}
    if time is None or len(set(by_name[time].values)) == len(by_name[time].values):
        return ()
    for column in columns:
        role = (*settings.target, *settings.known, *settings.observed, settings.split_column, time)
        if column.name in role or (column.number and column.name.lower() not in SEQUENCE):
            continue
        pairs = [(str(row.get(column.name)), str(row.get(time))) for row in table.head]
        if len(set(pairs)) == len(pairs) and column.distinct * 2 <= len(pairs):
            return (column.name,)
    return ()


def _speaks(columns: list[Column], settings: DataSettings) -> bool:
    """Whether a table names sounds and has texts for them, by the name of their column."""
    sounds = any(names_files(column.values, (*SOUNDS, *VECTORS)) for column in columns)
    return sounds and settings.label is None and (settings.answer is not None or named(columns, SPOKEN) is not None)


def _media(texts: list[Column], notes: list[str]) -> tuple[str, ...]:
    """The column that names videos or sounds, if there is one."""
    for what, endings in (("videos", VIDEOS), ("sounds", (*SOUNDS, *VECTORS))):
        for column in texts:
            if names_files(column.values, endings):
                notes.append(f"input: {what} '{column.name}' (--input)")
                return (column.name,)
    return ()


def _classify(table: Table, columns: list[Column], settings: DataSettings, notes: list[str]) -> dict[str, Any]:
    label = settings.label or _guess_label(table, columns, settings)
    if settings.label is None:
        notes.append(f"label: '{label}' (--label)")
    taken = {label, settings.group, settings.split_column, settings.time, *settings.sequence}
    free = [column for column in columns if column.name not in taken]
    texts = [column for column in free if not column.number and column.time_format is None]
    if not settings.input and (media := _media(texts, notes)):
        return {"label": label, "input": media}
    if settings.input:
        numeric = all(column.number for column in columns if column.name in settings.input)
        numeric = bool(settings.sequence) or (len(settings.input) > 1) or (numeric and bool(named(free, SEQUENCE)))
        if not numeric:
            return {"label": label}
        chosen = settings.input
    elif texts and not settings.sequence and not _repeats(named(free, SEQUENCE) or _grouped(columns, free, settings)):
        best = named(texts, _TEXT) or max(texts, key=lambda column: sum(len(str(value)) for value in column.values))
        notes.append(f"input: text '{best.name}' (--input)")
        return {"label": label, "input": (best.name,)}
    else:
        chosen = ()
    return {"label": label} | _guess_sequences(table, free, settings, chosen, notes)


def _grouped(columns: list[Column], free: list[Column], settings: DataSettings) -> Column | None:
    """The column of groups where it tells sequences apart, too: named as such, beside numbers and no text to read."""
    steps = [column for column in free if column.number and named([column], TIME) is None]
    if not steps or named(free, _TEXT):
        return None
    return named([column for column in columns if column.name == settings.group], SEQUENCE)


def _repeats(column: Column | None) -> bool:
    return column is not None and column.distinct * 2 <= len(column.values)


def _guess_sequences(
    table: Table, free: list[Column], settings: DataSettings, chosen: tuple[str, ...], notes: list[str]
) -> dict[str, Any]:
    sequence = settings.sequence
    if not sequence:
        candidates = [column.name for column in free if column.name not in chosen and column.name.lower() in SEQUENCE]
        # No sequence crosses groups: where nothing else tells sequences apart, these do.
        candidates += [settings.group] if settings.group else []
        if not candidates:
            raise DataError(
                "no column says which rows form one sequence",
                path=table.path,
                line=1,
                remedy="name it with --sequence, or give one text column as --input",
            )
        sequence = (candidates[0],)
        notes.append(f"sequence: '{sequence[0]}' (--sequence)")
    rest = [column for column in free if column.name not in (*sequence, *chosen)]
    time = settings.time
    if time is None and (found := named(rest, TIME)):
        time = found.name
        notes.append(f"time within a sequence: '{time}' (--time)")
    if not chosen:
        chosen = tuple(column.name for column in rest if column.number and column.name != time)
        if not chosen:
            raise DataError("no column of numbers to read", path=table.path, line=1, remedy="name it with --input")
        notes.append(f"input: {', '.join(chosen)} (--input)")
    return {"sequence": sequence, "time": time, "input": chosen}


def _guess_label(table: Table, columns: list[Column], settings: DataSettings) -> str:
    taken = (*settings.input, *settings.sequence, settings.time, settings.group, settings.split_column)
    free = [column for column in columns if column.name not in taken]
    # Beside an x, a y is no answer.
    names = tuple(name for name in _LABEL if name != "y" or not named(columns, ("x",)))
    told = named(free, names)
    few = [column for column in free if column.distinct * 2 <= len(column.values) and column.distinct <= 100]
    best = told or min(few, key=lambda column: column.distinct, default=None)
    if best is None:
        raise DataError(
            "no column of labels found",
            path=table.path,
            line=1,
            remedy=f"name it with --label (columns: {', '.join(table.columns[:12])})",
        )
    return best.name
