"""What can go wrong, and how it is told.

    RemanenceError          one line: what failed, where, what to try; `exit_status` for the command line
    ├── DataError           a file, or a value in it: path, line, column
    ├── SettingError        an option: its name, what was expected, what came
    ├── CellError           the equations of a cell: the line, with a caret below it
    ├── ShapeError          a tensor: the axis, its expected size, the size that came
    ├── RunError            a run folder: missing, damaged, or of another version
    ├── TrainingError       training cannot go on: a non-finite loss, with its batch and rows
    └── MachineError        this machine: disk full, no permission, a font or an optional package missing

Every error carries a remedy where one is known. A user's mistake ends in one of these, never in a traceback.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

__all__ = [
    "CellError",
    "DataError",
    "MachineError",
    "RemanenceError",
    "RunError",
    "SettingError",
    "ShapeError",
    "TrainingError",
    "printable",
]

_LONGEST, _LONGEST_MESSAGE = 60, 300


def printable(text: str) -> str:
    """The text with what a terminal would obey, not show (escapes, turned directions), written out.

    Example:
        >>> printable("red\\x1b[31m \\u202eleft 销量")
        'red\\\\x1b[31m \\\\u202eleft 销量'
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter == "\n" or unicodedata.category(letter) == "Zs"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


class RemanenceError(Exception):
    """Base of all errors a user can mend. `str(error)` is the message, a dash, and the remedy."""

    exit_status = 2

    def __init__(self, message: str, *, remedy: str = "") -> None:
        message, remedy = printable(message), printable(remedy)
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} — {remedy}" if remedy else message)


class DataError(RemanenceError):
    """A file, or a value in it, cannot be used.

    Args:
        message: what is wrong, with what was expected and what came.
        path: the file.
        line: 1-based line of the file (the header of a CSV is line 1); 0 where lines do not apply.
        column: name of the column, or empty.
        remedy: what to try.
    """

    def __init__(
        self, message: str, *, path: str | Path = "", line: int = 0, column: str = "", remedy: str = ""
    ) -> None:
        self.path, self.line, self.column = str(path), line, column
        where = self.path + (f":{line}" if line else "")
        if column:
            shown = " ".join(column.splitlines())
            shown = shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
            where += f", column '{shown}'" if where else f"column '{shown}'"
        self.where = where
        message = " ".join(message.splitlines())
        message = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
        self.what = message
        super().__init__(f"{where}: {message}" if where else message, remedy=remedy[:_LONGEST_MESSAGE])


class SettingError(RemanenceError):
    """An option has a value that cannot be used. `name` is written as in Python (`batch_size`)."""

    def __init__(self, message: str, *, name: str = "", remedy: str = "") -> None:
        self.name = name
        flag = "--" + name.replace("_", "-")
        super().__init__(f"{flag}: {message}" if name else message, remedy=remedy)


class CellError(RemanenceError):
    """The equations of a cell are malformed. The message holds the line and a caret below the place."""


class ShapeError(RemanenceError):
    """A tensor has the wrong size along a named axis."""

    def __init__(self, what: str, *, axis: str, expected: object, came: object, remedy: str = "") -> None:
        self.axis, self.expected, self.came = axis, expected, came
        super().__init__(f"{what}: axis '{axis}' should be {expected}, came {came}", remedy=remedy)


class RunError(RemanenceError):
    """A run folder is missing, damaged, or written by another version."""


class TrainingError(RemanenceError):
    """Training cannot go on."""


class MachineError(RemanenceError):
    """This machine lacks something: space, permission, a font, an optional package."""
