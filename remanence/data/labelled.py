"""Labelled sequences: texts, numbers step by step, or videos frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from remanence.data.classes import class_names, refuse_unknown
from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import SCORED_STEPS
from remanence.data.label_part import ClassifyPart, LabelStore, texts_of
from remanence.data.measured import answer_scaler, measured, scaled_answers
from remanence.data.media.films import fit_clip
from remanence.data.orders import refuse_other_lengths, with_order
from remanence.data.parts import DataParts
from remanence.data.points import centred, scale_groups
from remanence.data.record_files import read_records
from remanence.data.records import Records
from remanence.data.runs import learn_runs
from remanence.data.scalers import Moments, Scaler
from remanence.data.schema import guess
from remanence.data.shares import Share, share_out, with_sibling
from remanence.data.sources import fingerprint
from remanence.data.spills import Spill, drop_pages
from remanence.data.tokens import TokenKind, Vocabulary, choose_kind, learn
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["prepare_classify", "reopen_classify"]

_SLAB_STEPS = 1 << 18
_RUNS_FROM = 2000
"""Training texts from which on runs of tokens are worth vectors of their own, unless `ngrams` says otherwise."""
_LONGEST_RUN = 3


def _thinned(valid: ClassifyPart, notes: list[str]) -> ClassifyPart:
    """Of a very large validation part, sequences spread evenly: it is read again and again while training."""
    steps, examples = int(valid.lengths.sum()), len(valid)
    if steps <= SCORED_STEPS:
        return valid
    kept = np.linspace(0, examples - 1, max(1, examples * SCORED_STEPS // steps)).astype(np.int64)
    notes.append(f"validation: {len(kept)} of {examples} sequences, spread evenly")
    return valid.at(kept)


def prepare_classify(path: str | Path, settings: DataSettings) -> DataParts[ClassifyEncoders, ClassifyPart]:
    """Read a file, split it, fit vocabulary or scaler and the labels on the training part.

    Raises:
        DataError: the file cannot be used, a class is too small to split, or validation or test holds an unknown class.
    """
    path = Path(path)
    guessed = guess(path, settings, task="classify")
    settings, notes = guessed.settings, list(guessed.notes)
    settings = with_sibling(path, settings, notes)
    main = _read(path, settings)
    notes += main.notes
    if main.sound is not None:
        settings = settings.model_copy(update=main.sound.as_settings())
        notes.append(main.sound.note)
    if main.columns and not settings.input:
        settings = settings.model_copy(update={"input": main.columns})
    shares = share_out(main, settings, notes, _read)
    files = {share.records.path: share.records for share in shares}
    if settings.task == "regress":
        encoders = _fit(shares[0], settings, (), notes)
        scaler = answer_scaler(shares[0].records, shares[0].places, encoders.label)
        encoders = encoders.model_copy(update={"answer": scaler})
    else:
        labels = class_names(shares[0])
        for share in shares[1:]:
            refuse_unknown(share, labels, settings)
        encoders = _fit(shares[0], settings, labels, notes)
    stores = {file: _store(records, encoders) for file, records in files.items()}
    encoders = _with_runs(encoders, stores[shares[0].records.path], shares[0].places, settings, notes)
    encoders = with_order(encoders, settings.permute, {file: store.offsets for file, store in stores.items()})
    parts = [ClassifyPart(stores[share.records.path], encoders, share.places) for share in shares]
    parts[1] = _thinned(parts[1], notes)
    notes.append(f"{len(parts[0])} training, {len(parts[1])} validation, {len(parts[2])} test sequences")
    read = [file for records in files.values() for file in (records.path, *chain.from_iterable(records.media))]
    settings = settings.model_copy(
        update={
            "tokens": encoders.vocabulary.kind if encoders.vocabulary else None,
            "ngrams": encoders.runs.longest if encoders.runs else (1 if encoders.vocabulary else None),
            "task": settings.task or "classify",
        }
    )
    return DataParts(settings, encoders, parts[0], parts[1], parts[2], tuple(notes), fingerprint(*read))


def reopen_classify(
    path: str | Path, settings: DataSettings, encoders: ClassifyEncoders, *, answers: bool = True
) -> ClassifyPart:
    """Read a new file through fitted encoders; without `answers` its labels may be absent.

    Raises:
        DataError: a column is missing, another number of dimensions, or (with `answers`) a class not in training.
    """
    names = ("input", "label", "sequence", "time", "missing", "longest", "origin")
    update = {name: getattr(encoders, name) for name in names} | {"split_column": None, "group": None}
    update |= encoders.clip.as_settings() if encoders.clip else {}
    update |= encoders.sound.as_settings() if encoders.sound else {}
    records = _read(path, settings.model_copy(update=update), answers=answers)
    dimensions = len(encoders.features if encoders.sound else encoders.input)
    if records.columns and len(records.columns) != dimensions:
        raise DataError(
            f"the model reads {dimensions} dimensions, this file has {len(records.columns)}",
            path=path,
            remedy="give a file with the same columns",
        )
    if (records.form is None) != (encoders.clip is None):
        wanted = "videos" if encoders.clip else "texts" if encoders.vocabulary else "numbers"
        raise DataError(f"the model reads {wanted}", path=path, remedy="give a file like the training file")
    every = Share(records, np.arange(len(records)))
    if answers and encoders.answer is None:
        refuse_unknown(every, encoders.labels, settings)
    part = ClassifyPart(_store(records, encoders), encoders, every.places, answers=answers)
    part.notes = records.notes
    return part


def _read(path: str | Path, settings: DataSettings, *, answers: bool = True) -> Records:
    """The records of a file; for `regress` with numbers in place of classes."""
    records = read_records(path, settings, answers=answers)
    if settings.origin is not None and records.values is not None and records.columns:
        records = centred(records, settings.origin)
    return measured(records, settings.label or "label", answers=answers) if settings.task == "regress" else records


def _fit(train: Share[Records], settings: DataSettings, labels: tuple[str, ...], notes: list[str]) -> ClassifyEncoders:
    records = train.records
    vocabulary, scaler, clip = None, None, None
    if records.form is not None and records.values is not None:
        clip = fit_clip(records.form, records.values, _steps_inside(train))
        notes.append(clip.note)
    elif records.values is None:
        kind = settings.tokens or _kind(train, settings, notes)
        vocabulary = learn(_training_texts(train, settings.input[0]), kind, settings.vocabulary)
        if not vocabulary.tokens:
            raise DataError("the training texts hold no token", path=records.path, remedy="check --input")
        notes.append(f"vocabulary: {len(vocabulary.tokens)} {kind} (--vocabulary)")
    else:
        scaler = _scaler(train, settings.scale, notes)
    return ClassifyEncoders(
        input=settings.input,
        label=settings.label or "label",
        sequence=settings.sequence,
        time=settings.time if scaler is not None else None,
        labels=labels,
        vocabulary=vocabulary,
        scaler=scaler,
        clip=clip,
        sound=records.sound,
        missing=settings.missing if scaler is not None else "refuse",
        longest=settings.longest,
        origin=settings.origin if records.columns else None,
    )


def _with_runs(
    encoders: ClassifyEncoders, store: LabelStore, places: np.ndarray, settings: DataSettings, notes: list[str]
) -> ClassifyEncoders:
    """Learn which runs of tokens the training texts share; by default only from many texts."""
    longest = settings.ngrams or (_LONGEST_RUN if len(places) >= _RUNS_FROM else 1)
    if encoders.vocabulary is None or longest < 2:
        return encoders
    notes.append(f"runs of up to {longest} {encoders.vocabulary.kind} that training texts share (--ngrams)")
    return encoders.model_copy(update={"runs": learn_runs(_slabs(store, places, encoders.longest), longest)})


def _slabs(store: LabelStore, places: np.ndarray, longest: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Tokens of the texts at these places, and the text of each, a slab at a time."""
    lengths = np.diff(store.offsets)[places]
    lengths = lengths if longest is None else np.minimum(lengths, longest)
    ends = np.cumsum(lengths)
    first = 0
    while first < len(places):
        last = max(first + 1, int(np.searchsorted(ends, (ends[first - 1] if first else 0) + _SLAB_STEPS)))
        texts = np.repeat(np.arange(first, last), lengths[first:last])
        starts = np.repeat(ends[first:last] - lengths[first:last], lengths[first:last])
        steps = np.arange(len(texts)) + (ends[first - 1] if first else 0) - starts
        yield store.flat[np.repeat(store.offsets[:-1][places[first:last]], lengths[first:last]) + steps], texts
        drop_pages(store.flat)
        first = last


