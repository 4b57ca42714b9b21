"""Write the pages that are generated from the program: `cells.md` from the registry, `cli.md` from the commands.

    python docs/generate.py

`tests/test_documents.py` fails where a page differs from what this writes.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import typer

from remanence.cells import CELLS, Cell
from remanence.cli.program import app

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
        previous step's until a line assigns it; names left of `@` are learnt matrices, other free names learnt vectors,
        but for what a cell says is given.
        `remanence cells NAME` prints one of these, with its shapes; `--latex` writes it for a paper.

        | name | cell | states | keeps a state times |
        |---|---|---|---|
        """
    rows = [
        f"| [`{c.name}`](#{c.name}) | {c.title or c.name} | {', '.join(c.state)} | {_kept(c)} |" for c in CELLS.values()
    ]
    sections = [_section(cell) for cell in CELLS.values()]
    return textwrap.dedent(head) + "\n".join(rows) + "\n\n" + "\n\n".join(sections) + "\n"


def cli_page() -> str:
    root = typer.main.get_command(app)
    parts = [f"{NOTE}\n# Commands\n\n{_paragraphs(root.help)}"]
    parts += [_command(command, name) for name, command in root.commands.items()]
    return "\n\n".join(parts) + "\n"


def _section(cell: Cell) -> str:
    equations = textwrap.dedent(cell.equations).strip()
    outside = ", ".join(f"`{name}` [{size}]" for name, size in cell.given.items())
    given = f"Given at each step beside `x`: {outside}.\n\n" if outside else ""
    return f"## {cell.name}\n\n{cell.title or cell.name}.\n\n```\n{equations}\n```\n\n{given}Source: {cell.source}."


def _command(command: Any, name: str) -> str:
    """A section: how it is called, what it says of itself, and a table of its options for each panel."""
    # Told apart by what click calls them: typer may carry a copy of click of its own.
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
    usage = " ".join(["remanence", name, *(argument.metavar for argument in arguments), "[OPTIONS]"])
    text = f"## {name}\n\n```\n{usage}\n```\n\n{_paragraphs(command.help)}"
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(option.rich_help_panel or "", []).append(option)
    for panel, held in panels.items():
        rows = [f"| {_flags(option)} | {_cell(option.help or '')} |" for option in held]
        text += f"\n\n| {panel or 'option'} | |\n|---|---|\n" + "\n".join(rows)
    return text


def _flags(option: Any) -> str:
    names = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} {_cell(option.metavar or 'TEXT')}"


def _paragraphs(text: str | None) -> str:
    """Help as Markdown: examples become a block of code, rich's marks become Markdown's."""
    paragraphs = re.sub(r"\[(/?)bold\]", "**", textwrap.dedent(text or "")).strip().split("\n\n")
    shown, examples = [], []
    for paragraph in paragraphs:
        words = " ".join(paragraph.split())
        if words.startswith("remanence "):
            examples.append(words)
        elif words != "Examples:":
            shown.append(words)
    if examples:
        shown.append("```\n" + "\n".join(examples) + "\n```")
    return "\n\n".join(shown)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _kept(cell: Cell) -> str:
    return "; ".join(f"`{state}` times `{keep}`" for state, (keep, _) in cell.additive_memory.items()) or "–"


def main() -> None:
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
