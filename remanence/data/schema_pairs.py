"""Guess which column is read and which is to be written, from their names and first values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remanence.data.media.listing import SOUNDS, VECTORS, VIDEOS, names_files
from remanence.data.media.sphinx import is_list
from remanence.data.pairs import is_parallel
from remanence.data.rows import Table
from remanence.data.schema_columns import Column, columns_of, named
from remanence.data.tables import open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["SPOKEN", "name_pairs"]

_NAMED = (*SOUNDS, *VECTORS, *VIDEOS)
SPOKEN = ("text", "transcript", "transcription", "sentence", "文本", "文字", "转写")
_READ = ("source", "src", "input", "text", "article", "document", "abstract", "原文", "源文", "摘要", "正文", "文本")
_WRITTEN = ("target", "tgt", "answer", "translation", "summary", "title", "headline", "caption", "译文", "标题", "总结")


def name_pairs(path: Path, settings: DataSettings, notes: list[str]) -> DataSettings:
    """Fill in which column is read and which is written; parallel files have none.

    Raises:
        DataError: fewer than two columns of texts, or several inputs.
    """
    if is_list(path) or path.suffix.lower() in _NAMED:
        return settings.model_copy(update={"input": ("file",), "answer": settings.answer or "text"})
    if is_parallel(path, settings):
        return settings
    return settings.model_copy(update=_columns(open_table(path, settings), settings, notes))


def _columns(table: Table, settings: DataSettings, notes: list[str]) -> dict[str, Any]:
    """`input` and `answer`: by their names, else the first two columns of texts."""
    if len(settings.input) > 1:
        raise DataError(
            f"one column is read, came {', '.join(settings.input)}", path=table.path, remedy="name one with --input"
        )
    spoken = {*settings.input, settings.answer, settings.split_column}
    texts = [column for column in columns_of(table) if not column.number and column.name not in spoken]
    chosen, answer = settings.input[0] if settings.input else None, settings.answer
    sounds = [column for column in texts if names_files(column.values, _NAMED)]
    if chosen is None and sounds:
        chosen = sounds[0].name
        notes.append(f"input: files in '{chosen}' (--input)")
        texts = [column for column in texts if column not in sounds]
    if answer is None and (told := named(texts, SPOKEN) if chosen else None):
        answer = told.name
        notes.append(f"answer: '{answer}' (--answer)")
    if answer is None:
        answer = _pick(table, texts, _WRITTEN, 0 if chosen else 1, "answer")
        notes.append(f"answer: '{answer}' (--answer)")
    if chosen is None:
        texts = [column for column in texts if column.name != answer]
        chosen = _pick(table, texts, _READ, 0, "input")
        notes.append(f"input: text '{chosen}' (--input)")
    return {"input": (chosen,), "answer": answer}


def _pick(table: Table, texts: list[Column], names: tuple[str, ...], place: int, flag: str) -> str:
    found = named(texts, names) or (texts[place] if len(texts) > place else None)
    if found is None:
        raise DataError(
            "two columns of texts are needed, one to read and one to write", path=table.path, line=1,
            remedy=f"name it with --{flag} (columns: {', '.join(table.columns[:12])}); without a header, --columns",
        )  # fmt: skip
    return found.name
