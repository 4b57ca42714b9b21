"""What a tagger learns of its training part before it is trained, and what it makes of a file: vocabulary, scaler."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from remanence.data.clips import ClipForm
from remanence.data.conll import guess_layout
from remanence.data.encoders import TagEncoders
from remanence.data.media.films import fit_clip
from remanence.data.media.sounds import SoundForm
from remanence.data.motion import compressed, motion, motion_names, sized
from remanence.data.runs import learn_runs
from remanence.data.sample_times import times_of
from remanence.data.scalers import Moments
from remanence.data.schemes import Scheme, allowed, parts, spans, spelled
from remanence.data.shares import Share
from remanence.data.spills import Spill, drop_pages
from remanence.data.step_records import StepRecords
from remanence.data.tag_part import TagStore
from remanence.data.tokens import Vocabulary
from remanence.data.usage import Usage, read_usage
from remanence.data.word_tables import holds_words
from remanence.errors import SettingError
from remanence.settings import DataSettings

__all__ = ["counted", "fit_numbers", "fit_tokens", "store_of", "with_runs"]

_LONG = 512
"""Samples of a recording from which on it is cut into windows, unless `window` says otherwise."""
_WINDOW, _MARGIN = 256, 64
_RARE_FROM = 1000
"""With so many training sentences a token seen once counts as unknown, so that the unknown token is trained too."""
_LONGEST_RUN = 3
_ADDRESS = re.compile(r"https?://|www\.", re.IGNORECASE)
_USER = re.compile(r"@\w+")
_HALF = 12
"""Characters kept of either end of a very long token."""
_SLAB_STEPS = 1 << 18


def counted(share: Share[StepRecords], codes: np.ndarray, names: int) -> np.ndarray:
    """How often each of so many codes `[step]` of a file occurs in a share, int64 `[name]`; -1 is left out."""
    chosen = np.zeros(len(share.records), bool)
    chosen[share.places] = True
    offsets, counts = share.records.offsets, np.zeros(names + 1, np.int64)
    for start in range(0, len(codes), _SLAB_STEPS):
        stop = min(start + _SLAB_STEPS, len(codes))
        own = chosen[np.searchsorted(offsets, np.arange(start, stop), "right") - 1]
        counts += np.bincount(codes[start:stop][own] + 1, minlength=names + 1)
    return counts[1:]


def fit_tokens(
    train: Share[StepRecords], settings: DataSettings, labels: tuple[str, ...], scheme: Scheme, notes: list[str]
) -> TagEncoders:
    """Vocabularies of tokens and of their characters."""
    records = train.records
    assert records.forms is not None
    layout = None if holds_words(records.path, settings) else guess_layout(records.path, settings)
    counts = counted(train, records.forms, len(records.form_names))
    seen = [(form, int(count)) for form, count in zip(records.form_names, counts, strict=True) if count]
    single = sum(count for form, count in seen if len(form) == 1) > 0.9 * sum(count for _, count in seen)
    tokens = settings.tokens or ("characters" if single else "words")
    assert tokens != "subwords"
    if settings.tokens is None:
        notes.append(f"tokens are {tokens} (--tokens)")
    least = 2 if len(train.places) >= _RARE_FROM else 1
    plain = _summed((_plain(form), count) for form, count in seen)
    vocabulary = _vocabulary(plain, least if settings.unknown is None else 1, settings.vocabulary)
    singles = sum(plain[token] == 1 for token in vocabulary.tokens)
    notes.append(f"vocabulary: {len(vocabulary.tokens)} tokens (--vocabulary)")
    letters = None
    if tokens == "words":
        spelt = _summed((letter, count) for form, count in seen for letter in form)
        letters = _vocabulary(spelt, least, settings.vocabulary)
    kind = "table" if layout is None else layout.kind
    assert kind in ("conllu", "conll", "jsonl", "table")
    return TagEncoders(
        input=settings.input if layout is None else (layout.token,),
        label=settings.label or "label" if layout is None else layout.label,
        sequence=settings.sequence,
        labels=labels,
        scheme=scheme,
        tokens=tokens,
        layout=kind,
        vocabulary=vocabulary,
        characters=letters,
        usage=_usage(settings, tokens, notes),
        singles=singles,
        window=settings.window or 0,
        margin=(settings.margin or 0) if settings.window else 0,
    )


def _usage(settings: DataSettings, tokens: str, notes: list[str]) -> Usage | None:
    if not settings.word_texts:
        return None
    if tokens != "words":
        raise SettingError("counts words, and tokens are characters", name="word_texts", remedy="--tokens words")
    usage = read_usage(settings.word_texts)
    notes.append(f"{len(usage.words)} words of texts without labels (--word-texts)")
    return usage


def _plain(form: str) -> str:
    """A token as the vocabulary knows it: lower case, digits as 0; all web addresses alike, and all names of users.

    Example:
        >>> [_plain(form) for form in ("Route", "66", "http://t.co/x", "www.a.org", "@jo_1", "@")]
        ['route', '00', 'http://', 'http://', '@user', '@']
    """
    if _ADDRESS.match(form):
        return "http://"
    if _USER.fullmatch(form):
        return "@user"
    return "".join("0" if letter.isdigit() else letter for letter in form.lower())


def _summed(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for token, count in counted:
        counts[token] = counts.get(token, 0) + count
    return counts


def _vocabulary(counts: dict[str, int], least: int, limit: int) -> Vocabulary:
    """The most frequent tokens first, so that those seen once stand at the end."""
    kept = sorted((token for token in counts if counts[token] >= least), key=lambda token: (-counts[token], token))
    return Vocabulary(kind="words", tokens=tuple(kept[:limit]))


def with_runs(
    encoders: TagEncoders, store: TagStore, train: Share[StepRecords], settings: DataSettings, notes: list[str]
) -> TagEncoders:
    """Learn which runs of tokens training sequences share; by default of characters only, from many sequences."""
    many = encoders.tokens == "characters" and len(train.places) >= _RARE_FROM
    longest = settings.ngrams or (_LONGEST_RUN if many else 1)
    if encoders.vocabulary is None or longest < 2:
        return encoders
    notes.append(f"runs of up to {longest} tokens that training sequences share (--ngrams)")
    return encoders.model_copy(update={"runs": learn_runs(_slabs(store, train.places), longest)})


def _slabs(store: TagStore, places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of the tokens of these sequences, and the sequence of each, a slab at a time."""
    offsets = store.records.offsets
    numbers, which, held = list[np.ndarray](), list[np.ndarray](), 0
    for number, place in enumerate(places.tolist()):
        found = store.words[store.flat[offsets[place] : offsets[place + 1]]]
        numbers.append(found)
        which.append(np.full(len(found), number))
        held += len(found)
        if held >= _SLAB_STEPS:
            yield np.concatenate(numbers), np.concatenate(which)
            numbers, which, held = [], [], 0
    if numbers:
        yield np.concatenate(numbers), np.concatenate(which)


