"""Sounds with a label each: a table whose column names their files, or one file alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from remanence.data.diagnose import line_of_row
from remanence.data.media.listing import Bad, base_folder, located
from remanence.data.media.sounds import FrameStore, SoundForm, fit_form, read_frames
from remanence.data.record_tables import row_records
from remanence.data.records import Records
from remanence.data.rows import Table
from remanence.data.tables import chunks
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["one_sound", "sound_records"]


def sound_records(table: Table, settings: DataSettings, answers: bool) -> Records:
    """Read labels and frames; a sound that is left out has no part in anything.

    Raises:
        DataError: names table, line and column of a sound that cannot be read, unless `bad` skips it; none is left.
    """
    records, column = row_records(table, settings, answers), settings.input[0]

    def complain(place: int, message: str, remedy: str) -> DataError:
        return DataError(message, path=table.path, line=line_of_row(table, place), column=column, remedy=remedy)

    folder = base_folder(table.path, settings)
    cells = [cell for chunk in chunks(table, {column: "text"}) for cell in chunk[column].to_pylist()]
    items = [located(cell, folder, partial(complain, place)) for place, cell in enumerate(cells)]
    form, bad = fit_form(items, settings, complain), Bad(settings, "sounds")
    store = read_frames(items, form, settings, complain, bad)
    kept = np.flatnonzero(store.lengths > 0)
    if not len(kept):
        raise DataError(f"none of its {len(items)} sounds can be read: {next(iter(bad.reasons.values()))}")
    note = bad.note(len(items))
    found = replace(
        records,
        labels=records.labels[kept],
        groups=None if records.groups is None else records.groups[kept],
        marks=None if records.marks is None else records.marks[kept],
        rows=kept,
        media=tuple(items[place] for place in kept.tolist()),
        notes=(note,) if note else (),
    )
    return _with_frames(found, form, store)


def one_sound(path: Path, settings: DataSettings, answers: bool) -> Records:
    """Read one sound, which has no label.

    Raises:
        DataError: it cannot be read, or a label was asked for.
    """
    if answers:
        raise DataError("a sound alone has no label", path=path, remedy="a table that names sounds and their labels")
    refuse = settings.model_copy(update={"bad": "refuse"})
    items: Sequence[tuple[Path, ...]] = [(path,)]

    def complain(place: int, message: str, remedy: str) -> DataError:
        return DataError(message.removeprefix(f"{path.name}: "), path=path, remedy=remedy)

    form = fit_form(items, refuse, complain)
    store = read_frames(items, form, refuse, complain, Bad(refuse, "sounds"))
    return _with_frames(Records(path, np.full(1, -1, np.int32), (), names=("",)), form, store)


def _with_frames(records: Records, form: SoundForm, store: FrameStore) -> Records:
    lengths = store.lengths[store.lengths > 0]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return replace(records, columns=form.columns, values=store.values, offsets=offsets, sound=form)
