"""Tables for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["table"]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: texts to the left, numbers to the right. Chinese letters are two wide.

    Example:
        >>> print(table(["", "mae"], [["lstm", "0.25"], ["naive", "1"]]))
                mae
        lstm   0.25
        naive     1
    """
    lines = [list(headers), *map(list, rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(headers))]
    texts = {column for column in range(len(headers)) if column == 0 or not all(_numeric(row[column]) for row in rows)}
    return "\n".join(
        "  ".join(
            text + " " * (width - _width(text)) if column in texts else " " * (width - _width(text)) + text
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _numeric(text: str) -> bool:
    """`0.25`, `−1`, `[0.1, 0.3]`, or nothing."""
    return not text or text.lstrip("[-−+").startswith(tuple("0123456789"))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
