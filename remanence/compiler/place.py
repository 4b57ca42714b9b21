"""A cell's text, and how an error points into it: the line, a caret, what was expected."""

from __future__ import annotations

import ast

from remanence.compiler.ir import Span
from remanence.errors import CellError

__all__ = ["UNSHOWN", "Source"]

UNSHOWN = "\N{REPLACEMENT CHARACTER}"


class Source:
    """The dedented text of a cell's equations.

    Example:
        >>> print(Source("h = tnh(x)").error("unknown function 'tnh'", Span(1, 4, 7)))
        line 1: unknown function 'tnh'
            h = tnh(x)
                ^^^
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")

    def span(self, tree: ast.expr | ast.stmt) -> Span:
        """Where a syntax tree stands; one that runs over several lines ends with its first."""
        same = tree.end_lineno == tree.lineno and tree.end_col_offset is not None
        end = tree.end_col_offset if same and tree.end_col_offset is not None else len(self.lines[tree.lineno - 1])
        return Span(tree.lineno, tree.col_offset, end)

    def at(self, span: Span) -> str:
        """The text at a span."""
        return self.lines[span.line - 1][span.column : span.end] if span.line else ""

    def error(self, message: str, span: Span, remedy: str = "") -> CellError:
        """An error that shows the line with a caret below the place, or all lines where the place is the whole."""
        if not span.line or span.line > len(self.lines):
            shown = "\n".join(f"    {line}" for line in self.lines if line.strip())
            text = f"{message}\n{shown}" if shown else message
        else:
            width = max(span.end - span.column, 1)
            # One sign for each letter that cannot be shown, so that the caret stays below its place.
            plain = self.lines[span.line - 1].replace("\t", " ")
            line = "".join(letter if letter.isprintable() else UNSHOWN for letter in plain)
            text = f"line {span.line}: {message}\n    {line}\n    {' ' * span.column}{'^' * width}"
        return CellError(f"{text}\n" if remedy else text, remedy=remedy)
