"""What a command prints: aligned tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from remanence.errors import printable
from remanence.table import table

__all__ = ["metrics_table", "print_json", "print_json_rows", "print_note"]


def print_json(content: Any) -> None:
    """Print one JSON value. Numbers that are none (NaN) are null."""
    sys.stdout.write(json.dumps(_plain(content), ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def print_json_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as one JSON array, a row a line, as they come."""
    sys.stdout.write("[")
    for number, row in enumerate(rows):
        sys.stdout.write(",\n " if number else "\n ")
        sys.stdout.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False))
    sys.stdout.write("\n]\n")


def print_note(text: str) -> None:
    """Print something a person should know, on standard error."""
    print(f"note: {printable(text)}", file=sys.stderr)


def metrics_table(rows: Sequence[tuple[str, Mapping[str, float | None]]]) -> str:
    """Lines of a table: a name and its metrics a row; a metric that is missing stays blank."""
    names = list(dict.fromkeys(name for _, metrics in rows for name in metrics))
    body = [[title, *(_number(metrics.get(name)) for name in names)] for title, metrics in rows]
    return table(["", *names], body)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _plain(value: Any) -> Any:
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
