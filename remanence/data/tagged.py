"""A label a step: files of tokens and tables of samples, split, encoders fitted, ready for a tagger."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from remanence.data.conll import read_tokens
from remanence.data.encoders import TagEncoders
from remanence.data.examples import SCORED_STEPS
from remanence.data.parts import DataParts
from remanence.data.sample_times import compare_times
from remanence.data.samples import read_samples
from remanence.data.schema import guess
from remanence.data.schemes import OUTSIDE, Scheme, guess_scheme, parts
from remanence.data.shares import Share, share_out
from remanence.data.skeletons import read_skeleton_steps
from remanence.data.sources import TABLES, file_format, find, fingerprint
from remanence.data.step_records import StepRecords
from remanence.data.stretches import holds_stretches, one_recording, read_stretches
from remanence.data.tag_fit import counted, fit_numbers, fit_tokens, store_of, with_runs
from remanence.data.tag_part import TagPart, TagStore, cut
from remanence.data.word_tables import holds_words, read_words
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["prepare_tag", "read_steps", "reopen_tag"]

_MOST_UNKNOWN = 0.05
"""Share of labels that may be unknown to the training part: rare types are, in most files."""
_LETTERS = {"BIO": "BI", "BIOES": "BIES", "BMES": "BMES"}


def prepare_tag(path: str | Path, settings: DataSettings) -> DataParts[TagEncoders, TagPart]:
    """Read a file, split it by sequence, fit vocabulary or scaler and the labels on the training part.

    Raises:
        DataError: the file cannot be used, or validation or test holds many unknown labels.
        SettingError: an option that does not suit it.
    """
    path = Path(path)
    guessed = guess(path, settings, task="tag")
    settings, notes = guessed.settings, list(guessed.notes)
    if settings.longest is not None:
        raise SettingError("would leave steps without a label", name="longest", remedy="use --window")
    if settings.tokens == "subwords":
        raise SettingError("tokens are as the file gives them", name="tokens", remedy="words or characters")
    main = read_steps(path, settings)
    notes += main.notes
    settings = _as_read(main, settings)
    shares = share_out(main, settings, notes, read_steps)
    labels, scheme = _labels(shares[0], settings, notes)
    for share in shares[1:]:
        if note := _look_for_unknown(share, labels, settings):
            notes.append(note)
    fit = fit_tokens if main.forms is not None else fit_numbers
    encoders = fit(shares[0], settings, labels, scheme, notes)
    notes += [form.note] if (form := encoders.clip or encoders.sound) else []
    files = {share.records.path: share.records for share in shares}
    for records in files.values():
        notes += compare_times(records, encoders.time or "", encoders.times)
    stores = {file: store_of(records, encoders) for file, records in files.items()}
    notes += [note for store in stores.values() if (note := _mended_note(store))]
    encoders = with_runs(encoders, stores[main.path], shares[0], settings, notes)
    parts = [_part(stores[share.records.path], encoders, share.places) for share in shares]
    parts[1] = _thinned(parts[1], notes)
    steps = [int((part.windows.stop - part.windows.start).sum()) for part in parts]
    of = "in windows" if encoders.window else "in sequences"
    notes.append(f"{steps[0]} training, {steps[1]} validation, {steps[2]} test labels {of}")
    settings = settings.model_copy(
        update={
            "task": "tag",
            "input": encoders.input,
            "label": encoders.label,
            "scheme": scheme,
            "tokens": encoders.tokens,
            "ngrams": encoders.runs.longest if encoders.runs else (1 if encoders.vocabulary else None),
            "window": encoders.window,
            "margin": encoders.margin,
            "motion": encoders.motion,
        }
    )
    beside = [find(name) for name in settings.word_texts] if encoders.usage else []
    read = fingerprint(*(file for records in files.values() for file in (records.path, *records.media)), *beside)
    return DataParts(settings, encoders, parts[0], parts[1], parts[2], tuple(notes), read)


def reopen_tag(path: str | Path, settings: DataSettings, encoders: TagEncoders, *, answers: bool = True) -> TagPart:
    """Read a new file through fitted encoders; without `answers` its labels may be absent.

    Raises:
        DataError: a column is missing, times are dates where training had numbers (or the other way round), or (with
            `answers`) many labels are not in training; a few count as wrong.
    """
    path = Path(path)
    names = ("sequence", "time", "position", "missing", "tokens")
    update = {name: getattr(encoders, name) for name in names} | {"split_column": None, "group": None}
    if form := encoders.clip or encoders.sound:
        update |= form.as_settings()
    kind = file_format(path, settings.format)
    if encoders.layout in ("", "table" if kind in TABLES and (encoders.sequence or kind != "jsonl") else kind):
        update |= {"input": encoders.input, "label": encoders.label}
    else:
        # A file of another kind than that of the training has its own names for columns.
        update |= {"input": (), "label": None, "delimiter": None}
    records = read_steps(path, settings.model_copy(update=update), answers=answers)
    every = Share(records, np.arange(len(records)))
    if records.reads != encoders.reads:
        raise DataError(
            f"expected {encoders.reads}, came {records.reads}", path=path, remedy="give a file like the training file"
        )
    notes = [*records.notes, *compare_times(records, encoders.time or "", encoders.times)]
    if answers and (unknown := _look_for_unknown(every, encoders.labels, settings)):
        notes.append(unknown)
    part = _part(store_of(records, encoders), encoders, every.places, answers=answers)
    part.notes = tuple(notes)
    return part


def read_steps(path: str | Path, settings: DataSettings, *, answers: bool = True) -> StepRecords:
    """Read a file of tokens, a table of samples or of stretches, as its format and the settings say."""
    samples = settings.sequence or settings.position
    kind = file_format(Path(path), settings.format)
    if kind == "npz":
        return read_skeleton_steps(path, settings, answers=answers)
    if kind in ("sound", "video"):
        return one_recording(Path(path), settings, answers)
    if holds_stretches(path, settings):
        return read_stretches(path, settings, answers=answers)
    if kind in ("conllu", "conll", "text") or (kind == "jsonl" and not samples):
        return read_tokens(path, settings, answers=answers)
    read = read_words if holds_words(path, settings) else read_samples
    return read(path, settings, answers=answers)


def _as_read(main: StepRecords, settings: DataSettings) -> DataSettings:
    """What was open and follows from the training file, so that files beside it are read alike."""
    if main.form is not None:
        return settings.model_copy(update=main.form.as_settings())
    if main.columns and not settings.input and not settings.position:
        return settings.model_copy(update={"input": main.columns})
    return settings


def _mended_note(store: TagStore) -> str:
    if not len(store.mended):
        return ""
    records, step = store.records, int(store.mended[0])
    where = f"{records.path.name}:{records.line_of_step(step)}, {records.step_names[records.steps[step]]}"
    return f"{len(store.mended)} labels break their scheme (first {where}): a span is taken to begin or end there"


def _part(store: TagStore, encoders: TagEncoders, places: np.ndarray, *, answers: bool = True) -> TagPart:
    lengths = np.diff(store.records.offsets)
    return TagPart(store, encoders, cut(lengths, places, encoders.window, encoders.margin), answers=answers)


def _thinned(valid: TagPart, notes: list[str]) -> TagPart:
    """Of a very large validation part, windows spread evenly: it is read again and again while training."""
    steps, examples = int(valid.lengths.sum()), len(valid)
    if steps <= SCORED_STEPS:
        return valid
    kept = np.linspace(0, examples - 1, max(1, examples * SCORED_STEPS // steps)).astype(np.int64)
    notes.append(f"validation: {len(kept)} of {examples} windows, spread evenly")
    return valid.at(kept)


def _labels(train: Share[StepRecords], settings: DataSettings, notes: list[str]) -> tuple[tuple[str, ...], Scheme]:
    """Labels of the training part, sorted, and their scheme; a scheme's letters are complete for every type."""
    counts = counted(train, train.records.steps, len(train.records.step_names))
    names = {train.records.step_names[code] for code in np.flatnonzero(counts)}
    scheme = settings.scheme or guess_scheme(names)
    if settings.scheme is None and scheme != "none":
        notes.append(f"labels spell spans: {scheme} (--scheme)")
    if scheme != "none":
        kinds = {kind for label in names if (kind := parts(label)[1])}
        # A rare type may lack an I or E in the training part that the test part has.
        names |= {f"{letter}-{kind}" for letter in _LETTERS[scheme] for kind in kinds if f"B-{kind}" in names}
        names.add(OUTSIDE)
    if len(names) < 2:
        raise DataError(
            f"one label only ('{next(iter(names))}') in the training part: there is nothing to tell apart",
            path=train.records.path,
            remedy="check --label, or the --split",
        )
    notes.append(f"{len(names)} labels")
    # What lies outside all spans comes first: its number is 0.
    return tuple(sorted(names, key=lambda name: (scheme == "none" or name != OUTSIDE, name))), scheme


