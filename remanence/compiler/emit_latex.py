"""IR → text for people: LaTeX, and a description of a cell."""

from __future__ import annotations

__all__ = ["describe"]


def describe(cell, **sizes: int) -> str:
    return cell.name
