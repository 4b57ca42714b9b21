"""What a file of pairs holds, for `describe`: nothing is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from remanence.data.corpus_facts import quantiles, survey_texts
from remanence.data.film_source import holds_films
from remanence.data.pairs import Pairs, read_pairs
from remanence.data.sound_source import files_of, holds_sounds
from remanence.data.tokens import choose_kind
from remanence.settings import DataSettings

__all__ = ["pair_facts"]

_UNLIKE = 9.0
"""A pair whose sides differ so many times more in length than the others is suspicious."""


def _files(pairs: Pairs, settings: DataSettings, what: str) -> tuple[dict[str, Any], list[str]]:
    """Sounds and videos are looked for, not decoded: of thousands that would take minutes."""
    files, written = files_of(pairs, settings), survey_texts(pairs.answers())
    facts = {
        "a row is": "a sound, and the text that is said in it" if what == "sounds" else "a video, and a text for it",
        "read": f"files in '{pairs.input}'",
        "written": f"'{pairs.answer}'",
        what: len(pairs),
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files if file.is_file()),
        "lengths written": quantiles(written.lengths),
        "lengths are in": "characters",
    }
    absent = [file for file in files if not file.is_file()]
    return facts, [f"{len(absent)} files are not there, {absent[0].name} first"] if absent else []


def pair_facts(path: str | Path, settings: DataSettings) -> tuple[dict[str, Any], list[str]]:
    """Facts in the order they are shown, and what looks suspicious.

    Raises:
        DataError: the file is no file of pairs.
    """
    pairs = read_pairs(path, settings)
    if holds_sounds(pairs) or holds_films(pairs):
        return _files(pairs, settings, "sounds" if holds_sounds(pairs) else "videos")
    read, written = survey_texts(pairs.sources()), survey_texts(pairs.answers())
    facts = {
        "a row is": "a pair: what is read, and the text to write for it",
        "read": f"'{pairs.input}'" if pairs.table is not None else pairs.path.name,
        "written": f"'{pairs.answer}'" if pairs.other is None else pairs.other.name,
        "cut into": f"{choose_kind(read.head)} and {choose_kind(written.head)}",
        "pairs": len(pairs),
        "lengths read": quantiles(read.lengths),
        "lengths written": quantiles(written.lengths),
        "lengths are in": "characters",
    }
    suspicious = []
    for side, again in (("read", read.again), ("written", written.again)):
        if again:
            suspicious.append(
                f"{again} texts that are {side} stand in the file more than once: pairs of one such text may fall on "
                "both sides of a split, unless --group names its column"
            )
    shares = (written.lengths + 1) / (read.lengths + 1)
    usual = float(np.median(shares)) if len(shares) else 1.0
    odd = np.flatnonzero((shares > _UNLIKE * usual) | (shares * _UNLIKE < usual))
    if len(odd):
        suspicious.append(f"{len(odd)} pairs of very unequal sides, the first at line {pairs.line(int(odd[0]))}")
    return facts, suspicious
