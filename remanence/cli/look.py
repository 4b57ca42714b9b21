"""Commands that look: describe, cells, doctor."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from remanence.cli.options import DATA, File, Json, with_settings
from remanence.cli.output import print_json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to a program."""
    for command in (describe, cells, doctor):
        app.command(rich_help_panel="Look")(command)


@with_settings(of=DATA)
def describe(file: File, json: Json = False, **options: Any) -> None:
    """Say what a file holds: what a row, a step and a sequence are, what was guessed, and what looks suspicious.

    Examples:

      remanence describe weather.csv

      remanence describe reviews.tsv --task classify --input text --label sentiment

      remanence describe weather.csv --json
    """
    from remanence.data.describe import describe as look
    from remanence.settings import settings_from

    found = look(file, settings_from(options).data)
    if json:
        print_json(found.as_json())
    else:
        print(found.text())


def cells(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One cell; all are listed without.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations as LaTeX.")] = False,
    json: Json = False,
) -> None:
    """List the recurrent cells, or print the equations of one.

    Examples:

      remanence cells

      remanence cells lstm-peephole

      remanence cells gru --latex
    """
    from json import loads

    from remanence.cells import CELLS, cell

    chosen = [cell(name)] if name else list(CELLS.values())
    if latex:
        from remanence.compiler.emit_latex import latex as typeset

        print("\n\n".join(typeset(one.step) for one in chosen))
    elif json:
        print_json([loads(one.to_json()) for one in chosen])
    elif name:
        print(chosen[0])
    else:
        width = max(len(one.name) for one in chosen)
        print("\n".join(f"{one.name:<{width}}  {one.title}" for one in chosen))


def doctor(json: Json = False) -> None:
    """Check this machine: versions, CPU, threads, fonts for Chinese, optional packages, disk. Exit status 1 if broken.

    Examples:

      remanence doctor

      remanence doctor --json
    """
    from remanence.doctor import examine

    findings = examine()
    if json:
        print_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            print(finding)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
