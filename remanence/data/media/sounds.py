"""Many sounds as frames of numbers, one after the other, spilled to disk where they are many.

.wav .flac .ogg   decoded in child processes, then log-mel energies or cepstra
.mfc              Sphinx: the number of floats as an int32, then float32; big-endian, or little-endian where that fits
.npy              NumPy: an array `[frame, feature]` of numbers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from remanence.data.clock import Clock
from remanence.data.media.features import SoundFrames, with_deltas
from remanence.data.media.listing import SOUNDS, Bad
from remanence.data.media.wire import NO_FILE, Decoded, Refusal
from remanence.data.media.workers import Decoder, decode_all
from remanence.data.spills import Spill
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["FrameStore", "SoundForm", "fit_form", "read_frames"]

Items = Sequence[tuple[Path, ...]]
Complain = Callable[[int, str, str], DataError]
_LOWEST_HZ = 20.0
_TRIED = 8
_MOST_FEATURES = 1 << 14


class SoundForm(BaseModel):
    """How files of sound become numbers; a new file is read through it.

    Args:
        kind: `sound`: samples, of which features are made; `vectors`: files of features.
        rate: samples per second that sounds are brought to; 0 for vectors.
        features, bands, coefficients, deltas, centre, frame_ms, hop_ms: as in `MediaSettings`.
        width: numbers of a frame before deltas.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["sound", "vectors"]
    rate: float = 0.0
    features: Literal["mel", "mfcc"] = "mel"
    bands: int = 40
    coefficients: int = 13
    deltas: int = 0
    centre: bool = False
    frame_ms: float = 25.0
    hop_ms: float = 10.0
    width: int

    @property
    def frames(self) -> SoundFrames:
        """How a sound is cut and measured."""
        samples = self.rate / 1000
        cepstra = self.coefficients if self.features == "mfcc" else 0
        frame, hop = max(2, round(self.frame_ms * samples)), max(1, round(self.hop_ms * samples))
        return SoundFrames(self.rate, frame, hop, self.bands, _LOWEST_HZ, self.rate / 2, cepstra)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers of a frame."""
        plain = [f"{self.features if self.kind == 'sound' else 'v'}{place}" for place in range(self.width)]
        return tuple(name + " delta" * order for order in range(self.deltas + 1) for name in plain)

    @property
    def clock(self) -> Clock | None:
        """When frames begin; None for files of features, whose rate is not known."""
        return Clock(0.0, self.hop_ms / 1000) if self.kind == "sound" else None

    @property
    def note(self) -> str:
        """What is heard, for a person."""
        if self.kind == "vectors":
            return f"sounds: {self.width} numbers a frame, as the files have them"
        made = f"{self.bands} bands" if self.features == "mel" else f"{self.coefficients} cepstra"
        return f"sounds: {made} every {self.hop_ms:g} ms at {self.rate:g} Hz (--features, --sample-rate)"

    def as_settings(self) -> dict[str, Any]:
        """The settings by which another file is read alike."""
        found = self.model_dump(exclude={"kind", "rate", "width"})
        return found | ({"sample_rate": self.rate} if self.kind == "sound" else {})

    def finished(self, values: np.ndarray) -> np.ndarray:
        """Features of one item as a model may read them: centred, with deltas."""
        values = values - values.mean(0) if self.centre else values
        return with_deltas(values.astype(np.float32), self.deltas)


@dataclass(frozen=True)
class FrameStore:
    """Frames of all sounds of one file.

    Args:
        values: float32 `[frame, feature]`, mapped from a file where they are many.
        offsets: where each sound begins, and where the last one ends, int64 `[sound + 1]`; a bad one is empty.
    """

    values: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each sound, int64 `[sound]`."""
        return np.diff(self.offsets)


def fit_form(items: Items, settings: DataSettings, complain: Complain) -> SoundForm:
    """How the sounds of a training part are read: what is open follows from the first of them that can be read.

    Raises:
        DataError: none of the first can be read.
    """
    sound = _is_sound(items[0])
    given: dict[str, Any] = {
        name: getattr(settings, name) for name in ("bands", "coefficients", "deltas", "centre", "frame_ms", "hop_ms")
    }
    given["features"] = settings.features or "mel"
    first: DataError | None = None
    for place, item in enumerate(items[:_TRIED]):
        try:
            if sound:
                with Decoder("audio") as decoder:
                    answer = decoder.decode(item[0], _options(settings.sample_rate, settings))
                rate = _decoded(answer, item[0], place, complain).rate
                width = settings.coefficients if given["features"] == "mfcc" else settings.bands
                return SoundForm(kind="sound", rate=rate, width=width, **given)
            width = _vectors(item[0], settings.coefficients, place, complain).shape[1]
            return SoundForm(kind="vectors", width=width, **given)
        except DataError as error:
            first = first or error
    assert first is not None
    raise first


