"""Sounds and videos with labelled stretches: a table of file, begin, end and label, turned into a label a frame.

    file,start,end,label        seconds; rows of one file may stand anywhere, its stretches may not overlap
    a.wav,0.00,0.42,noise
    a.wav,0.42,0.93,seven

A frame of a sound gets the label of the stretch that covers its middle, a frame of a video that of the moment it is
shown at; a frame that none covers is labelled `none`. Without labels a row, or a file, is a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from remanence.data.clips import ClipForm
from remanence.data.diagnose import line_of_row
from remanence.data.media.films import form_of, read_films
from remanence.data.media.listing import SOUNDS, VECTORS, VIDEOS, Bad, base_folder, located, names_files
from remanence.data.media.sounds import FrameStore, SoundForm, fit_form, read_frames
from remanence.data.rows import Kind, Table
from remanence.data.sources import TABLES, file_format
from remanence.data.step_records import StepRecords
from remanence.data.tables import chunks, open_table
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["BACKGROUND", "holds_stretches", "one_recording", "read_stretches"]

BACKGROUND = "none"
"""The label of what no stretch covers."""
Complain = Callable[[int, str, str], DataError]


def holds_stretches(path: str | Path, settings: DataSettings) -> bool:
    """Whether the one input column of a table names sounds or videos."""
    if len(settings.input) != 1 or file_format(Path(path), settings.format) not in TABLES:
        return False
    head = [row.get(settings.input[0]) for row in open_table(path, settings).head]
    return names_files(head, (*SOUNDS, *VECTORS, *VIDEOS))


@dataclass(frozen=True)
class _Rows:
    """The rows of a table.

    Args:
        cells: the file that each names, in order of the table.
        texts: label, group and mark of each, as far as they are asked for.
        begins, ends: seconds, float64 `[row]`; empty without labels.
    """

    cells: tuple[str, ...]
    texts: dict[str, tuple[str, ...]]
    begins: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class _Media:
    """The frames of all files of a table.

    Args:
        store: frames; a file that is left out has none.
        form: how they were taken.
        middle, every: seconds from the beginning of a file to the middle of its first frame, and from frame to frame.
        note: what was left out, or empty.
    """

    store: FrameStore
    form: SoundForm | ClipForm
    middle: float
    every: float
    note: str


def read_stretches(path: str | Path, settings: DataSettings, *, answers: bool = True) -> StepRecords:
    """Read files and their labels, frame by frame.

    Args:
        settings: input names the files, interval where stretches begin and end, label what they are.
        answers: labels must be there.

    Raises:
        DataError: stretches that overlap, end before they begin, or lie behind the end of their file; a file that
            cannot be read, unless such are skipped: with the line.
    """
    table, column = open_table(path, settings), settings.input[0]

    def complain(row: int, message: str, remedy: str, at: str = column) -> DataError:
        return DataError(message, path=table.path, line=line_of_row(table, row), column=at, remedy=remedy)

    rows = _rows(table, settings, answers)
    files = tuple(dict.fromkeys(rows.cells))
    places = {cell: place for place, cell in enumerate(files)}
    own = np.array([places[cell] for cell in rows.cells])
    firsts = np.unique(own, return_index=True)[1]
    folder = base_folder(table.path, settings)

    def at_first(place: int, message: str, remedy: str) -> DataError:
        return complain(int(firsts[place]), message, remedy)

    items = [located(cell, folder, partial(at_first, place)) for place, cell in enumerate(files)]
    media = _read(items, settings, at_first)
    kept = np.flatnonzero(media.store.lengths > 0)
    if not len(kept):
        raise DataError(f"none of its {len(items)} files can be read", path=table.path, remedy="--bad refuse says why")
    labels, names, which = _labels(rows, own, media, complain, settings)
    codes = {name: _alike(rows, own, name, complain) for name in rows.texts if name != settings.label}
    group, split = (codes.get(name or "", (None, ())) for name in (settings.group, settings.split_column))
    return StepRecords(
        table.path,
        np.concatenate([[0], np.cumsum(media.store.lengths[kept])]).astype(np.int64),
        labels,
        names,
        lambda step: line_of_row(table, int(which[step])),
        np.zeros(len(kept), np.int64),
        names=tuple(files[place] for place in kept),
        values=media.store.values,
        columns=media.form.columns if isinstance(media.form, SoundForm) else (),
        times=_times(media, kept),
        groups=None if group[0] is None else group[0][kept],
        marks=None if split[0] is None else split[0][kept],
        mark_names=split[1],
        notes=(media.note,) if media.note else (),
        form=media.form,
        media=tuple(file for place in kept for file in items[place]),
    )


def one_recording(path: Path, settings: DataSettings, answers: bool) -> StepRecords:
    """Read one sound or video, which has no labels.

    Raises:
        DataError: it cannot be read, or labels were asked for.
    """
    if answers:
        raise DataError("a file alone has no labels", path=path, remedy="a table of file, start, end and label")

    def complain(place: int, message: str, remedy: str) -> DataError:
        return DataError(message.removeprefix(f"{path.name}: "), path=path, remedy=remedy)

    media = _read([(path,)], settings.model_copy(update={"bad": "refuse"}), complain)
    steps = len(media.store.values)
    return StepRecords(
        path,
        media.store.offsets,
        np.full(steps, -1, np.int32),
        (),
        lambda step: 0,
        np.zeros(1, np.int64),
        names=(path.name,),
        values=media.store.values,
        columns=media.form.columns if isinstance(media.form, SoundForm) else (),
        times=_times(media, np.zeros(1, np.int64)),
        form=media.form,
    )


def _rows(table: Table, settings: DataSettings, answers: bool) -> _Rows:
    table.need(settings.input, "input")
    named = (settings.label, settings.group, settings.split_column) if answers else ()
    texts = list(dict.fromkeys(name for name in named if name))
    if answers:
        table.need([settings.label or "label"], "label")
        table.need(settings.interval, "interval")
    ends_of = settings.interval if answers else ()
    wanted: dict[str, Kind] = dict.fromkeys((settings.input[0], *texts), "text")
    wanted |= dict.fromkeys(ends_of, "number")
    found: dict[str, list[str]] = {name: [] for name in (settings.input[0], *texts)}
    numbers: dict[str, list[np.ndarray]] = {name: [] for name in ends_of}
    for chunk in chunks(table, wanted):
        for name, held in found.items():
            column = chunk[name]
            assert isinstance(column, pa.Array | pa.ChunkedArray)
            held += [str(cell).strip() for cell in column.to_pylist()]
        for name, held in numbers.items():
            held.append(np.asarray(chunk[name]))
    seconds = [np.concatenate(numbers[name]) for name in ends_of] or [np.zeros(0)] * 2
    return _Rows(tuple(found[settings.input[0]]), {name: tuple(found[name]) for name in texts}, *seconds)


def _read(items: Sequence[tuple[Path, ...]], settings: DataSettings, complain: Complain) -> _Media:
    """The frames of all files, sounds or videos."""
    if items[0][0].suffix.lower() in VIDEOS:
        form, bad = form_of(settings), Bad(settings, "videos")
        store = read_films([item[0] for item in items], form, settings, complain, bad)
        return _Media(store, form, 0.0, 1 / form.rate, bad.note(len(items)))
    form, bad = fit_form(items, settings, complain), Bad(settings, "sounds")
    store = read_frames(items, form, settings, complain, bad)
    return _Media(store, form, form.frame_ms / 2000, form.hop_ms / 1000, bad.note(len(items)))


def _times(media: _Media, kept: np.ndarray) -> np.ndarray:
    """When each frame begins, in seconds of its file, float64 `[frame]`."""
    found = np.concatenate([np.arange(length) * media.every for length in media.store.lengths[kept]])
    # To the microsecond: 0.35, not 0.35000000000000003.
    return found.round(6)


def _labels(
    rows: _Rows, own: np.ndarray, media: _Media, complain: Callable[..., DataError], settings: DataSettings
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Code of each frame's label, what codes stand for, and the row that says so.

    Args:
        own: the file of each row.
    """
    total = len(media.store.values)
    if not len(rows.begins):
        return np.full(total, -1, np.int32), (), np.zeros(total, np.int64)
    begin, end = settings.interval
    texts = rows.texts[settings.label or "label"]
    for row, text in enumerate(texts):
        if not text:
            raise complain(row, "the label is missing", "label every stretch", settings.label)
    names = tuple(dict.fromkeys((BACKGROUND, *texts)))
    codes = {name: code for code, name in enumerate(names)}
    labels, which = np.zeros(total, np.int32), np.zeros(total, np.int64)
    order = np.lexsort((rows.begins, own))
    before = -1
    for row in order.tolist():
        place, start, stop = int(own[row]), float(rows.begins[row]), float(rows.ends[row])
        if not 0 <= start < stop < np.inf:
            raise complain(row, f"a stretch from {start:g} to {stop:g} seconds", "it should end after it begins", end)
        if before >= 0 and own[before] == place and start < rows.ends[before] - 1e-9:
            told = f"the stretch from {start:g} s begins before the one from {rows.begins[before]:g} s has ended"
            raise complain(row, told, f"one label at a time; that one ends at {rows.ends[before]:g} s", begin)
        before = row
        length, first = int(media.store.lengths[place]), int(media.store.offsets[place])
        if not length:
            continue
        seconds = length * media.every + max(0.0, 2 * media.middle - media.every)
        if start >= seconds:
            raise complain(
                row, f"begins at {start:g} s, but the file lasts {seconds:.2f} s", "seconds are meant", begin
            )
        # The first and the last frame whose middle lies inside.
        low, high = np.ceil((np.array([start, stop]) - media.middle) / media.every - 1e-9).astype(np.int64)
        inside = slice(first + max(low, 0), first + min(high, length))
        labels[inside], which[inside] = codes[texts[row]], row
    return labels, names, which


def _alike(
    rows: _Rows, own: np.ndarray, name: str, complain: Callable[..., DataError]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Code of each file by a column that must say the same of all its stretches, int32 `[file]`."""
    texts = rows.texts[name]
    names = tuple(dict.fromkeys(texts))
    codes = {text: code for code, text in enumerate(names)}
    found = np.full(int(own.max()) + 1, -1, np.int32)
    for row, (place, text) in enumerate(zip(own.tolist(), texts, strict=True)):
        if found[place] not in (-1, codes[text]):
            raise complain(row, f"'{text}', but '{names[found[place]]}' before in the same file", "say one", name)
        found[place] = codes[text]
    return found, names
