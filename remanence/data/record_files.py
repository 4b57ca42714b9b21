"""Open a file of labelled sequences, whatever its format: tables, archives, skeletons, videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from remanence.data.archive import Archive, read_archive
from remanence.data.film_records import film_records, one_film
from remanence.data.idx import read_images
from remanence.data.media.films import form_of
from remanence.data.media.listing import SOUNDS, VECTORS, VIDEOS, names_files
from remanence.data.panel import Codes
from remanence.data.record_tables import number_records, row_records
from remanence.data.records import Records, refuse_missing
from remanence.data.rows import Table
from remanence.data.skeletons import read_skeletons
from remanence.data.sound_records import one_sound, sound_records
from remanence.data.sources import file_format, find
from remanence.data.tables import open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["is_text", "names_sounds", "names_videos", "read_records"]


def is_text(table: Table, settings: DataSettings) -> bool:
    """Whether the input is one text a row, not numbers over several rows."""
    return len(settings.input) == 1 and not settings.sequence


def read_records(path: str | Path, settings: DataSettings, *, answers: bool = True) -> Records:
    """Read labels, groups and numbers of a file; texts are read later, chunk by chunk.

    Args:
        settings: with input, label, sequence and time filled in (see `schema.guess`).
        answers: labels must be there.
    """
    path = find(path)
    kind = file_format(path, settings.format)
    if kind in ("ts", "arff"):
        return _from_archive(read_archive(path, kind), settings, answers=answers)
    if kind == "idx":
        return _from_archive(read_images(path, answers=answers), settings, answers=answers)
    if kind == "npz":
        return read_skeletons(path, settings, answers=answers)
    if kind == "sound":
        return one_sound(path, settings, answers)
    if kind == "video":
        return one_film(path, form_of(settings), settings, answers)
    table = open_table(path, settings)
    if table.columns == ("text",) and table.format == "text" and not answers and is_text(table, settings):
        # Lines of texts, without a name: they stand for the column that the model reads.
        table = open_table(path, settings.model_copy(update={"columns": settings.input}))
    table.need(settings.input, "input")
    table.need(settings.sequence, "sequence")
    if answers or (settings.label in table.columns and not is_text(table, settings)):
        table.need([settings.label or "label"], "label")
    if names_videos(table, settings):
        return film_records(table, form_of(settings), settings, answers)
    if names_sounds(table, settings):
        return sound_records(table, settings, answers)
    reader = row_records if is_text(table, settings) else number_records
    return reader(table, settings, answers)


def names_sounds(table: Table, settings: DataSettings) -> bool:
    """Whether the input is one column of names of sounds."""
    wanted = (*SOUNDS, *VECTORS)
    return is_text(table, settings) and names_files((row.get(settings.input[0]) for row in table.head), wanted)


def names_videos(table: Table, settings: DataSettings) -> bool:
    """Whether the input is one column of names of videos."""
    return is_text(table, settings) and names_files((row.get(settings.input[0]) for row in table.head), VIDEOS)


def _from_archive(archive: Archive, settings: DataSettings, *, answers: bool) -> Records:
    path = archive.path
    if answers and not archive.labels:
        raise DataError("the file has no class labels", path=path, remedy="@classLabel true, and a label on each line")
    codes = Codes()
    count = len(archive.offsets) - 1
    labels = codes.encode([pa.array(archive.labels)]) if archive.labels else np.full(count, -1, np.int32)
    records = Records(
        path,
        labels,
        tuple(codes.names),
        columns=tuple(f"dim{place}" for place in range(archive.values.shape[1])),
        values=archive.values,
        offsets=archive.offsets,
        lines=archive.lines,
        names=archive.names,
    )
    refuse_missing(records, settings)
    return records
