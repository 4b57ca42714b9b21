"""What the next row of a loop reads and writes, brought into the cache while this row is computed. No torch here."""

from __future__ import annotations

import re

__all__ = ["fetched_ahead"]

STREAMS = 8
"""From so many saved lanes of a row on, the processor no longer sees by itself which memory comes next."""
_PLACE = re.compile(r"(load|store)\(s, at_s([^,)]*)")


def fetched_ahead(lines: list[str], saved: int, stride: str) -> list[str]:
    """Add prefetches to the body of a loop over rows, each behind the line that touches the same place of this row.

    Args:
        lines: source.
        saved: lanes of a row of `s`; few of them are left to the processor.
        stride: from one row of `s` to the next, as source.

    Example:
        >>> fetched_ahead(["    v1 = load(s, at_s + j)"], 9, "(9 * hidden)")[1:]
        ['    v1 = load(s, at_s + j)', '    fetch(s, next_s + j)']
    """
    found: list[str] = []
    met: set[str] = set()
    for line in lines:
        found.append(line)
        place = _PLACE.search(line) if saved >= STREAMS else None
        if place is not None and place[2] not in met:
            met.add(place[2])
            call = {"load": "fetch", "store": "claim"}[place[1]]
            found.append(f"{line[: len(line) - len(line.lstrip())]}{call}(s, next_s{place[2]})")
    # The row behind the last one is another list's number, and no harm: nothing is read there.
    return [f"            next_s = keeping[m + r + 1] * {stride}", *found] if met else lines