def read_frames(items: Items, form: SoundForm, settings: DataSettings, complain: Complain, bad: Bad) -> FrameStore:
    """Read all sounds; memory is that of a few of them.

    Args:
        items: the files of each sound, which are joined end to end.
        complain: place of an item, what is wrong, what to try → the error.
        bad: takes what cannot be read.
    """
    spill, lengths = Spill(np.float32, len(form.columns)), np.zeros(len(items), np.int64)
    sounds = _decoded_items(items, form, settings)
    for place, item in enumerate(items):
        # Taken before anything can be refused, so that answers and items stay together.
        answers = next(sounds) if form.kind == "sound" else []
        try:
            if form.kind == "sound":
                pairs = zip(answers, item, strict=True)
                samples = [_decoded(answer, path, place, complain).values for answer, path in pairs]
                values = form.frames.of(np.concatenate(samples))
            else:
                values = _joined_vectors(item, form, place, complain)
            spill.append(form.finished(values))
            lengths[place] = len(values)
        except DataError as error:
            bad.add(place, error)
    return FrameStore(spill.finish(), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def _decoded_items(items: Items, form: SoundForm, settings: DataSettings) -> Iterator[list[Decoded | Refusal]]:
    """What the files of each item hold."""
    options = _options(form.rate, settings)
    answers = decode_all("audio", ((path, options) for item in items for path in item))
    for item in items:
        yield list(islice(answers, len(item)))


def _options(rate: float | None, settings: DataSettings) -> dict[str, Any]:
    return {"rate": rate, "longest_seconds": settings.longest_seconds}


def _is_sound(item: tuple[Path, ...]) -> bool:
    return item[0].suffix.lower() in SOUNDS


def _decoded(answer: Decoded | Refusal, path: Path, place: int, complain: Complain) -> Decoded:
    if isinstance(answer, Refusal):
        raise complain(place, f"{path.name}: {answer.message}", answer.remedy)
    return answer


def _joined_vectors(item: tuple[Path, ...], form: SoundForm, place: int, complain: Complain) -> np.ndarray:
    parts = [_vectors(path, form.coefficients, place, complain) for path in item]
    for path, part in zip(item, parts, strict=True):
        if part.shape[1] != form.width:
            raise complain(
                place, f"{path.name}: {part.shape[1]} numbers a frame, expected {form.width}", "give files of one kind"
            )
    return np.concatenate(parts)


def _vectors(path: Path, width: int, place: int, complain: Complain) -> np.ndarray:
    """Features from a file `[frame, feature]`."""
    if not path.is_file():
        raise complain(place, f"{path.name}: {NO_FILE.message}", NO_FILE.remedy)
    try:
        values = _sphinx(path, width) if path.suffix.lower() == ".mfc" else _numpy(path)
    except (ValueError, OSError, EOFError) as error:
        raise complain(place, f"{path.name}: {error}", "write the file again") from None
    if not len(values):
        raise complain(place, f"{path.name}: no frame", "record it again, or remove the row")
    if not np.isfinite(values).all():
        raise complain(place, f"{path.name}: a number that is not finite", "write the file again")
    return values


def _sphinx(path: Path, width: int) -> np.ndarray:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        orders = [order for order in ("big", "little") if int.from_bytes(head, order) * 4 + 4 == size]  # type: ignore[arg-type]
        if len(head) < 4 or not orders:
            promised = int.from_bytes(head, "big") * 4 + 4
            raise ValueError(f"cut short, or no Sphinx file: {promised:,} bytes expected, {size:,} came")
        values = np.frombuffer(file.read(), ">f4" if orders[0] == "big" else "<f4")
    if len(values) % width:
        raise ValueError(f"{len(values):,} numbers are no frames of {width} (--coefficients)")
    return values.reshape(-1, width).astype(np.float32)


def _numpy(path: Path) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError("cut short, or no NumPy array of numbers") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu":
        raise ValueError("expected an array of numbers [frame, feature]")
    if not 0 < values.shape[1] <= _MOST_FEATURES:
        raise ValueError(f"{values.shape[1]:,} numbers a frame, at most {_MOST_FEATURES:,}")
    return np.asarray(values, np.float32)
