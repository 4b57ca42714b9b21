"""Videos as a source of texts: the files that a table names, their frames side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from remanence.data.clips import Clip, ClipForm
from remanence.data.clock import Clock
from remanence.data.film_records import Films, read_named
from remanence.data.media.films import fit_clip, form_of
from remanence.data.media.listing import VIDEOS, names_files
from remanence.data.media.sounds import FrameStore
from remanence.data.pair_part import Source
from remanence.data.pairs import Pairs
from remanence.data.shares import Share
from remanence.data.sound_source import Sourced
from remanence.data.spills import side_by_side
from remanence.errors import DataError
from remanence.sequences import Sequences
from remanence.settings import DataSettings

__all__ = ["FilmSource", "film_sources", "holds_films", "reopened_films"]

_LOOKED_AT = 100
"""Cells that are looked at to see whether they name videos."""


class FilmSource(Source):
    """Frames as they were decoded, uint8.

    Args:
        store: frames of all videos of a file.
        form: how they were taken.
        files: of each video.
    """

    def __init__(self, store: FrameStore, form: ClipForm, files: Sequence[Path] = ()) -> None:
        self._store, self._form, self._files, self.lengths = store, form, files, store.lengths

    def clock(self) -> Clock | None:
        """When frames are on the screen."""
        return self._form.clock

    def title(self, place: int) -> str:
        """Name of its file."""
        return self._files[place].name if self._files else ""

    def batch(self, places: np.ndarray) -> Sequences:
        """The videos at these places, uint8 `[video, frame, pixel]`, 0 behind the end of each."""
        lengths = np.ascontiguousarray(self.lengths[places])
        data = side_by_side(self._store.values, self._store.offsets[places], lengths)
        return Sequences(torch.from_numpy(data), torch.from_numpy(lengths))


def holds_films(pairs: Pairs) -> bool:
    """Whether what is read is named, not written: videos."""
    return names_files(next(pairs.sources(), [])[:_LOOKED_AT], VIDEOS)


def film_sources(shares: Sequence[Share[Pairs]], settings: DataSettings, notes: list[str]) -> Sourced:
    """Read the videos of all parts, their pixels measured on the first, the training part.

    Raises:
        DataError: a video that cannot be read, unless such are skipped; none of the training part can be.
    """
    form = form_of(settings)
    films = {id(share.records): _read(share.records, form, settings) for share in shares}
    places = tuple(np.intersect1d(share.places, films[id(share.records)].kept) for share in shares)
    train = films[id(shares[0].records)]
    if not len(places[0]):
        raise DataError("no training video can be read", path=shares[0].records.path, remedy="--bad refuse says why")
    inside = np.zeros(len(train.paths), bool)
    inside[places[0]] = True
    clip = fit_clip(form, train.store.values, np.repeat(inside, train.store.lengths))
    notes += [*chain.from_iterable(each.notes for each in films.values()), clip.note]
    sources = {key: FilmSource(each.store, form, each.paths) for key, each in films.items()}
    read = [each.paths[place] for each in films.values() for place in each.kept.tolist()]
    return Sourced(clip, sources, places, tuple(read))


def reopened_films(pairs: Pairs, settings: DataSettings, clip: Clip) -> Sourced:
    """The videos of a new file, as those of the training part were taken."""
    films = _read(pairs, clip, settings)
    return Sourced(clip, {id(pairs): FilmSource(films.store, clip, films.paths)}, (films.kept,), ())


def _read(pairs: Pairs, form: ClipForm, settings: DataSettings) -> Films:
    return read_named(chain.from_iterable(pairs.sources()), pairs.path, form, settings, pairs.refusal)
