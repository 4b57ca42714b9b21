"""Videos with a label each: a table whose column names their files, or one file alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from remanence.data.clips import ClipForm
from remanence.data.diagnose import line_of_row
from remanence.data.media.films import Complain, read_films
from remanence.data.media.listing import Bad, base_folder, located
from remanence.data.media.sounds import FrameStore
from remanence.data.record_tables import row_records
from remanence.data.records import Records
from remanence.data.rows import Table
from remanence.data.tables import chunks
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["Films", "film_records", "one_film", "read_named"]


@dataclass(frozen=True)
class Films:
    """The videos that a table names.

    Args:
        paths: a file for each row.
        store: their frames; a video that is left out has none.
        notes: which were left out.
    """

    paths: tuple[Path, ...]
    store: FrameStore
    notes: tuple[str, ...]

    @property
    def kept(self) -> np.ndarray:
        """Rows whose video was read, int64 `[video]`."""
        return np.flatnonzero(self.store.lengths > 0)


def read_named(cells: Iterable[str], table: Path, form: ClipForm, settings: DataSettings, complain: Complain) -> Films:
    """Read every video that the cells of a table name.

    Args:
        cells: paths, from the table's folder or `folder`.
        table: the file of the table.
        form: what is taken of each.
        complain: row, what is wrong, what to try → the error.

    Raises:
        DataError: names table, line and column of a video that cannot be read, unless `bad` skips it; none is left.
    """
    folder, bad = base_folder(table, settings), Bad(settings, "videos")
    paths: list[Path] = []
    for place, cell in enumerate(cells):
        found = located(cell, folder, lambda message, remedy, at=place: complain(at, message, remedy))
        if len(found) != 1:
            raise complain(place, f"{len(found)} videos in one cell", "give each a row of its own")
        paths += found
    store = read_films(paths, form, settings, complain, bad)
    if not store.lengths.any():
        raise DataError(f"none of its {len(paths)} videos can be read: {next(iter(bad.reasons.values()))}", path=table)
    note = bad.note(len(paths))
    return Films(tuple(paths), store, (note,) if note else ())


def film_records(table: Table, form: ClipForm, settings: DataSettings, answers: bool) -> Records:
    """Read labels and frames; a video that is left out has no part in anything."""
    records, column = row_records(table, settings, answers), settings.input[0]

    def complain(place: int, message: str, remedy: str) -> DataError:
        return DataError(message, path=table.path, line=line_of_row(table, place), column=column, remedy=remedy)

    films = read_named(_cells(table, column), table.path, form, settings, complain)
    kept = films.kept
    return replace(
        records,
        labels=records.labels[kept],
        groups=None if records.groups is None else records.groups[kept],
        marks=None if records.marks is None else records.marks[kept],
        rows=kept,
        values=films.store.values,
        offsets=np.concatenate([[0], np.cumsum(films.store.lengths[kept])]).astype(np.int64),
        form=form,
        media=tuple((films.paths[place],) for place in kept.tolist()),
        notes=films.notes,
    )


def one_film(path: Path, form: ClipForm, settings: DataSettings, answers: bool) -> Records:
    """Read one video, which has no label.

    Raises:
        DataError: it cannot be read, or a label was asked for.
    """
    if answers:
        raise DataError("a video alone has no label", path=path, remedy="a table that names videos and their labels")

    def complain(place: int, message: str, remedy: str) -> DataError:
        return DataError(message.removeprefix(f"{path.name}: "), path=path, remedy=remedy)

    refuse = settings.model_copy(update={"bad": "refuse"})
    store = read_films([path], form, refuse, complain, Bad(refuse, "videos"))
    return Records(
        path, np.full(1, -1, np.int32), (), names=("",), values=store.values, offsets=store.offsets, form=form
    )


def _cells(table: Table, column: str) -> Iterator[str]:
    for chunk in chunks(table, {column: "text"}):
        texts: Sequence[str] = chunk[column].to_pylist()
        yield from (text.strip() for text in texts)
