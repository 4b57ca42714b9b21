"""The command that looks after compiled kernels: cache."""

from __future__ import annotations

from typing import Annotated

import typer

from remanence.cli.options import Json
from remanence.cli.output import print_json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command to a program."""
    app.command(rich_help_panel="Look")(cache)


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove every compiled kernel.")] = False, json: Json = False
) -> None:
    """Say where compiled cells (and the script that draws figures) are kept and how much room they take; they are made
    anew when missing.

    Examples:

      remanence cache

      remanence cache --clear
    """
    from remanence.compiler import cache as kernels

    held = kernels.clear() if clear else kernels.contents()
    if json:
        print_json({"folder": str(held.folder), "kernels": held.kernels, "bytes": held.bytes, "cleared": clear})
    else:
        size = f"{held.kernels} files of kernels, {held.bytes / 2**20:.1f} MiB (at most {kernels.MOST_BYTES >> 20})"
        print(f"{held.folder}: {'removed ' if clear else ''}{size}")
