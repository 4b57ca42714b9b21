"""Write the pages that are generated from the program: `cells.md` from the registry, `cli.md` from the commands.

    python docs/generate.py

`tests/test_documents.py` fails where a page differs from what this writes.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import click
import typer

from remanence.cells import CELLS, Cell
from remanence.cli import app

__all__ = ["pages"]

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Written by docs/generate.py; change the program, then run `make docs`. -->\n"


def pages() -> dict[str, str]:
    """File name → text of every generated page."""
    return {"cells.md": cells_page(), "cli.md": cli_page()}


def cells_page() -> str:
    head = f"""\
        {NOTE}
        # Cells

        A cell is one step of a recurrent network, written as equations. `x` is the input; a state (`h`, `c`) is the
        previous step's until a line assigns it; names left of `@` are learnt matrices, other free names learnt vectors.
        `remanence cells NAME` prints one of these, with its shapes; `--latex` writes it for a paper.

        | name | cell | states | keeps a state by |
        |---|---|---|---|
        """
    rows = [
        f"| [`{c.name}`](#{c.name}) | {c.title or c.name} | {', '.join(c.state)} | {_kept(c)} |" for c in CELLS.values()
    ]
    sections = [_section(cell) for cell in CELLS.values()]
    return textwrap.dedent(head) + "\n".join(rows) + "\n\n" + "\n\n".join(sections) + "\n"


def cli_page() -> str:
    root = typer.main.get_command(app)
    assert isinstance(root, click.Group)
    context = click.Context(root, info_name="remanence")
    parts = [f"{NOTE}\n# Commands\n\n{_paragraphs(root.help)}"]
    parts += [_command(root.get_command(context, name), name) for name in root.list_commands(context)]
    return "\n\n".join(parts) + "\n"


def _section(cell: Cell) -> str:
    equations = textwrap.dedent(cell.equations).strip()
    return f"## {cell.name}\n\n{cell.title or cell.name}.\n\n```\n{equations}\n```\n\nSource: {cell.source}."


def _command(command: click.Command | None, name: str) -> str:
    assert command is not None
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden and "--help" not in p.opts]
    usage = " ".join(["remanence", name, *(_metavar(argument) for argument in arguments), "[OPTIONS]"])
    text = f"## {name}\n\n```\n{usage}\n```\n\n{_paragraphs(command.help)}"
    if options:
        rows = (f"| {_flags(option)} | {_cell(option.help or '')}{_default(option)} |" for option in options)
        text += "\n\n| option | |\n|---|---|\n" + "\n".join(rows)
    return text


def _metavar(argument: click.Argument) -> str:
    name = (argument.metavar or argument.name or "").upper().strip("[]")
    return name if argument.required else f"[{name}]"


def _flags(option: click.Option) -> str:
    shown = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return shown
    if isinstance(option.type, click.Choice):
        return f"{shown} {' · '.join(f'`{choice}`' for choice in option.type.choices)}"
    return f"{shown} {(option.metavar or option.type.name).upper()}"


def _default(option: click.Option) -> str:
    quiet = option.default in (None, False, "", (), []) or callable(option.default)
    return "" if quiet or option.required else f" Default: `{option.default}`."


def _paragraphs(text: str | None) -> str:
    return textwrap.dedent(text or "").replace("\b\n", "").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _kept(cell: Cell) -> str:
    return "; ".join(f"`{state} = {a} * {state} + {b}`" for state, (a, b) in cell.additive_memory.items()) or "–"


def main() -> None:
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
