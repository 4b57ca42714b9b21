"""Music as frames of notes that sound together: pieces of a `.mat` file, or lists of notes in JSON lines.

    .mat        cells `traindata`, `validdata`, `testdata`, each piece `[frame, 88]` of 0 and 1 (keys of a piano), as in
                Boulanger-Lewandowski, Bengio & Vincent 2012, arXiv:1206.6392
    .jsonl      {"notes": [[60, 64, 67], [62], []]}: a piece a line, MIDI numbers of each frame

A frame is read, the next one is the answer; the first frame of a piece is given. Nothing in either format is executed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from remanence.data.examples import Batch, Part
from remanence.data.rows import Table, raw_rows
from remanence.data.spills import gather
from remanence.errors import DataError
from remanence.sequences import Sequences

__all__ = ["KEYS", "LOWEST", "FramePart", "Piece", "is_notes", "read_matrix", "read_notes"]

LOWEST, KEYS = 21, 88
"""A piano's lowest key as a MIDI number, and how many keys it has."""

Piece = np.ndarray
"""Frames of one piece, uint8 `[frame, key]`, 1 where a key sounds."""

_PARTS = {"traindata": 0, "validdata": 1, "testdata": 2}


class FramePart(Part):
    """Pieces of music. `batch` fills inputs (frames) and target (the frame after each), float32.

    Args:
        frames: of all pieces, uint8 `[frame, key]`.
        offsets: where each piece begins, and where the last one ends, int64 `[piece + 1]`.
        title: of the file.
        transpose: each piece stands there moved by every number of keys from so many down to so many up, too; keys that
            would leave the keyboard fall silent.
    """

    held_at_once = 64

    def __init__(self, frames: np.ndarray, offsets: np.ndarray, title: str, transpose: int = 0) -> None:
        self._frames, self._offsets, self._title, self._transpose = frames, offsets, title, transpose
        self.lengths = np.repeat(np.maximum(np.diff(offsets) - 1, 0), 2 * transpose + 1)

    @classmethod
    def of(cls, pieces: list[Piece], title: str, transpose: int = 0) -> FramePart:
        """A part of these pieces."""
        frames = np.concatenate([np.zeros((0, KEYS), np.uint8), *pieces])
        return cls(frames, np.cumsum([0, *map(len, pieces)]), title, transpose)

    def as_written(self) -> FramePart:
        """The pieces as they stand in the file alone."""
        return FramePart(self._frames, self._offsets, self._title)

    def batch(self, index: np.ndarray) -> Batch:
        """The pieces at these positions, in this order."""
        index = np.asarray(index, np.int64)
        lengths = np.ascontiguousarray(self.lengths[index])
        pieces, moves = np.divmod(index, 2 * self._transpose + 1)
        steps = np.arange(int(lengths.max(initial=0)) + 1)
        rows = np.minimum(self._offsets[pieces][:, None] + steps, max(len(self._frames) - 1, 0))
        found = gather(self._frames, rows) if len(self._frames) else np.zeros((*rows.shape, KEYS), np.uint8)
        if self._transpose:
            found = _moved(found, moves - self._transpose)
        inside = (steps < lengths[:, None])[:, :-1, None]
        inputs, target = (np.where(inside, part, 0).astype(np.float32) for part in (found[:, :-1], found[:, 1:]))
        sequences = Sequences(torch.from_numpy(inputs), torch.from_numpy(lengths))
        answers = torch.from_numpy(target)
        return Batch(sequences, answers, None, torch.from_numpy(index), scored=torch.from_numpy(inside[..., 0]))

    def name(self, index: int) -> str:
        """Where a piece stands, and how far it is moved."""
        piece, move = divmod(index, 2 * self._transpose + 1)
        moved = f", moved by {move - self._transpose:+d}" if move != self._transpose else ""
        return f"{self._title}, piece {piece + 1:,}{moved}"


def _moved(frames: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Frames `[batch, time, key]`, each row moved by its own number of keys."""
    reach = int(np.abs(moves).max(initial=0))
    silent = np.pad(frames, ((0, 0), (0, 0), (reach, reach)))
    keys = np.arange(KEYS) + reach - moves[:, None]
    return np.take_along_axis(silent, keys[:, None, :], axis=2)


def is_notes(table: Table, column: str) -> bool:
    """Whether a column of JSON lines holds lists of lists, not texts or tokens."""
    values = [row.get(column) for row in table.head]
    return any(isinstance(value, list) and any(isinstance(inner, list) for inner in value) for value in values)


def read_matrix(path: Path) -> dict[int, list[Piece]]:
    """Read a `.mat` file: pieces of the parts train (0), validation (1) and test (2) that it holds.

    Raises:
        DataError: it is damaged, holds none of the three cells, or a piece that is not 0 and 1 for 88 keys.
    """
    # SciPy's reader builds arrays from the file's numbers; it calls nothing that the file names.
    from scipy.io import loadmat

    try:
        found: dict[str, Any] = loadmat(path, variable_names=list(_PARTS))
    except (ValueError, TypeError, OSError, KeyError, NotImplementedError, MemoryError, OverflowError) as error:
        first = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise DataError(
            f"not a whole .mat file of version 5 ({first})", path=path, remedy="copy or download it again"
        ) from None
    parts: dict[int, list[Piece]] = {}
    for name, part in _PARTS.items():
        cells = found.get(name)
        if cells is None:
            continue
        if not isinstance(cells, np.ndarray) or cells.dtype != object:
            raise DataError(f"{name} should be a cell of matrices", path=path, remedy="see docs/tasks.md")
        parts[part] = [_piece(cell, path, f"{name}{{{place}}}") for place, cell in enumerate(cells.ravel(), 1)]
    if not parts:
        raise DataError("holds none of traindata, validdata, testdata", path=path, remedy="see docs/tasks.md")
    return parts


def _piece(cell: Any, path: Path, where: str) -> Piece:
    if not isinstance(cell, np.ndarray) or cell.ndim != 2 or cell.shape[1] != KEYS or cell.dtype.kind not in "buif":
        came = f"{cell.dtype} {list(cell.shape)}" if isinstance(cell, np.ndarray) else type(cell).__name__
        raise DataError(f"{where}: expected numbers [frame, {KEYS}], came {came}", path=path, remedy="a key a column")
    if not np.isin(cell, (0, 1)).all():
        raise DataError(f"{where}: a number that is neither 0 nor 1", path=path, remedy="1 where a key sounds, else 0")
    return cell.astype(np.uint8)


def read_notes(table: Table, column: str) -> Iterator[tuple[dict[str, Any], Piece]]:
    """Read JSON lines of lists of notes: each row, and its piece.

    Raises:
        DataError: what is not a list of lists of MIDI numbers from 21 to 108, with its line.
    """
    for line, (row,) in raw_rows(table):
        frames = row.get(column)
        if not isinstance(frames, list) or not all(isinstance(frame, list) for frame in frames):
            raise DataError(
                "expected a list of lists of notes", path=table.path, line=line, column=column,
                remedy="such as [[60, 64, 67], [62]]",
            )  # fmt: skip
        piece = np.zeros((len(frames), KEYS), np.uint8)
        for place, frame in enumerate(frames):
            for note in frame:
                if not isinstance(note, int) or isinstance(note, bool) or not LOWEST <= note < LOWEST + KEYS:
                    raise DataError(
                        f"expected a MIDI number from {LOWEST} to {LOWEST + KEYS - 1}, came {str(note)[:20]}",
                        path=table.path, line=line, column=column, remedy="middle C is 60",
                    )  # fmt: skip
                piece[place, note - LOWEST] = 1
        yield row, piece
