"""Files of media that a table names: where they lie, and what happens to those that cannot be used.

A cell names a file from the table's folder (or `folder`), or several between semicolons: sounds that are read as one.
A path may not leave that folder: a table from elsewhere cannot have any file of this machine read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["SOUNDS", "VECTORS", "VIDEOS", "Bad", "base_folder", "located", "names_files", "title_of"]

SOUNDS = (".wav", ".flac", ".ogg", ".oga")
"""Endings of files of sound."""
VIDEOS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif")
"""Endings of videos."""
VECTORS = (".mfc", ".npy")
"""Endings of files that hold features already: Sphinx's, NumPy's."""
_SEPARATOR = ";"
_NAMED = 3


def names_files(cells: Iterable[object], endings: Sequence[str]) -> bool:
    """Whether every cell is the name of a file with one of these endings, and there is one.

    Example:
        >>> names_files(["a.wav", "b/c.WAV;d.flac"], SOUNDS), names_files([], SOUNDS)
        (True, False)
    """
    texts = [cell for cell in cells if cell is not None]
    return bool(texts) and all(
        isinstance(text, str) and all(part.strip().lower().endswith(tuple(endings)) for part in _parts(text))
        for text in texts
    )


def base_folder(table: Path, settings: DataSettings) -> Path:
    """Where paths in a table start from.

    Raises:
        DataError: `folder` is no folder.
    """
    if settings.folder is None:
        return table.parent
    folder = Path(settings.folder)
    if not folder.is_dir():
        raise DataError("no such folder (--folder)", path=folder, remedy="check the path")
    return folder


def located(cell: str, folder: Path, where: Callable[[str, str], DataError]) -> tuple[Path, ...]:
    """The files that a cell names.

    Args:
        where: a message and a remedy → the error, which names table, line and column.

    Raises:
        DataError: no name, a path that leaves the folder, a NUL byte in it.
    """
    found: list[Path] = []
    for part in _parts(cell):
        if not part:
            raise where("no file is named", "name a file, or remove the row")
        if "\0" in part or PurePosixPath(part).is_absolute() or PureWindowsPath(part).anchor:
            raise where(f"the path '{part}' is not relative", "write it from the table's folder, or from --folder")
        if ".." in PurePosixPath(part).parts or ".." in PureWindowsPath(part).parts:
            raise where(f"the path '{part}' leaves its folder", "name the folder above with --folder")
        found.append(folder / part)
    return tuple(found)


def title_of(files: Sequence[Path]) -> str:
    """What the files of one example are called, for a person; of many, the first.

    Example:
        >>> title_of([Path("in/a.wav")]), title_of([Path("a.wav"), Path("b.wav"), Path("c.wav"), Path("d.wav")])
        ('a.wav', 'a.wav; b.wav; c.wav; …')
    """
    names = [file.name for file in files[:_NAMED]]
    return "; ".join([*names, "…"] if len(files) > _NAMED else names)


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(_SEPARATOR)]


class Bad:
    """What cannot be used: refused at once, or left out and named at the end.

    Args:
        settings: `bad` says which.
        what: what the files are called in a note, such as `sounds`.
    """

    def __init__(self, settings: DataSettings, what: str) -> None:
        self._skip, self._what = settings.bad == "skip", what
        self.reasons: dict[int, str] = {}

    def add(self, place: int, error: DataError) -> None:
        """Take in an item that cannot be used.

        Raises:
            DataError: the error, unless such items are to be skipped.
        """
        if not self._skip:
            remedy = error.remedy or "mend or remove it"
            # Of a table, or a list, the other files are left.
            remedy += "; --bad skip leaves it out" if error.line else ""
            raise DataError(
                error.message.removeprefix(f"{error.where}: "),
                path=error.path, line=error.line, column=error.column, remedy=remedy,
            )  # fmt: skip
        self.reasons[place] = error.message

    def note(self, total: int) -> str:
        """A line for a person, or nothing where nothing was left out."""
        if not self.reasons:
            return ""
        named = "; ".join(list(self.reasons.values())[:_NAMED])
        more = f"; and {len(self.reasons) - _NAMED} more" if len(self.reasons) > _NAMED else ""
        return f"{len(self.reasons)} of {total} {self._what} left out: {named}{more}"
