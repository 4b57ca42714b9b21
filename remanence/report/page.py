"""Blocks → one HTML file that needs nothing else: no network, no server, no other file.

Every text of a user's is escaped, every script is listed by its hash in the page's security policy, so that nothing
which came from data can run or load anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remanence.explain.render import specification
from remanence.explain.words import Language, Words
from remanence.report.assets import SCRIPT, STYLE, bundle
from remanence.storage import no_write_errors, write_file

__all__ = [
    "Block", "Details", "Figure", "Page", "Section", "Table", "Text", "page_html", "write_page",
]  # fmt: skip

CANVAS_FROM = 2500
"""Marks from which a figure is drawn as pixels: as shapes, a browser would take seconds."""


@dataclass(frozen=True)
class Text:
    """A paragraph, or a list when it has several lines.

    Args:
        lines: one a paragraph or list item.
        kind: empty, `how` (how to read a figure), `example` (a user's text).
    """

    lines: tuple[Words, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers.

    Args:
        header: a title for each column.
        rows: cells, as many as the header has.
        numbers: positions of the columns that stand to the right.
        best: position of the row to stress, or None.
    """

    header: tuple[Words, ...]
    rows: tuple[tuple[str | Words, ...], ...]
    numbers: tuple[int, ...] = ()
    best: int | None = None


@dataclass(frozen=True)
class Figure:
    """A chart with its caption.

    Args:
        name: file name without suffix, where figures are saved as pictures.
        draw: language → chart.
        title: above it.
        how: how to read it.
    """

    name: str
    draw: Callable[[Language], Any]
    title: Words | None = None
    how: Words | None = None


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away."""

    title: Words
    blocks: tuple[Text | Table, ...]


Block = Text | Table | Figure | Details


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: Words
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Args:
        name: of the run or file, as people call it.
        title: the heading.
        verdict: the sentence to take home.
        sections: in order.
    """

    name: str
    title: Words
    verdict: Words
    sections: tuple[Section, ...]


def write_page(page: Page, path: str | Path) -> Path:
    """Write a page as one HTML file, whole or not at all.

    Raises:
        MachineError: it cannot be written.
    """
    path = Path(path)
    content = page_html(page).encode()
    with no_write_errors(path):
        write_file(path, content)
    return path


@dataclass
class _Writer:
    """Pieces of the page, and the figures met on the way."""

    pieces: list[str] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def block(self, block: Block) -> None:
        if isinstance(block, Text):
            self.pieces.append(_text(block))
        elif isinstance(block, Table):
            self.pieces.append(_table(block))
        elif isinstance(block, Details):
            inner = "".join(_text(part) if isinstance(part, Text) else _table(part) for part in block.blocks)
            self.pieces.append(f"<details><summary>{_words(block.title)}</summary>{inner}</details>")
        else:
            self._figure(block)

    def _figure(self, figure: Figure) -> None:
        title = f"<h3>{_words(figure.title)}</h3>" if figure.title else ""
        how = f'<p class="how">{_words(figure.how)}</p>' if figure.how else ""
        label = html.escape(figure.title.en if figure.title else figure.name)
        place = f'<div class="chart" role="img" aria-label="{label}" data-figure="{len(self.figures)}"></div>'
        self.pieces.append(f"<figure>{title}{how}{place}</figure>")
        self.figures.append(_both_languages(figure))


def _both_languages(figure: Figure) -> dict[str, Any]:
    """A figure's specification in both languages, the data that they share held once."""
    from altair.utils.schemapi import debug_mode

    held: dict[str, Any] = {"datasets": {}}
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        # Our own figures, which tests check against the schema, need not be checked for every reader.
        with debug_mode(False):
            spec = specification(figure.draw(language), checked=False)
        held["datasets"].update(spec.pop("datasets", {}))
        held[language] = spec
    marks = sum(
        max((len(column) for column in rows[0].values()), default=0) for rows in held["datasets"].values() if rows
    )
    held["renderer"] = "canvas" if marks > CANVAS_FROM else "svg"
    return held


def page_html(page: Page) -> str:
    """Give a page as HTML text."""
    writer = _Writer()
    for section in page.sections:
        writer.pieces.append(f"<section><h2>{_words(section.title)}</h2>")
        for block in section.blocks:
            writer.block(block)
        writer.pieces.append("</section>")
    scripts = (bundle(), SCRIPT)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src "
        + " ".join(_hash(script) for script in scripts)
    )
    drawn = "".join(f"<script>{script}</script>\n" for script in scripts)
    foot = Words(
        "Made by Remanence. This page is one file and works offline.", "由 Remanence 生成。本页是单个文件，可离线查看。"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(page.name)} · Remanence</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header><div><div class="name">{html.escape(page.name)}</div><h1>{_words(page.title)}</h1></div>
<nav aria-label="language"><button type="button" data-language="en">English</button><button type="button"
data-language="zh" lang="zh-CN">中文</button></nav></header>
<main>
<p class="verdict">{_words(page.verdict)}</p>
{"".join(writer.pieces)}
</main>
<footer>{_words(foot)}</footer>
<script type="application/json" id="figures">{_data({"figures": writer.figures})}</script>
{drawn}</body>
</html>
"""


def _words(words: Words | str) -> str:
    if isinstance(words, str):
        return html.escape(words)
    if words.en == words.zh:
        return html.escape(words.en)
    return (
        f'<span data-words lang="en">{html.escape(words.en)}</span>'
        f'<span data-words lang="zh-CN">{html.escape(words.zh)}</span>'
    )


def _text(block: Text) -> str:
    mark = f' class="{block.kind}"' if block.kind else ""
    if len(block.lines) == 1:
        return f"<p{mark}>{_words(block.lines[0])}</p>"
    return f"<ul{mark}>" + "".join(f"<li>{_words(line)}</li>" for line in block.lines) + "</ul>"


def _table(table: Table) -> str:
    def cell(tag: str, position: int, content: str | Words) -> str:
        mark = ' class="number"' if position in table.numbers else ' class="wide"' if tag == "td" else ""
        return f"<{tag}{mark}>{_words(content)}</{tag}>"

    head = "".join(cell("th", i, title) for i, title in enumerate(table.header))
    body = "".join(
        f"<tr{' class=best' if row == table.best else ''}>"
        + "".join(cell("td", i, content) for i, content in enumerate(cells))
        + "</tr>"
        for row, cells in enumerate(table.rows)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _data(content: Any) -> str:
    """JSON that no browser can take for a tag, whatever a column or a token is called."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
