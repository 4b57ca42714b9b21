"""Sounds as a source of texts: the files that a table names, scaled frames of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from remanence.data.clips import Clip
from remanence.data.clock import Clock
from remanence.data.media.listing import SOUNDS, VECTORS, Bad, base_folder, located, names_files, title_of
from remanence.data.media.sounds import FrameStore, SoundForm, fit_form, read_frames
from remanence.data.pair_part import Source
from remanence.data.pairs import Pairs
from remanence.data.scalers import Moments, Scaler
from remanence.data.shares import Share
from remanence.data.spills import gather
from remanence.data.text_side import TextSide
from remanence.errors import DataError
from remanence.sequences import Sequences
from remanence.settings import DataSettings

__all__ = ["SoundSide", "SoundSource", "Sourced", "files_of", "holds_sounds", "reopened_sounds", "sound_sources"]

_LOOKED_AT = 100
"""Cells that are looked at to see whether they name files."""


class SoundSide(BaseModel):
    """How sounds become numbers: read through `form`, scaled as the training part was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sound"] = "sound"
    form: SoundForm
    scaler: Scaler


class _Sounds:
    """The files that the pairs of one table name.

    Args:
        pairs: the table.
        settings: where the files lie, and what happens to bad ones.
    """

    def __init__(self, pairs: Pairs, settings: DataSettings) -> None:
        self.pairs, self.settings = pairs, settings
        self.bad = Bad(settings, "sounds")
        folder = base_folder(pairs.path, settings)
        cells = (cell for batch in pairs.sources() for cell in batch)
        self.items = [located(cell, folder, self._complaint(place)) for place, cell in enumerate(cells)]

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is there, each once."""
        return tuple(dict.fromkeys(path for item in self.items for path in item if path.is_file()))

    def fit(self, places: np.ndarray) -> SoundForm:
        """How the sounds at these places are read."""
        return fit_form([self.items[place] for place in places.tolist()], self.settings, self._at(places))

    def read(self, form: SoundForm) -> FrameStore:
        """The frames of all sounds."""
        return read_frames(self.items, form, self.settings, self._at(None), self.bad)

    def kept(self, places: np.ndarray) -> np.ndarray:
        """Those of these places whose sound could be read."""
        return places[~np.isin(places, list(self.bad.reasons))]

    def _at(self, places: np.ndarray | None) -> Callable[[int, str, str], DataError]:
        def complain(at: int, message: str, remedy: str) -> DataError:
            return self._complaint(at if places is None else int(places[at]))(message, remedy)

        return complain

    def _complaint(self, place: int) -> Callable[[str, str], DataError]:
        return partial(self.pairs.refusal, place)


def _fitted(form: SoundForm, store: FrameStore, places: np.ndarray) -> SoundSide:
    """Scale every feature by its mean and spread in the training part."""
    moments = Moments(len(form.columns))
    for place in places.tolist():
        moments.update(np.asarray(store.values[store.offsets[place] : store.offsets[place + 1]]))
    return SoundSide(form=form, scaler=moments.scaler(form.columns))


class SoundSource(Source):
    """Scaled frames.

    Args:
        store: frames of all sounds of a file.
        side: how they are scaled.
        longest: frames kept of each sound, or None for all.
        files: of each sound.
    """

    def __init__(
        self,
        store: FrameStore,
        side: SoundSide,
        longest: int | None = None,
        files: Sequence[tuple[Path, ...]] = (),
    ) -> None:
        self._store, self._side, self._files = store, side, files
        self.lengths = store.lengths if longest is None else np.minimum(store.lengths, longest)

    def clock(self) -> Clock | None:
        """When frames begin."""
        return self._side.form.clock

    def title(self, place: int) -> str:
        """Names of its files."""
        return title_of(self._files[place]) if self._files else ""

    def batch(self, places: np.ndarray) -> Sequences:
        """The sounds at these places, float32 `[sound, frame, feature]`, 0 behind the end of each."""
        lengths = np.ascontiguousarray(self.lengths[places])
        steps = np.arange(int(lengths.max(initial=0)))
        rows = np.minimum(self._store.offsets[places][:, None] + steps, max(len(self._store.values) - 1, 0))
        scaled = self._side.scaler.apply(gather(self._store.values, rows)) if len(self._store.values) else None
        if scaled is None:
            scaled = np.zeros((*rows.shape, len(self._side.form.columns)), np.float32)
        data = np.where((steps < lengths[:, None])[..., None], scaled, np.float32(0))
        return Sequences(torch.from_numpy(data), torch.from_numpy(lengths))


@dataclass(frozen=True)
class Sourced:
    """The sources of some parts.

    Args:
        side: how they become numbers.
        sources: `id` of the pairs of each file → its sources.
        places: of each part, those whose source can be read.
        files: every file that was read.
    """

    side: TextSide | SoundSide | Clip
    sources: Mapping[int, Source]
    places: tuple[np.ndarray, ...]
    files: tuple[Path, ...]


def files_of(pairs: Pairs, settings: DataSettings) -> tuple[Path, ...]:
    """Every file that the pairs name, each once, whether it is there or not."""
    return tuple(dict.fromkeys(path for item in _Sounds(pairs, settings).items for path in item))


def holds_sounds(pairs: Pairs) -> bool:
    """Whether what is read is named, not written: files of sound."""
    first = next(pairs.sources(), [])
    return names_files(first[:_LOOKED_AT], (*SOUNDS, *VECTORS))


def sound_sources(shares: Sequence[Share[Pairs]], settings: DataSettings, notes: list[str]) -> Sourced:
    """Read the sounds of all parts, scaled by the first, the training part.

    Raises:
        DataError: a sound that cannot be read, unless such are skipped; no sound of the training part can be.
    """
    sounds = {id(share.records): _Sounds(share.records, settings) for share in shares}
    train = shares[0]
    form = sounds[id(train.records)].fit(train.places)
    stores = {key: each.read(form) for key, each in sounds.items()}
    places = tuple(sounds[id(share.records)].kept(share.places) for share in shares)
    if not len(places[0]):
        raise DataError("no training sound can be read", path=train.records.path, remedy="--bad refuse says why")
    side = _fitted(form, stores[id(train.records)], places[0])
    for each in sounds.values():
        if note := each.bad.note(len(each.items)):
            notes.append(note)
    notes.append(form.note)
    sources = {key: SoundSource(store, side, settings.longest, sounds[key].items) for key, store in stores.items()}
    return Sourced(side, sources, places, tuple(file for each in sounds.values() for file in each.files))


def reopened_sounds(pairs: Pairs, settings: DataSettings, side: SoundSide, longest: int | None) -> Sourced:
    """The sounds of a new file through a side that was fitted before."""
    sounds = _Sounds(pairs, settings)
    store = sounds.read(side.form)
    places = sounds.kept(np.arange(len(pairs)))
    return Sourced(side, {id(pairs): SoundSource(store, side, longest, sounds.items)}, (places,), sounds.files)