def _kind(train: Share[Records], settings: DataSettings, notes: list[str]) -> TokenKind:
    """Choose from the first training texts, so that no other text has a say."""
    first = next(_training_texts(train, settings.input[0]), pa.array([], pa.string()))
    kind = choose_kind(islice(first.to_pylist(), 1000))
    notes.append(f"tokens: {kind} (--tokens)")
    return kind


def _training_texts(train: Share[Records], column: str) -> Iterator[pa.Array]:
    inside = np.zeros(len(train.records), bool)
    inside[train.places] = True
    row = 0
    for texts in texts_of(train.records, column):
        chosen = inside[row : row + len(texts)]
        row += len(texts)
        if chosen.any():
            yield texts.filter(pa.array(chosen))


def _steps_inside(train: Share[Records]) -> np.ndarray:
    """Which steps of a file belong to the training part, bool `[step]`."""
    assert train.records.offsets is not None
    inside = np.zeros(len(train.records), bool)
    inside[train.places] = True
    return np.repeat(inside, np.diff(train.records.offsets))


def _scaler(train: Share[Records], scale: str, notes: list[str]) -> Scaler:
    records = train.records
    if records.values is None or records.offsets is None:
        raise DataError("no numbers to scale", path=records.path, remedy="check --input")
    steps = _steps_inside(train)
    moments = Moments(len(records.columns))
    for start in range(0, len(steps), _SLAB_STEPS):
        chosen = steps[start : start + _SLAB_STEPS]
        moments.update(records.values[start : start + _SLAB_STEPS][chosen])
        drop_pages(records.values)
    for column, constant in zip(records.columns, moments.constant(), strict=True):
        if constant:
            notes.append(f"column '{column}' is constant in the training part: it tells a model nothing")
    return moments.scaler(records.columns, scale_groups(records.columns, scale))


