"""What several test files need: real data where it is present, small tables, the command line in this process."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["EXAMPLE_DATA", "REPOSITORY", "Outcome", "command", "shared_data", "write_csv"]

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE_DATA = REPOSITORY / "examples" / "data"


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


def shared_data(name: str) -> Path:
    """A file of the collection beside the repository; where it is absent, skip the test and say so."""
    path = REPOSITORY.parent / "shared" / "data" / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{name}")
    return path


def command(*arguments: str | Path | float) -> Outcome:
    """Run `remanence` with these arguments in this process (importing torch once is enough for all tests)."""
    from remanence.cli import main

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Outcome(status, out.getvalue(), err.getvalue())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """A plain CSV; `None` becomes an empty cell."""
    lines = [",".join(header)]
    lines += [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