def _look_for_unknown(share: Share[StepRecords], labels: tuple[str, ...], settings: DataSettings) -> str:
    """A note where a few labels are unknown: they count as wrong. Many are a mistake in the file, and refused."""
    records = share.records
    known = set(labels)
    counts = counted(share, records.steps, len(records.step_names))
    unknown = [code for code, name in enumerate(records.step_names) if name not in known and counts[code]]
    if not unknown:
        return ""
    step = min(_first(share, code) for code in unknown)
    count, name = int(counts[unknown].sum()), records.step_names[records.steps[step]][:60]
    if count <= _MOST_UNKNOWN * counts.sum():
        return f"{count} labels such as '{name}' do not occur in the training part: they count as wrong"
    raise DataError(
        f"label '{name}' is not in the training part ({', '.join(labels[:8])}{', …' if len(labels) > 8 else ''})",
        path=records.path,
        line=records.line_of_step(step),
        column=settings.label or "",
        remedy="add examples of it to the training part, or remove it here",
    )


def _first(share: Share[StepRecords], code: int) -> int:
    """The first step of a share with this label."""
    offsets, steps = share.records.offsets, share.records.steps
    for place in share.places.tolist():
        found = np.flatnonzero(steps[offsets[place] : offsets[place + 1]] == code)
        if len(found):
            return int(offsets[place] + found[0])
    return 0
