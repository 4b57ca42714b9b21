"""The command that writes problems which are made: problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remanence.errors import SettingError

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command to a program."""
    app.command(rich_help_panel="Look")(problem)


def problem(
    name: Annotated[str, typer.Argument(metavar="adding|copy", help="Which problem.")],
    length: Annotated[int, typer.Option("--length", help="Steps of a sequence (adding), or to bridge (copy).")] = 100,
    sequences: Annotated[int, typer.Option("--sequences", help="How many, test and validation included.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed writes the same.")] = 0,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help=".csv, .jsonl or .parquet; by default standard output.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands at --out.")] = False,
) -> None:
    """Write a problem that asks for long memory: adding two marked numbers, or copying letters after a pause.

    Examples:

      remanence problem adding --length 200 --out adding.csv

      remanence compare adding.csv --task regress --label sum --pool last --no-bidirectional --split-column split

      remanence problem copy --length 100 --out copy.jsonl
    """
    from remanence.data.problems import problem_rows
    from remanence.prediction.writers import check_suffix, write_rows, write_rows_to_stdout

    rows = problem_rows(name, sequences=sequences, length=length, seed=seed)
    if out is None and name == "copy":
        raise SettingError("a row of this problem holds lists", name="out", remedy="name a file that ends in .jsonl")
    if out is None:
        write_rows_to_stdout(rows)
        return
    path = Path(out)
    check_suffix(path)
    if name == "copy" and path.suffix.lower() == ".csv":
        raise SettingError("a row of this problem holds lists", name="out", remedy="end it with .jsonl")
    if path.exists() and not overwrite:
        raise SettingError(f"{out} exists", name="out", remedy="add --overwrite, or choose another name")
    write_rows(rows, path)
