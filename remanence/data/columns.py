"""A look at every column of a file, used or not: its kind, what is missing, what its values are. Memory is bounded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from remanence.data import times as timing
from remanence.data.arrow import compute
from remanence.data.notation import Notation, one_zone, unit_of, zones_of
from remanence.data.rows import MISSING, Kind, Table, as_number
from remanence.data.tables import chunks
from remanence.errors import printable
from remanence.table import table as aligned

__all__ = ["column_lines", "number_facts", "survey"]

_REMEMBERED = 1_000_000
"""Values remembered, over all columns, to count how many differ."""
_SHOWN = 100


@dataclass
class _Seen:
    """What the rows so far have shown of one column."""

    time_format: str | None
    rows: int = 0
    missing: int = 0
    numbers: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    codes: set[int] = field(default_factory=set)
    more: bool = False
    first: int | None = None
    last: int | None = None
    zones: set[int] = field(default_factory=set)


def survey(table: Table) -> dict[str, dict[str, Any]]:
    """Facts of each column: name → kind, missing, and least, mean, most (numbers), from, to (times) or distinct.

    Raises:
        DataError: the file cannot be read.
    """
    wanted: dict[str, Kind] = {name: kind for name in table.columns if (kind := _kind(table, name))}
    seen = {name: _Seen(_time_format(table, name) if kind == "text" else None) for name, kind in wanted.items()}
    room = max(100, _REMEMBERED // max(1, len(wanted)))
    for chunk in chunks(table, wanted) if wanted else ():
        for name, kind in wanted.items():
            (_see_numbers if kind == "number" else _see_texts)(seen[name], chunk[name], room)
    return {name: _facts(seen[name]) if name in seen else {"kind": "nested"} for name in table.columns}


def number_facts(values: np.ndarray) -> dict[str, Any]:
    """The facts of a column of numbers, NaN where missing."""
    seen = _Seen(None)
    _see_numbers(seen, values, 0)
    return _facts(seen)


def column_lines(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each column, aligned; the first hundred."""
    heads = ("kind", "missing", "least", "mean", "most", "distinct")
    used = [head for head in heads if any(head in one for one in facts.values())]
    rows = [
        [printable(" ".join(name.split())[:40]) or "(no name)", *(_shown(one.get(head, "")) for head in used)]
        for name, one in list(facts.items())[:_SHOWN]
    ]
    lines = aligned(["column", *used], rows).split("\n") if rows else []
    return lines + ([f"… and {len(facts) - _SHOWN} more (--json lists them)"] if len(facts) > _SHOWN else [])


def _kind(table: Table, name: str) -> Kind | None:
    """How to read a column: texts of a text file are looked into; None for what is nested."""
    values = [row.get(name) for row in table.head]
    if any(isinstance(value, dict | list | tuple | bytes) for value in values):
        return None
    there = [value for value in values if value is not None]
    typed = table.format in ("jsonl", "parquet")
    numbers = typed and bool(there) and all(not isinstance(v, str) and as_number(v) is not None for v in there)
    return "number" if numbers else "text"


def _time_format(table: Table, name: str) -> str | None:
    values = [value for row in table.head[:50] if (value := row.get(name)) is not None and value not in MISSING]
    if not values or (isinstance(values[0], str) and (as_number(values[0]) is not None or len(values[0]) > 40)):
        return None
    texts = [value if isinstance(value, str) else str(value) for value in values]
    return timing.guess_format(texts)


def _see_numbers(seen: _Seen, values: np.ndarray, room: int) -> None:
    there = values[np.isfinite(values)]
    seen.rows += len(values)
    seen.missing += int(np.isnan(values).sum())
    _add(seen, there)


def _add(seen: _Seen, numbers: np.ndarray) -> None:
    if len(numbers):
        seen.numbers += len(numbers)
        seen.total += float(numbers.sum())
        seen.least, seen.most = min(seen.least, float(numbers.min())), max(seen.most, float(numbers.max()))


def _see_texts(seen: _Seen, texts: pa.Array, room: int) -> None:
    trimmed = compute.utf8_trim_whitespace(texts)
    there = trimmed.filter(compute.invert(compute.is_in(trimmed, value_set=pa.array(MISSING))))
    seen.rows += len(texts)
    seen.missing += len(texts) - len(there)
    if len(seen.codes) < room:
        seen.codes.update(map(hash, compute.unique(there).to_pylist()))
    seen.more |= len(seen.codes) >= room
    if seen.time_format:
        stamps, bad = timing.parse(there, seen.time_format)
        seen.zones |= zones_of(there, seen.time_format)
        if bad < 0 and len(stamps):
            low, high = int(stamps.min()), int(stamps.max())
            seen.first = low if seen.first is None else min(low, seen.first)
            seen.last = high if seen.last is None else max(high, seen.last)
        return
    try:
        _add(seen, there.cast(pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        _add(seen, np.array(list(_numbers(there.to_pylist())), np.float64))


def _numbers(texts: Iterable[str]) -> Iterable[float]:
    return (number for text in texts if (number := as_number(text)) is not None and math.isfinite(number))


def _facts(seen: _Seen) -> dict[str, Any]:
    there = seen.rows - seen.missing
    if not there:
        return {"kind": "empty", "missing": seen.missing}
    if seen.time_format and seen.first is not None and seen.last is not None:
        zone = one_zone(seen.zones)
        notation = Notation(seen.time_format, zone, unit_of(np.array([seen.first, seen.last]), zone))
        shown = map(notation.show, (seen.first, seen.last))
        return {"kind": "time", "missing": seen.missing} | dict(zip(("least", "most"), shown, strict=True))
    if seen.numbers * 2 > there:
        facts = {"kind": "number", "missing": seen.missing}
        facts |= {"least": seen.least, "mean": seen.total / seen.numbers, "most": seen.most}
        return facts | ({"not numbers": there - seen.numbers} if seen.numbers < there else {})
    return {
        "kind": "text",
        "missing": seen.missing,
        "distinct": f"≥ {len(seen.codes)}" if seen.more else len(seen.codes),
    }


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
