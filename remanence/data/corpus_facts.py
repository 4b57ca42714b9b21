"""What a file of texts or music holds, for `describe`: nothing is fitted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from remanence.data.corpus import is_music, pieces_of
from remanence.data.sources import file_format, find
from remanence.data.texts import Documents, LongText
from remanence.settings import DataSettings

__all__ = ["Survey", "corpus_facts", "quantiles", "survey_texts"]

_LEVELS = (("least", 0.0), ("median", 0.5), ("95 %", 0.95), ("most", 1.0))
_CODES = 0x110000
_REMEMBERED = 1_000_000
_HEAD = 1000


def corpus_facts(path: str | Path, settings: DataSettings) -> tuple[dict[str, Any], list[str]]:
    """Facts in the order they are shown, and what looks suspicious.

    Raises:
        DataError: the file cannot be read.
    """
    path = find(path)
    if is_music(path, settings):
        return _music(path, settings), []
    if file_format(path, settings.format) == "text" and settings.document != "line":
        return _long_text(path, settings)
    return _documents(path, settings)


def _music(path: Path, settings: DataSettings) -> dict[str, Any]:
    pieces = pieces_of(path, settings)
    frames = np.array([len(piece) for piece in pieces])
    keys = sum(piece.sum() for piece in pieces)
    return {
        "a step is": "a frame of the keys that sound together",
        "a sequence is": "a piece",
        "pieces": len(pieces),
        "frames": int(frames.sum()),
        "lengths": quantiles(frames),
        "keys a frame": round(float(keys) / max(1, int(frames.sum())), 2),
    }


def _long_text(path: Path, settings: DataSettings) -> tuple[dict[str, Any], list[str]]:
    text = LongText(path)
    codes, lines, blank = np.zeros(_CODES, np.int64), 0, 0
    for piece in text.pieces(0, text.characters):
        codes += np.bincount(np.frombuffer(piece.encode("utf-32-le"), np.uint32), minlength=_CODES)
        lines += piece.count("\n")
        blank += piece.count("\n\n")
    facts = {
        "a step is": f"one of the {settings.tokens or 'characters'}",
        "a sequence is": "the whole file, read in windows that go on from each other (--context)",
        "characters": text.characters,
        "different": int((codes > 0).sum()),
        "lines": lines,
    }
    suspicious = []
    if lines > 20 and text.characters / lines < 200 and not blank:
        suspicious.append("many short lines: if each is a text of its own, say --document line")
    return facts, suspicious


def _documents(path: Path, settings: DataSettings) -> tuple[dict[str, Any], list[str]]:
    documents = Documents(path, settings)
    found = survey_texts(documents.batches())
    facts = {
        "a step is": f"one of the {settings.tokens or 'characters'} of '{documents.column}'",
        "a sequence is": "a line" if documents.table is None else f"the text in '{documents.column}' of a row",
        "texts": len(documents),
        "lengths": quantiles(found.lengths),
        "lengths are in": "characters",
    }
    suspicious = [f"{found.again} texts stand in the file more than once: they may fall on both sides of a split"]
    return facts, suspicious if found.again else []


class Survey(NamedTuple):
    """Many texts: the length of each in characters, how many had come before, and the first of them."""

    lengths: np.ndarray
    again: int
    head: list[str]


def survey_texts(texts: Iterable[list[str]]) -> Survey:
    """Look through texts that come some at a time."""
    lengths: list[int] = []
    head: list[str] = []
    seen: set[int] = set()
    again = 0
    for batch in texts:
        lengths += map(len, batch)
        head += batch[: max(0, _HEAD - len(head))]
        codes = [hash(text) for text in batch]
        again += len(codes) - len(set(codes) - seen)
        if len(seen) < _REMEMBERED:
            seen.update(codes)
    return Survey(np.array(lengths, np.int64), again, head)


def quantiles(lengths: np.ndarray) -> dict[str, float]:
    """The least, middle and largest lengths by name; nothing where there are none."""
    return {name: float(np.quantile(lengths, level)) for name, level in _LEVELS} if len(lengths) else {}