def fit_numbers(
    train: Share[StepRecords], settings: DataSettings, labels: tuple[str, ...], scheme: Scheme, notes: list[str]
) -> TagEncoders:
    """Motion, windows and the scaler of samples; of videos, what their pixels are like."""
    records = train.records
    kinds = settings.motion or (("speed", "direction") if settings.position else ())
    steps = settings.motion_steps if settings.position else ()
    if settings.position:
        _note_units(settings, kinds, steps, notes)
    lengths = np.diff(records.offsets)
    long = bool((lengths[train.places] > _LONG).any())
    window = settings.window if settings.window is not None else (_WINDOW if long else 0)
    margin = settings.margin if settings.margin is not None else _MARGIN
    if window:
        notes.append(f"windows of {window} steps, {margin} more read on either side (--window, --margin)")
    # A frame is named by its file and by the moment it begins at.
    named = (settings.sequence, settings.time) if records.form is None else (settings.input, "time")
    # What is taken of sounds and videos says all else of them.
    columns: dict[str, Any] = {} if records.form is not None else {
        "missing": settings.missing, "position": settings.position, "motion": kinds, "motion_steps": steps,
        "sample_rate": settings.sample_rate,
    }  # fmt: skip
    encoders = TagEncoders(
        input=settings.input,
        label=settings.label or "label",
        sequence=named[0],
        time=named[1],
        times=times_of(records, train.places) if records.form is None else None,
        labels=labels,
        scheme=scheme,
        **columns,
        window=window,
        margin=margin if window else 0,
        sound=records.form if isinstance(records.form, SoundForm) else None,
    )
    if isinstance(records.form, ClipForm):
        inside = np.zeros(len(records), bool)
        inside[train.places] = True
        assert records.values is not None
        clip = fit_clip(records.form, records.values, np.repeat(inside, np.diff(records.offsets)))
        return encoders.model_copy(update={"clip": clip})
    return _with_scaler(encoders, train, notes)


