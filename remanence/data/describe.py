"""What a file holds: what a row, a step and a sequence are, and what looks suspicious."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remanence.settings import DataSettings

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """The findings, in the order they are shown."""

    path: str
    task: str
    facts: dict[str, Any]
    notes: tuple[str, ...]
    suspicious: tuple[str, ...]

    def text(self) -> str:
        """Lines for a terminal."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        raise NotImplementedError


def describe(path: str | Path, settings: DataSettings | None = None) -> Description:
    """Read a file and say what it holds; nothing is fitted, and a flaw is reported instead of refused."""
    raise NotImplementedError
