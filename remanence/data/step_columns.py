"""The columns of a table whose rows are steps: numbers, times, and codes of what names sequences and labels them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from remanence.data.panel import Codes
from remanence.data.rows import Kind, Table
from remanence.data.spills import Spill
from remanence.data.tables import chunks

__all__ = ["StepColumns", "Times", "step_columns"]


@dataclass(frozen=True)
class StepColumns:
    """Columns as they stand in the file, a row a step.

    Args:
        values: float64 `[step, column]`.
        times: `[step]`, or None.
        sequence: code of each step's sequence, int32 `[step]`; `names` are what codes stand for.
        texts: column → codes int32 `[step]`, and what they stand for.
    """

    values: np.ndarray
    times: np.ndarray | None
    sequence: np.ndarray
    names: tuple[str, ...]
    texts: dict[str, tuple[np.ndarray, tuple[str, ...]]]


@dataclass(frozen=True)
class Times:
    """How a column of times is read.

    Args:
        column: its name; `kind` is how the file holds it.
        dtype: of the numbers.
        read: cells of a chunk, and the row at which it begins → numbers.
    """

    column: str
    kind: Kind
    dtype: type[np.generic]
    read: Callable[[Any, int], np.ndarray]


def step_columns(
    table: Table, numbers: Sequence[str], sequence: Sequence[str], texts: Sequence[str], times: Times | None
) -> StepColumns:
    """Read the columns, a chunk at a time; without columns for `sequence` all rows are one, named ""."""
    wanted: dict[str, Kind] = dict.fromkeys(numbers, "number")
    wanted |= dict.fromkeys([*sequence, *texts], "text")
    if times:
        wanted[times.column] = times.kind
    values, codes_of = Spill(np.float64, len(numbers)), Spill(np.int32)
    stamps = Spill(times.dtype if times else np.int64)
    codes = {name: Codes() for name in texts}
    spills = {name: Spill(np.int32) for name in texts}
    names = Codes()
    for chunk in chunks(table, wanted):
        rows = len(chunk[next(iter(wanted))])
        values.append(np.stack([chunk[name] for name in numbers], 1) if numbers else np.zeros((rows, 0)))
        named = [chunk[name] for name in sequence]
        codes_of.append(names.encode(named) if named else np.zeros(rows, np.int32))
        for name in texts:
            spills[name].append(codes[name].encode([chunk[name]]))
        if times:
            stamps.append(times.read(chunk[times.column], stamps.rows))
    return StepColumns(
        values.finish(),
        stamps.finish() if times else None,
        codes_of.finish(),
        tuple(names.names) or ("",),
        {name: (spills[name].finish(), tuple(codes[name].names)) for name in texts},
    )