def _store(records: Records, encoders: ClassifyEncoders) -> LabelStore:
    if encoders.answer is not None:
        classes = scaled_answers(records, encoders)
    else:
        known = {name: code for code, name in enumerate(encoders.labels)}
        table = np.array([known.get(name, -1) for name in records.label_names] or [-1], np.int64)
        classes = np.where(records.labels >= 0, table[np.maximum(records.labels, 0)], -1)
    if encoders.vocabulary is not None:
        flat, offsets = _tokenised(records, encoders, encoders.vocabulary)
        return LabelStore(records, flat, offsets, classes)
    if records.form is not None and records.values is not None and records.offsets is not None:
        return LabelStore(replace(records, values=None), records.values, records.offsets, classes)
    flat = _scaled(records, encoders)
    # The numbers as they stood in the file are not needed any more.
    offsets = records.offsets if records.offsets is not None else np.zeros(1, np.int64)
    refuse_other_lengths(records.path, offsets, encoders)
    return LabelStore(replace(records, values=None), flat, offsets, classes)


def _tokenised(records: Records, encoders: ClassifyEncoders, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    # Two bytes a token, where they hold all numbers: a large file of texts is as large in tokens.
    spill, lengths = Spill(np.uint16 if vocabulary.size <= 1 << 16 else np.int32), Spill(np.int64)
    for texts in texts_of(records, encoders.input[0]):
        ids, length = vocabulary.encode(texts)
        if encoders.longest is not None:
            first = np.repeat(np.cumsum(length) - length, length)
            ids = ids[np.arange(len(ids)) - first < encoders.longest]
            length = np.minimum(length, encoders.longest)
        spill.append(ids)
        lengths.append(length)
    return spill.finish(), np.concatenate([[0], np.cumsum(lengths.finish())]).astype(np.int64)


def _scaled(records: Records, encoders: ClassifyEncoders) -> np.ndarray:
    if records.values is None or records.offsets is None or encoders.scaler is None:
        raise DataError("expected numbers, came texts", path=records.path, remedy="give a file like the training file")
    spill = Spill(np.float32, len(encoders.features))
    starts = records.offsets[:-1]
    last = np.zeros(len(encoders.input), np.float32)
    for row in range(0, len(records.values), _SLAB_STEPS):
        scaled = encoders.scaler.apply(records.values[row : row + _SLAB_STEPS])
        absent = np.isnan(scaled)
        if encoders.missing == "mask":
            spill.append(np.concatenate([np.where(absent, np.float32(0), scaled), absent], 1))
        else:
            last = _forward(scaled, absent, starts[(starts >= row) & (starts < row + len(scaled))] - row, last)
            spill.append(scaled)
        drop_pages(records.values)
    return spill.finish()


def _forward(values: np.ndarray, absent: np.ndarray, starts: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Fill NaN in place with the value above in the same sequence (0 before the first); return the last row."""
    if absent.any():
        begins = np.zeros((len(values), 1), bool)
        begins[starts] = True
        padded = np.concatenate([last[None], np.where(begins & absent, np.float32(0), values)])
        rows = np.where(np.isnan(padded), 0, np.arange(len(padded))[:, None])
        values[:] = np.take_along_axis(padded, np.maximum.accumulate(rows, 0), 0)[1:]
    return values[-1]
