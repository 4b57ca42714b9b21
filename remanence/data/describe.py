"""What a file holds: what a row, a step and a sequence are, and what looks suspicious."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from remanence.data import times as timing
from remanence.data.clips import ClipForm
from remanence.data.columns import column_lines, number_facts, survey
from remanence.data.corpus_facts import corpus_facts
from remanence.data.measured import measured
from remanence.data.media.sounds import SoundForm
from remanence.data.pair_facts import pair_facts
from remanence.data.panel import Panel, open_panel
from remanence.data.record_files import read_records
from remanence.data.records import Records
from remanence.data.schema import guess
from remanence.data.schemes import guess_scheme
from remanence.data.sources import TABLES, file_format
from remanence.data.spills import Spill
from remanence.data.tables import chunks, open_table
from remanence.data.tagged import read_steps
from remanence.data.tokens import choose_kind
from remanence.errors import DataError, printable
from remanence.settings import DataSettings, Settings
from remanence.settings_use import refuse_unused

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """The findings.

    Args:
        path: the file.
        task: what the file suits.
        facts: what was found, in the order it is shown.
        notes: what was guessed, and which option overrides it.
        suspicious: what to look at before training; a flaw that training would refuse comes first.
        columns: facts of every column, used or not: kind, missing, and least, mean, most or distinct.
    """

    path: str
    task: str
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    suspicious: tuple[str, ...] = ()
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def text(self) -> str:
        """Lines for a terminal."""
        width = max((len(name) for name in self.facts), default=0)
        lines = [f"{self.path}: {self.task}", ""]
        lines += [f"  {name:<{width}}  {_shown(value)}" for name, value in self.facts.items()]
        lines += ["", *(f"  {line}" for line in column_lines(self.columns))] if self.columns else []
        for title, entries in (("guessed", self.notes), ("look at", self.suspicious)):
            lines += ["", f"{title}:", *(f"  {entry}" for entry in entries)] if entries else []
        return printable("\n".join(lines))

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "path": self.path,
            "task": self.task,
            "facts": dict(self.facts),
            "notes": list(self.notes),
            "suspicious": list(self.suspicious),
            "columns": {name: dict(facts) for name, facts in self.columns.items()},
        }


@dataclass
class _Findings:
    facts: dict[str, Any] = field(default_factory=dict)
    suspicious: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)


def describe(path: str | Path, settings: DataSettings | None = None) -> Description:
    """Read a file and say what it holds; nothing is fitted.

    A flaw that training would refuse (a gap, an empty cell, …) is reported, mended for the look, and looked past.

    Raises:
        DataError: the file cannot be read at all.
        SettingError: a setting that the task of the file does not use.
    """
    given = Settings(data=settings or DataSettings())
    guessed = guess(path, given.data)
    findings = _Findings()
    task = guessed.settings.task or "forecast"
    refuse_unused(given, task)
    kinds = {
        "forecast": _describe_panel,
        "classify": _describe_records,
        "regress": _describe_records,
        "tag": _describe_steps,
        "generate": _describe_corpus,
        "translate": _describe_pairs,
        "summarise": _describe_pairs,
        "caption": _describe_pairs,
        "transcribe": _describe_pairs,
    }
    kinds[task](path, guessed.settings, findings)
    if task not in _OF_TEXTS and not findings.columns and file_format(Path(path), guessed.settings.format) in _TABLES:
        _describe_columns(path, guessed.settings, findings)
    notes = (*guessed.notes, *findings.notes)
    return Description(str(path), task, findings.facts, notes, tuple(findings.suspicious), findings.columns)


def _describe_columns(path: str | Path, settings: DataSettings, found: _Findings) -> None:
    try:
        found.columns = survey(open_table(path, settings))
    except DataError as error:
        found.suspicious.append(f"not every column can be read: {error}")
    for name, facts in found.columns.items():
        if words := facts.get("not numbers"):
            found.suspicious.append(f"column '{name}': {words} cells are neither numbers nor empty")


def _describe_panel(path: str | Path, settings: DataSettings, found: _Findings) -> None:
    panel = _tolerant(path, settings, found)
    lengths = np.diff(panel.starts)
    dated = timing.is_date(panel.time_format) and panel.frequency.unit != "row"
    several = f" of one of {len(panel.names)} series" if len(panel.names) > 1 else ""
    found.facts |= {
        "a row is": f"one step{several}" + (f", {panel.frequency.name}" if dated else ""),
        "a step is": ", ".join(panel.columns),
        "a sequence is": "the steps before a forecast (--context), cut from a series",
        "rows": len(panel),
        "series": {name or "(one)": int(length) for name, length in zip(panel.names[:20], lengths, strict=False)},
        "frequency": panel.frequency.name,
        "season": panel.frequency.season,
        "from": panel.shown(int(np.argmin(panel.times))),
        "to": panel.shown(int(np.argmax(panel.times))),
    }
    for at, column in enumerate(panel.columns):
        _describe_column(panel, at, column, found)
    if len(panel.names) > 1 and lengths.max() > 2 * lengths.min():
        found.suspicious.append(f"series of very unequal length: {lengths.min()} to {lengths.max()} rows")
    found.suspicious += panel.notes


def _tolerant(path: str | Path, settings: DataSettings, found: _Findings) -> Panel:
    """Open a panel; report the first flaw of each kind, then ask for it to be mended, unless it is said already how."""
    mends = {"missing": "mask", "sort": True, "duplicates": "first", "gaps": "fill"}
    for mend in ({name: how} for name, how in mends.items() if getattr(settings, name) in ("refuse", False)):
        try:
            return open_panel(path, settings)
        except DataError as error:
            flaw = error
            settings = settings.model_copy(update=mend)
            try:
                panel = open_panel(path, settings)
            except DataError as other:
                if str(other) != str(flaw):
                    found.suspicious.append(f"refused: {flaw}")
                continue
            found.suspicious.append(f"refused: {flaw}")
            return panel
    return open_panel(path, settings)


def _describe_column(panel: Panel, at: int, column: str, found: _Findings) -> None:
    values = np.asarray(panel.values[:, at])
    there = values[~np.isnan(values)]
    if not len(there):
        found.suspicious.append(f"column '{column}' is empty")
        return
    low, high, mean = float(there.min()), float(there.max()), float(there.mean())
    if low == high:
        found.suspicious.append(f"column '{column}' is constant ({low:g})")
    spread = float(there.std())
    far = int((np.abs(there - mean) > 8 * spread).sum()) if spread else 0
    if far:
        found.suspicious.append(f"column '{column}': {far} values lie more than 8 standard deviations from the mean")
    same = int((np.diff(there) == 0).sum())
    if low != high and same > 0.5 * len(there):
        found.suspicious.append(f"column '{column}': {same / len(there):.0%} of steps repeat the value before")


def _describe_records(path: str | Path, settings: DataSettings, found: _Findings) -> None:
    try:
        records = read_records(path, settings)
    except DataError as error:
        if settings.missing != "refuse":
            raise
        records = read_records(path, settings.model_copy(update={"missing": "mask"}))
        found.suspicious.append(f"refused: {error}")
    if records.form is not None or records.sound is not None:
        lengths = _describe_media(records, settings, found)
    elif records.values is None:
        lengths = _describe_texts(records, settings, found)
    else:
        lengths = np.diff(records.offsets) if records.offsets is not None else np.zeros(0)
        by_step = records.table is not None
        a_row = "one step" if by_step else "one sequence"
        if records.table is None:
            found.columns = {name: number_facts(records.values[:, at]) for at, name in enumerate(records.columns)}
        found.facts |= {
            "a row is": a_row,
            "a step is": _numbers(records.columns),
            "a sequence is": f"the rows of one {'+'.join(settings.sequence)}"
            if by_step
            else ("one line" if records.lines is not None else "one image, pixel by pixel"),
            "missing": int(np.isnan(records.values).sum()),
        }
    found.facts |= {
        "sequences": len(records),
        "lengths": {name: float(np.quantile(lengths, level)) for name, level in _LEVELS} if len(lengths) else {},
    }
    if settings.task == "regress":
        numbers = measured(records, settings.label or "label").numbers
        assert numbers is not None
        found.facts |= {"answers": {name: float(np.quantile(numbers, level)) for name, level in _LEVELS}}
        return
    counts = np.bincount(records.labels, minlength=len(records.label_names))
    classes = {name: int(count) for name, count in zip(records.label_names, counts, strict=True)}
    found.facts |= {"classes": dict(sorted(classes.items(), key=lambda item: -item[1]))}
    _suspect_classes(classes, found)


def _numbers(columns: tuple[str, ...]) -> str:
    """How many numbers a step has, and the first of their names."""
    named = ", ".join(columns[:8]) + (", …" if len(columns) > 8 else "")
    return f"{len(columns)} number{'s' if len(columns) > 1 else ''} ({named})"


def _describe_media(records: Records, settings: DataSettings, found: _Findings) -> np.ndarray:
    """Videos or sounds, each with a label."""
    form = records.form or records.sound
    assert form is not None and records.offsets is not None
    what = "sound" if isinstance(form, SoundForm) else "video"
    found.facts |= {
        "a row is": f"one {what}",
        "a step is": _frame(form),
        "a sequence is": f"the {what} that '{settings.input[0]}' names" if records.media else f"the {what}",
    }
    found.notes += records.notes
    return np.diff(records.offsets)


def _frame(form: SoundForm | ClipForm) -> str:
    """What a frame is, and how many there are."""
    if isinstance(form, ClipForm):
        return f"a frame of {form.height} × {form.width} ({form.colour}), {form.rate:g} a second"
    every = "" if form.clock is None else f", every {form.hop_ms:g} ms"
    return f"a frame{every}: {_numbers(form.columns)}"


def _describe_steps(path: str | Path, settings: DataSettings, found: _Findings) -> None:
    """Sequences with a label a step."""
    try:
        records = read_steps(path, settings)
    except DataError as error:
        if settings.missing != "refuse":
            raise
        records = read_steps(path, settings.model_copy(update={"missing": "mask"}))
        found.suspicious.append(f"refused: {error}")
    found.notes += records.notes
    lengths = np.diff(records.offsets)
    counts = np.bincount(records.steps, minlength=len(records.step_names))
    labels = {name: int(count) for name, count in zip(records.step_names, counts, strict=True)}
    if records.forms is not None:
        found.facts |= {
            "a row is": "one token",
            "a sequence is": "one sentence",
            "distinct tokens": len(records.form_names),
            "spans": guess_scheme(labels),
        }
    elif records.form is not None:
        found.facts |= {
            "a row is": "one labelled stretch of a file",
            "a step is": _frame(records.form),
            "a sequence is": "a file",
        }
    else:
        found.facts |= {
            "a row is": "one sample",
            "a step is": ", ".join(records.columns),
            "a sequence is": f"the rows of one {'+'.join(settings.sequence)}" if settings.sequence else "the file",
        }
    found.facts |= {
        "sequences": len(records),
        "steps": int(lengths.sum()),
        "lengths": {name: float(np.quantile(lengths, level)) for name, level in _LEVELS},
        "labels": dict(sorted(labels.items(), key=lambda item: -item[1])),
    }
    _suspect_classes(labels, found)


_OF_TEXTS = ("generate", "translate", "summarise")
"""Tasks whose columns are texts, which need no survey of their numbers."""
_TABLES = (*TABLES, "text")
_REMEMBERED = 1_000_000
"""Texts remembered when looking for repeated ones."""

_LEVELS = (("least", 0.0), ("median", 0.5), ("95 %", 0.95), ("most", 1.0))


def _describe_pairs(path: str | Path, settings: DataSettings, found: _Findings) -> None:
    facts, suspicious = pair_facts(path, settings)
    found.facts |= facts
    found.suspicious += suspicious


def _describe_corpus(path: str | Path, settings: DataSettings, found: _Findings) -> None:
    facts, suspicious = corpus_facts(path, settings)
    found.facts |= facts
    found.suspicious += suspicious


def _describe_texts(records: Records, settings: DataSettings, found: _Findings) -> np.ndarray:
    column = settings.input[0]
    lengths, first, again = Spill(np.int64), [], 0
    seen: set[int] = set()
    if records.table is not None:
        for chunk in chunks(records.table, {column: "text"}):
            texts = chunk[column].to_pylist()
            first = first or texts[:1000]
            lengths.append(np.fromiter(map(len, texts), np.int64, len(texts)))
            codes = [hash(text) for text in texts]
            again += len(codes) - len(set(codes) - seen)
            if len(seen) < _REMEMBERED:
                seen.update(codes)
    kind = settings.tokens or choose_kind(first)
    found.facts |= {
        "a row is": "one sequence",
        "a step is": f"one of the {kind} of '{column}'",
        "a sequence is": f"the text in '{column}'",
        "lengths are in": "characters",
    }
    if again:
        found.suspicious.append(
            f"{again} texts stand in the file more than once: they may fall on both sides of a split"
        )
    sizes = lengths.finish()
    if empty := int((sizes == 0).sum()):
        found.suspicious.append(f"{empty} texts are empty: training will refuse them")
    return sizes


def _suspect_classes(classes: Mapping[str, int], found: _Findings) -> None:
    if len(classes) < 2:
        found.suspicious.append(f"{len(classes)} class: there is nothing to tell apart")
        return
    few = [f"'{name}' {count}" for name, count in classes.items() if 0 < count < 5]
    if few:
        more = ", …" if len(few) > 8 else ""
        found.suspicious.append(f"classes with fewer than 5 examples: {', '.join(few[:8])}{more}")
    most, total = max(classes.values()), sum(classes.values())
    if most > 0.8 * total:
        found.suspicious.append(f"one class has {most / total:.0%} of the examples: look at macro-F1, not accuracy")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = [f"{name} {_shown(inner)}" for name, inner in list(value.items())[:12]]
        return ", ".join(parts) + (", …" if len(value) > 12 else "")
    return f"{value:g}" if isinstance(value, float) else str(value)
