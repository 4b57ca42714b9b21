"""Lists of sounds as Sphinx keeps them: `x.fileids`, a name without an ending a line, `x.transcription` beside it.

an4_clstk/fash/an251-fash-b
<s> YES </s> (an251-fash-b)
"""

from __future__ import annotations

import re
from pathlib import Path

from remanence.data.media.listing import SOUNDS, VECTORS, base_folder
from remanence.data.sources import find, open_text, reading
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["is_list", "read_list"]

_TRANSCRIPT = re.compile(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\(([^()\s]+)\)")


def is_list(path: Path) -> bool:
    """Whether a file is such a list."""
    return path.suffix.lower() == ".fileids"


def read_list(
    path: Path, settings: DataSettings, *, answers: bool
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Files from `folder`, their texts (none without `answers`), and who speaks: the folder each file lies in.

    Raises:
        DataError: an empty line, no text for a file, a malformed line of the transcription: with its line.
    """
    if settings.group not in (None, "speaker"):
        raise SettingError("a list tells who speaks, and no more", name="group", remedy="--group speaker")
    names = [line for _, line in _lines(path)]
    ending = _ending(path, names[0], settings)
    speakers = tuple(Path(name).parent.name for name in names)
    texts: tuple[str, ...] = ()
    if answers:
        other = find(path.with_suffix(".transcription"))
        known = dict(_transcripts(other))
        for line, name in enumerate(names, 1):
            if Path(name).name not in known:
                raise DataError(f"no text for it in {other.name}", path=path, line=line, remedy="add it there")
        texts = tuple(known[Path(name).name] for name in names)
    return tuple(name + ending for name in names), texts, speakers


def _ending(path: Path, name: str, settings: DataSettings) -> str:
    folder = base_folder(path, settings)
    for ending in (*VECTORS, *SOUNDS):
        if (folder / (name + ending)).is_file():
            return ending
    raise DataError(
        f"no file '{name}' with one of the endings {' '.join((*VECTORS, *SOUNDS))} in {folder}",
        path=path, line=1, remedy="say where the files are with --folder",
    )  # fmt: skip


def _transcripts(path: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for number, line in _lines(path):
        match = _TRANSCRIPT.fullmatch(line)
        if match is None:
            raise DataError("expected a text and a name in parentheses", path=path, line=number, remedy="mend the line")
        if not match[1]:
            raise DataError("an empty text", path=path, line=number, remedy="remove it here and in the list")
        found.append((match[2], match[1]))
    return found


def _lines(path: Path) -> list[tuple[int, str]]:
    with reading(path), open_text(path) as file:
        lines = [(number, line.strip()) for number, line in enumerate(file, 1)]
    for number, line in lines:
        if not line:
            raise DataError("an empty line", path=path, line=number, remedy="remove it")
    return lines