def _note_units(settings: DataSettings, kinds: tuple[str, ...], steps: tuple[int, ...], notes: list[str]) -> None:
    per = f"unit of '{settings.time}'" if settings.time else "second" if settings.sample_rate else "step"
    over = ", ".join(map(str, steps))
    columns = ", ".join(settings.position)
    notes.append(f"{', '.join(kinds)} of {columns} over {over} steps, in units of {columns} a {per} (--motion)")
    if per == "step":
        notes.append("neither a time column nor a rate is given: speeds are a step (--time, --sample-rate)")


def _with_scaler(encoders: TagEncoders, train: Share[StepRecords], notes: list[str]) -> TagEncoders:
    """Fit the sizes of motions, then the scaler of all features, on the training recordings alone."""
    names = motion_names(encoders.motion, encoders.motion_steps)
    moving = [at for at, name in enumerate(names) if sized(name)]
    sizes = np.zeros(len(names))
    if moving:
        thin = max(1, int(np.diff(train.records.offsets)[train.places].sum()) // 1_000_000)
        found = [block[::thin, moving] for block in _moved(train.records, train.places, encoders)]
        values = np.abs(np.concatenate(found))
        sizes[moving] = [np.median(column[column > 0]) if (column > 0).any() else 0.0 for column in values.T]
    encoders = encoders.model_copy(update={"sizes": tuple(sizes.tolist())})
    columns = encoders.columns + names
    moments = Moments(len(columns))
    for place in train.places.tolist():
        moments.update(_raw_features(train.records, place, encoders)[0])
    constant = [column for column, flat in zip(columns, moments.constant(), strict=True) if flat]
    if constant:
        notes.append(f"constant in the training part: {', '.join(constant[:8])}")
    return encoders.model_copy(update={"scaler": moments.scaler(columns)})


def _moved(records: StepRecords, places: np.ndarray, encoders: TagEncoders) -> Iterator[np.ndarray]:
    """The motion of these recordings, not compressed, one by one."""
    for place in places.tolist():
        values, times = _filled(records, place)
        at = [records.columns.index(name) for name in encoders.position]
        step_seconds = 1.0 / encoders.sample_rate if encoders.sample_rate else 1.0
        yield motion(values[:, at], times, step_seconds, encoders.motion, encoders.motion_steps)


def _filled(records: StepRecords, place: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers of one recording, a missing one as the last before it (0 at the beginning), and its times."""
    start, stop = int(records.offsets[place]), int(records.offsets[place + 1])
    assert records.values is not None
    values = np.array(records.values[start:stop], np.float64)
    absent = np.isnan(values)
    if absent.any():
        values[0] = np.where(absent[0], 0.0, values[0])
        absent[0] = False
        rows = np.maximum.accumulate(np.where(absent, 0, np.arange(len(values))[:, None]), 0)
        values = np.take_along_axis(values, rows, 0)
    return values, None if records.times is None else np.asarray(records.times[start:stop])


def _raw_features(records: StepRecords, place: int, encoders: TagEncoders) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and motion of one recording `[step, feature]`, unscaled; and which inputs are missing, bool."""
    start, stop = int(records.offsets[place]), int(records.offsets[place + 1])
    assert records.values is not None
    at = [records.columns.index(name) for name in encoders.columns]
    missing = np.isnan(records.values[start:stop][:, at])
    found = _filled(records, place)[0][:, at]
    if encoders.position:
        moved = next(_moved(records, np.array([place]), encoders))
        found = np.concatenate([found, compressed(moved, np.array(encoders.sizes))], 1)
    return found, missing


def store_of(records: StepRecords, encoders: TagEncoders) -> TagStore:
    """Every step of a file as a model reads it."""
    numbers = {label: number for number, label in enumerate(encoders.labels)}
    table = np.array([*(_number(name, numbers, encoders.scheme) for name in records.step_names), -1], np.int16)
    spill = Spill(np.int16)
    for start in range(0, len(records.steps), _SLAB_STEPS):
        spill.append(table[records.steps[start : start + _SLAB_STEPS]])
    labels = spill.finish()
    mended = _mended(labels, records.offsets, encoders)
    none = np.zeros(0, np.int32)
    if encoders.vocabulary is None:
        flat = records.values if encoders.clip is not None else _scaled(records, encoders)
        assert flat is not None
        return TagStore(replace(records, values=None), flat, labels, mended, none, none, np.zeros(1, np.int64))
    assert records.forms is not None
    words = encoders.vocabulary.numbers(map(_plain, records.form_names))
    letters, ends = none, np.zeros(len(words) + 1, np.int64)
    if encoders.characters is not None:
        kept = [form if len(form) <= 2 * _HALF else form[:_HALF] + form[-_HALF:] for form in records.form_names]
        letters = encoders.characters.numbers(letter for form in kept for letter in form)
        ends[1:] = np.cumsum([len(form) for form in kept])
    used = None if encoders.usage is None else encoders.usage.of(records.form_names)
    return TagStore(records, records.forms, labels, mended, words, letters, ends, used)


def _mended(labels: np.ndarray, offsets: np.ndarray, encoders: TagEncoders) -> np.ndarray:
    """Write label sequences that break the scheme as they are read, in place; the steps that changed, int64.

    The spans stay the same. A chain of labels gives no probability to what breaks the scheme.
    """
    if encoders.scheme == "none" or not len(labels):
        return np.zeros(0, np.int64)
    names, known = encoders.labels, len(encoders.labels)
    fits = np.zeros((known + 2, known + 2), bool)
    follow, begin, end = allowed(names, encoders.scheme)
    fits[:known, :known] = follow
    starts, stops = offsets[:-1], offsets[1:] - 1
    wrong = np.zeros(len(labels), bool)
    for start in range(1, len(labels), _SLAB_STEPS):
        stop = min(start + _SLAB_STEPS, len(labels))
        wrong[start:stop] = ~fits[labels[start - 1 : stop - 1], labels[start:stop]]
    wrong[starts] = ~np.append(begin, [False, False])[labels[starts]]
    wrong[stops] |= ~np.append(end, [False, False])[labels[stops]]
    changed = []
    for place in np.unique(np.searchsorted(offsets, np.flatnonzero(wrong), "right") - 1).tolist():
        own = labels[offsets[place] : offsets[place + 1]]
        if own.min() < 0 or own.max() >= known:
            continue
        written = spelled(spans([names[label] for label in own]), len(own), encoders.scheme)
        better = np.array([names.index(label) for label in written], labels.dtype)
        changed.append(offsets[place] + np.flatnonzero(better != own))
        own[:] = better
    return np.concatenate([np.zeros(0, np.int64), *changed])


def _number(label: str, numbers: dict[str, int], scheme: Scheme) -> int:
    """The number of a label; of an unknown one, the first number behind all, or the second where it goes on a span."""
    goes_on = scheme != "none" and parts(label)[0] in "IE"
    return numbers.get(label, len(numbers) + goes_on)


def _scaled(records: StepRecords, encoders: TagEncoders) -> np.ndarray:
    """Features of every sample as the model reads them, float32 `[step, feature]`."""
    assert encoders.scaler is not None and records.values is not None
    spill = Spill(np.float32, len(encoders.features))
    for place in range(len(records)):
        found, missing = _raw_features(records, place, encoders)
        scaled = encoders.scaler.apply(found)
        if encoders.missing == "mask":
            scaled[:, : missing.shape[1]][missing] = 0
            scaled = np.concatenate([scaled, missing.astype(np.float32)], 1)
        spill.append(scaled)
        if place % 64 == 0:
            drop_pages(records.values)
    return spill.finish()
